//! One connection to a backend: made when it is needed, and again whenever a call finds it gone. Which replica it leads
//! to, the network decides; a service mesh does so for each call.

use std::{
    error::Error,
    io,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use http::uri::Authority;
use tokio::{net::lookup_host, time::timeout};

use super::{
    CONNECT_TIMEOUT,
    connection::{Connection, WhileIdle},
};

/// How long a lookup and the tries to connect may take together.
const LONGEST: Duration = CONNECT_TIMEOUT.saturating_mul(3);

/// Nobody was reached.
#[derive(Debug, Clone, thiserror::Error)]
#[error("no connection")]
pub(super) struct NoConnection(#[source] Arc<dyn Error + Send + Sync>);

/// A connection on its way, for all who wait for it.
type Attempt = Shared<BoxFuture<'static, Result<Arc<Connection>, NoConnection>>>;

/// The one connection to a backend.
#[derive(Debug, Clone)]
pub(super) struct PickFirst(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: Authority,
    current: RwLock<Option<Arc<Connection>>>,
    attempt: Mutex<Option<Attempt>>,
}

impl PickFirst {
    /// Not connected yet.
    pub(super) fn new(name: Authority) -> Self {
        Self(Arc::new(Inner { name, current: RwLock::default(), attempt: Mutex::default() }))
    }

    /// The connection, which is made if there is none.
    pub(super) async fn pick(&self) -> Result<Arc<Connection>, NoConnection> {
        if let Some(connection) = self.0.current() {
            return Ok(connection);
        }
        let attempt = self.attempt();
        attempt.await
    }

    /// The attempt that there is, or a new one. It goes on when the one who began it does not wait any longer.
    fn attempt(&self) -> Attempt {
        let mut attempt = self.0.attempt.lock().unwrap_or_else(PoisonError::into_inner);
        // It may have succeeded since somebody looked.
        if let Some(connection) = self.0.current() {
            return std::future::ready(Ok(connection)).boxed().shared();
        }
        // One that ended without clearing itself has panicked.
        attempt.take_if(|attempt| attempt.peek().is_some());
        attempt
            .get_or_insert_with(|| {
                let inner = Arc::clone(&self.0);
                let connecting = tokio::spawn(async move { inner.connect().await });
                connecting.map(|ended| ended.unwrap_or_else(failed)).boxed().shared()
            })
            .clone()
    }
}

impl Inner {
    fn current(&self) -> Option<Arc<Connection>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().filter(|connection| !connection.is_gone()).cloned()
    }

    async fn connect(&self) -> Result<Arc<Connection>, NoConnection> {
        let connected = timeout(LONGEST, self.first_that_answers()).await;
        let connected = connected.unwrap_or_else(|elapsed| Err(elapsed.into())).map(Arc::new);
        let connected = connected.map_err(|error| NoConnection(error.into()));
        let mut attempt = self.attempt.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(connection) = &connected {
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            *current = Some(Arc::clone(connection));
        }
        *attempt = None;
        connected
    }

    async fn first_that_answers(&self) -> Result<Connection, Box<dyn Error + Send + Sync>> {
        let mut error = io::Error::other("the name has no address").into();
        for address in lookup_host(self.name.as_str()).await? {
            match Connection::open(0, address, WhileIdle::DoNot).await {
                Ok((connection, _)) => return Ok(connection),
                Err(failed) => error = failed,
            }
        }
        Err(error)
    }
}

fn failed<T>(error: impl Error + Send + Sync + 'static) -> Result<T, NoConnection> {
    Err(NoConnection(Arc::new(error)))
}
