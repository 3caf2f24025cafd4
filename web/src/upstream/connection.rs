//! An HTTP/2 connection to a backend, and calls over it.
//!
//! By `h2` itself: the tasks, channels and boxes that other clients put between a call and its connection cost as much
//! as all that web does for a vote besides, see `docs/decisions/0012-the-path-of-a-vote.md`.

use std::{
    error::Error,
    future::{Future, poll_fn},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use emojivoto_runtime::faults::HEADER as FAULT;
use h2::{
    Ping, PingPong, Reason,
    client::{self, SendRequest},
};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use prost::bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::io::InspectReader;

use super::{CONNECT_TIMEOUT, grpc::Answer};

/// How often a backend is asked whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(2);
/// One from which nothing has come for so long, though it was asked, is dead, and so is one whose machine has acknowledged
/// nothing. Longer than a machine takes that has too much to do: a backend that is busy is not dead, and whoever ends its
/// calls for that makes more work for it.
const SILENCE: Duration = Duration::from_secs(10);
/// What may have come and not been read yet. h2 takes a connection for an attack on which small frames are half of that
/// (it counts each as 256 bytes), as the answers to some hundred votes at a time are.
const WINDOW: u32 = 4 * 1024 * 1024;
/// Calls that are sent before a backend has said how many it takes at a time.
const FIRST_CALLS: usize = 8;
/// As tonic has it for what it reads.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// Whether a backend is asked if it is there while it owes no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WhileIdle {
    Ask,
    DoNot,
}

/// A connection that is made.
#[derive(Debug)]
pub(super) struct Connection {
    /// Which of the names of the backend it was found by.
    pub(super) name: usize,
    pub(super) address: SocketAddr,
    requests: SendRequest<Bytes>,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// It takes no calls any more.
    gone: AtomicBool,
    /// Something has come since this was last unset.
    heard: AtomicBool,
    /// Each call in flight has a clone of it.
    in_flight: Arc<()>,
}

/// A call was not answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    /// Nobody has seen it, so that it can be sent again.
    #[error("the connection was at its end")]
    NeverArrived(#[source] h2::Error),
    #[error("the connection broke")]
    Broken(#[from] h2::Error),
}

impl Connection {
    /// Connects. Also returned is the task that lasts as long as the connection.
    pub(super) async fn open(
        name: usize,
        address: SocketAddr,
        idle: WhileIdle,
    ) -> Result<(Self, JoinHandle<()>), Box<dyn Error + Send + Sync>> {
        timeout(CONNECT_TIMEOUT, Self::shake_hands(name, address, idle)).await?
    }

    async fn shake_hands(
        name: usize,
        address: SocketAddr,
        idle: WhileIdle,
    ) -> Result<(Self, JoinHandle<()>), Box<dyn Error + Send + Sync>> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        #[cfg(target_os = "linux")]
        {
            let limit = u32::try_from(SILENCE.as_millis()).expect("seconds");
            rustix::net::sockopt::set_tcp_user_timeout(&stream, limit)?;
        }
        // The kernel makes connections for a process that hangs, too: it would be back as soon as it was given up. So it
        // counts once it has said something, which is how HTTP/2 begins.
        let (speaks, spoken) = oneshot::channel();
        let (mut speaks, state) = (Some(speaks), Arc::new(State::default()));
        let listener = Arc::clone(&state);
        let stream = InspectReader::new(stream, move |said: &[u8]| {
            if !said.is_empty() {
                listener.heard.store(true, Relaxed);
                if let Some(speaks) = speaks.take() {
                    let _ = speaks.send(()); // too late if nobody listens
                }
            }
        });
        let (requests, connection) = client::Builder::new()
            .enable_push(false)
            .initial_connection_window_size(WINDOW)
            // Until the other side has said how many it allows.
            .initial_max_send_streams(FIRST_CALLS)
            // Answers that come after their calls were given up are no attack.
            .max_local_error_reset_streams(None)
            .handshake(stream)
            .await?;
        let task = tokio::spawn(run(connection, address, idle, Arc::clone(&state)));
        spoken.await?;
        Ok((Self { name, address, requests, state }, task))
    }

    /// Whether it takes no calls any more.
    pub(super) fn is_gone(&self) -> bool {
        self.state.gone.load(Relaxed)
    }

    /// How many calls are in flight.
    pub(super) fn load(&self) -> usize {
        Arc::strong_count(&self.state.in_flight) - 1
    }

    /// Sends one message, and reads all of the answer. The fault that its head names is kept in any case.
    pub(super) async fn call(
        &self,
        uri: &Uri,
        headers: HeaderMap,
        message: Bytes,
        fault: &mut Option<HeaderValue>,
    ) -> Result<Answer, Failed> {
        let _in_flight = Arc::clone(&self.state.in_flight);
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = headers;
        let sent = self.requests.clone().send_request(request, false);
        let (answer, mut stream) = sent.map_err(|error| self.not_answered(error, true))?;
        // Should the stream have ended meanwhile, the answer says why.
        let _ = stream.send_data(message, true);
        let answer = answer.await.map_err(|error| self.not_answered(error, false))?;
        let (head, mut body) = answer.into_parts();
        *fault = head.headers.get(FAULT).cloned();
        let mut data = Bytes::new();
        while let Some(more) = body.data().await {
            let more = match more {
                // All has been said, and no more is wanted.
                Err(error) if error.is_reset() && error.reason() == Some(Reason::NO_ERROR) => break,
                more => more?,
            };
            let _ = body.flow_control().release_capacity(more.len()); // unless the stream has ended
            data = if data.is_empty() { more } else { joined(data, &more) };
            if data.len() > MAX_ANSWER_BYTES {
                data.clear(); // which is no message
                break;
            }
        }
        let trailers = body.trailers().await.unwrap_or_default();
        Ok(Answer { status: head.status, headers: head.headers, data, trailers })
    }

    /// A backend that goes away says up to which call it has looked at them (GOAWAY), or that it has not looked at one
    /// (RFC 9113, 8.7). A call that is `unsent` nobody has looked at.
    fn not_answered(&self, error: h2::Error, unsent: bool) -> Failed {
        let goes_away = error.is_go_away() && error.is_remote();
        if goes_away || (unsent && error.is_io()) {
            self.state.gone.store(true, Relaxed);
            return Failed::NeverArrived(error);
        }
        if error.is_remote() && error.reason() == Some(Reason::REFUSED_STREAM) {
            return Failed::NeverArrived(error);
        }
        Failed::Broken(error)
    }
}

fn joined(start: Bytes, rest: &[u8]) -> Bytes {
    let mut data = BytesMut::from(start);
    data.extend_from_slice(rest);
    data.freeze()
}

/// Does what a connection has to do, to its end.
async fn run<S>(
    mut connection: client::Connection<S, Bytes>,
    address: SocketAddr,
    idle: WhileIdle,
    state: Arc<State>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let ping = connection.ping_pong().expect("it was not asked for before");
    tokio::select! {
        ended = connection => if let Err(error) = ended {
            let error = &error as &dyn Error;
            tracing::debug!(target: "web", error, "connection to {address} ended");
        },
        () = silence(ping, idle, &state) => {
            tracing::warn!(target: "web", "nothing from {address} for {SILENCE:?}: the connection is given up");
        }
    }
    state.gone.store(true, Relaxed);
}

/// Resolves when the other side is asked whether it is there, and says nothing.
async fn silence(mut ping: PingPong, idle: WhileIdle, state: &State) {
    loop {
        sleep(KEEPALIVE).await;
        let owes_answers = Arc::strong_count(&state.in_flight) > 1;
        if idle == WhileIdle::DoNot && !owes_answers {
            continue;
        }
        if ping.send_ping(Ping::opaque()).is_err() {
            return std::future::pending().await; // the connection is at its end, and says so itself
        }
        if !answers(poll_fn(|cx| ping.poll_pong(cx)), state).await {
            return;
        }
    }
}

/// Whether the answer comes, as long as anything does.
async fn answers(pong: impl Future, state: &State) -> bool {
    let mut pong = std::pin::pin!(pong);
    loop {
        state.heard.store(false, Relaxed);
        if timeout(SILENCE, &mut pong).await.is_ok() {
            return true;
        }
        if !state.heard.load(Relaxed) {
            return false;
        }
    }
}

#[cfg(test)]
mod tests;
