//! Votes in Redis, or Valkey, which any number of replicas of voting-svc share.
//!
//! A vote is one script, which Redis runs as a whole; what comes at the same time travels together on one connection.
//! `url` is how it is found, `vote.lua` what is done there.

mod url;

use std::{
    env, fs,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use emojivoto_proto::{IdempotencyKey, Shortcode};
use redis::{
    Client, Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, ServerErrorKind,
    TlsCertificates,
    aio::{ConnectionManager, ConnectionManagerConfig},
    cluster::ClusterClientBuilder,
    cluster_async::ClusterConnection,
};
use tokio::time::timeout;
pub use url::{InvalidRedisUrl, RedisUrl};

use super::{
    Added, Once, StoreError, Tally, Vote, VoteStore,
    once::{Key, Time, millis},
};

/// What is kept. The braces let a cluster keep all of it in one place: a script may use no other.
const VOTES: &str = "{emojivoto}:votes"; // hash: shortcode -> number of votes
const RECENT: &str = "{emojivoto}:recent"; // hash: key of a vote -> when it came, and for what
const ORDER: &str = "{emojivoto}:order"; // list: when a vote came, and its key; the oldest first
const CHECK: &str = "{emojivoto}:check"; // written to see whether it can be

/// How long Redis may take to accept a connection, and to answer; both together leave time for an answer before the
/// deadline of web.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(3);

/// Commands that may wait to be sent.
const QUEUE: usize = 1_024;

/// There is no connection: it was never made, or has ended for good. The next check makes one.
#[derive(Debug, thiserror::Error)]
#[error("there is no connection to Redis yet")]
struct NotConnected;

/// It is there, and says nothing.
#[derive(Debug, thiserror::Error)]
#[error("Redis did not answer within {LONGEST:?}")]
struct NoAnswer;

/// What was found there is not what this store puts there.
#[derive(Debug, thiserror::Error)]
#[error("Redis holds votes for {0}, which is not on the ballot")]
struct UnknownEmoji(String);

/// A store in Redis.
#[derive(Debug)]
pub struct RedisStore {
    url: RedisUrl,
    once: Once,
    vote: Script,
    fill: Script,
    connection: Mutex<Option<Connection>>,
    /// Since the last vote that could not be written.
    failing: AtomicBool,
    /// In milliseconds, as the last vote was told.
    window: AtomicU64,
}

impl RedisStore {
    /// A store that connects with its first check. It must be made on a runtime of Tokio.
    pub fn new(url: RedisUrl, once: Once) -> Self {
        Self {
            url,
            once,
            vote: Script::new(include_str!("redis/vote.lua")),
            fill: Script::new(include_str!("redis/fill.lua")),
            connection: Mutex::default(),
            failing: AtomicBool::new(false),
            window: AtomicU64::new(millis(once.window)),
        }
    }

    fn connected(&self) -> Option<Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn connect_to(&self, connection: Option<Connection>) {
        *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = connection;
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        let mut connection = self.connected().ok_or_else(|| failed(NotConnected))?;
        bounded(connection.ask(command)).await
    }

    async fn run<T: FromRedisValue>(
        &self,
        script: &Script,
        arguments: impl Fn(&mut Cmd),
    ) -> Result<T, StoreError> {
        let mut connection = self.connected().ok_or_else(|| failed(NotConnected))?;
        bounded(async {
            match connection.ask(&script.by_hash(&arguments)).await {
                // It is new to this Redis, or was forgotten in a restart.
                Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                    connection.ask(&script.whole(&arguments)).await
                }
                answer => answer,
            }
        })
        .await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        if self.connected().is_none() {
            let connection = bounded(Connection::open(&self.url)).await?;
            self.connect_to(Some(connection));
            self.tally().await?; // it may be the wrong kind of Redis, or hold something else
        }
        if self.failing.load(Relaxed) {
            self.ask::<()>(redis::cmd("SET").arg(CHECK).arg(1).arg("PX").arg(1_000)).await?;
            self.failing.store(false, Relaxed);
        } else {
            self.ask::<()>(redis::cmd("EXISTS").arg(VOTES)).await?;
        }
        Ok(())
    }
}

impl VoteStore for RedisStore {
    async fn add(&self, Vote { choice, key }: Vote) -> Result<Added, StoreError> {
        // A client of a cluster may send a command again by itself.
        let key = key.or_else(|| self.url.is_cluster().then(|| (&IdempotencyKey::random()).into()));
        let Once { window, most } = self.once;
        let added = self.run(&self.vote, |command| {
            command.arg(3).arg(VOTES).arg(RECENT).arg(ORDER);
            command.arg(choice.as_str()).arg(key.map(Key::bytes).as_ref().map_or(&[][..], |k| k));
            command.arg(millis(window)).arg(most);
        });
        let (added, window): (String, Time) =
            added.await.inspect_err(|_| self.failing.store(true, Relaxed))?;
        Ok(match added.as_str() {
            "again" => Added::Again,
            "of another" => Added::OfAnother,
            _ => {
                self.window.store(window, Relaxed);
                Added::Counted
            }
        })
    }

    async fn tally(&self) -> Result<Tally, StoreError> {
        let votes: Vec<(String, u64)> = self.ask(redis::cmd("HGETALL").arg(VOTES)).await?;
        let mut tally = [0; _];
        for (emoji, votes) in votes {
            let known: Shortcode =
                emoji.parse().map_err(|_| StoreError::Refused(Box::new(UnknownEmoji(emoji))))?;
            tally[known.index()] = votes;
        }
        Ok(tally)
    }

    async fn fill(&self, votes: &Tally) -> Result<(), StoreError> {
        let filled: bool = self
            .run(&self.fill, |command| {
                command.arg(1).arg(VOTES);
                let votes = Shortcode::all().zip(votes).filter(|(_, votes)| **votes > 0);
                for (emoji, votes) in votes {
                    command.arg(emoji.as_str()).arg(*votes);
                }
            })
            .await?;
        if filled { Ok(()) } else { Err(StoreError::NotEmpty) }
    }

    async fn check(&self) -> Result<(), StoreError> {
        let probed = self.probe().await;
        // The library makes a connection anew that has ended, but keeps one that says nothing, and errors that are none of the
        // connection. It may also be another server by now, or another password.
        if matches!(probed, Err(StoreError::Failed(_) | StoreError::Refused(_))) {
            self.connect_to(None);
        }
        probed
    }

    fn window(&self) -> Duration {
        Duration::from_millis(self.window.load(Relaxed))
    }
}

/// A connection that is made again by itself when it has ended. Clones share it.
#[derive(Clone)]
enum Connection {
    Single(ConnectionManager),
    Cluster(ClusterConnection),
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection")
    }
}

impl Connection {
    async fn open(url: &RedisUrl) -> RedisResult<Self> {
        let nodes = url.nodes().to_vec();
        let authorities = if url.is_encrypted() { authorities()? } else { None };
        if url.is_cluster() {
            let mut builder = ClusterClientBuilder::new(nodes)
                .connection_timeout(CONNECT_TIMEOUT)
                .response_timeout(RESPONSE_TIMEOUT)
                .retries(3);
            if let Some(authorities) = authorities {
                builder = builder.certs(authorities);
            }
            return Ok(Self::Cluster(builder.build()?.get_async_connection().await?));
        }
        let [node] = &nodes[..] else { unreachable!("only a cluster has more nodes than one") };
        let client = match authorities {
            Some(authorities) => Client::build_with_tls(node.clone(), authorities)?,
            None => Client::open(node.clone())?,
        };
        // Not tried again here: the next vote, or the next check, does.
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_number_of_retries(0)
            .set_pipeline_buffer_size(QUEUE);
        Ok(Self::Single(client.get_connection_manager_with_config(config).await?))
    }

    async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        match self {
            Self::Single(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }
}

/// Whom to trust for TLS: the authorities in the file that `SSL_CERT_FILE` names, or, with none, the public ones.
fn authorities() -> RedisResult<Option<TlsCertificates>> {
    let Some(file) = env::var_os("SSL_CERT_FILE") else { return Ok(None) };
    let root_cert = fs::read(&file).map_err(|error| {
        let detail = format!("{}: {error}", file.display());
        (ErrorKind::InvalidClientConfig, "SSL_CERT_FILE cannot be read", detail)
    })?;
    Ok(Some(TlsCertificates { client_tls: None, root_cert: Some(root_cert) }))
}

/// A program for Redis.
#[derive(Debug)]
struct Script(redis::Script, &'static str);

impl Script {
    fn new(code: &'static str) -> Self {
        Self(redis::Script::new(code), code)
    }

    /// How it is run where it has run before.
    fn by_hash(&self, arguments: impl Fn(&mut Cmd)) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        arguments(command.arg(self.0.get_hash()));
        command
    }

    /// How it is run for the first time.
    fn whole(&self, arguments: impl Fn(&mut Cmd)) -> Cmd {
        let mut command = redis::cmd("EVAL");
        arguments(command.arg(self.1));
        command
    }
}

/// Waits for Redis, but not for ever.
async fn bounded<T>(answer: impl Future<Output = RedisResult<T>>) -> Result<T, StoreError> {
    timeout(LONGEST, answer).await.map_err(|_| failed(NoAnswer))?.map_err(store_error)
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Failed(Box::new(error))
}

fn store_error(error: RedisError) -> StoreError {
    let refused = match error.kind() {
        ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig => true,
        ErrorKind::Server(kind) => matches!(kind, ServerErrorKind::NoPerm | ServerErrorKind::Moved),
        _ => matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "WRONGTYPE")),
    };
    let full = error.code() == Some("OOM");
    let error = Box::new(error);
    match (full, refused) {
        (true, _) => StoreError::Full(error),
        (_, true) => StoreError::Refused(error),
        _ => StoreError::Failed(error),
    }
}
