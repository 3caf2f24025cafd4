//! All replicas of a backend, each with a connection of its own, over which calls are spread.
//!
//! Whatever balances connections, one that is made belongs to one replica for as long as it lasts. So the names of the
//! backend are looked up again and again, each address that they have is connected to, and calls go to those that are
//! connected: one that died, hangs or drains leaves them at once. (tonic can balance as well, but does not see who is
//! busy, and gives calls to who is dead.)

mod connection;
mod membership;

use std::{
    convert::Infallible,
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use emojivoto_runtime::settings::HostPort;
use emojivoto_telemetry::prometheus::metrics::gauge::Gauge;
use http::{HeaderValue, Request, Response, header::USER_AGENT, uri::Authority};
use http_body_util::BodyExt as _;
use hyper::client::conn::TrySendError;
use rand::seq::IndexedRandom as _;
use tokio::{
    net::lookup_host,
    sync::watch,
    time::{Instant, timeout_at},
};
use tokio_util::task::AbortOnDropHandle;
use tonic::{Status, body::Body, codegen::StdError};
use tower::Service;

use self::{
    connection::{Replica, never_arrived},
    membership::{Members, follow},
};
use super::CONNECT_TIMEOUT;

/// As tonic's channels have it, which a test holds it against: proxies and logs may go by it.
const AGENT: HeaderValue = HeaderValue::from_static("tonic/0.14.9");

/// A call found no replica to go to.
#[derive(Debug, thiserror::Error)]
#[error("no replica of {0} is connected")]
struct NoReplica(&'static str);

/// Sends calls to the replicas of a backend. Clones are cheap, and share the connections; these end with the last of
/// them.
#[derive(Debug, Clone)]
pub(crate) struct Replicas(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    service: &'static str,
    timeout: Duration,
    connected: watch::Receiver<Vec<Arc<Replica>>>,
    #[expect(dead_code, reason = "to be dropped")]
    followers: Vec<AbortOnDropHandle<Infallible>>,
}

impl Replicas {
    /// Connects to whatever is found under the names. A call may take as long as `timeout`; `count` is how many
    /// replicas are connected.
    pub(crate) fn new(
        service: &'static str,
        names: &[HostPort],
        timeout: Duration,
        count: Gauge,
    ) -> Self {
        Self::found_by(lookup, service, names, timeout, count)
    }

    fn found_by<F>(
        lookup: impl Fn(Authority) -> F + Clone + Send + Sync + 'static,
        service: &'static str,
        names: &[HostPort],
        timeout: Duration,
        count: Gauge,
    ) -> Self
    where
        F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        let (members, connected) = Members::new(service, count);
        let follower = |name: &HostPort| {
            let follow = follow(name.clone().into(), lookup.clone(), members.clone());
            AbortOnDropHandle::new(tokio::spawn(follow))
        };
        let followers = names.iter().map(follower).collect();
        Self(Arc::new(Inner { service, timeout, connected, followers }))
    }
}

async fn lookup(name: Authority) -> io::Result<Vec<SocketAddr>> {
    Ok(lookup_host(name.as_str()).await?.collect())
}

impl Inner {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, StdError> {
        let start = Instant::now();
        let deadline = start + self.timeout;
        let (mut head, body) = request.into_parts();
        head.headers.insert(USER_AGENT, AGENT);
        // Kept for the case that it has to be sent again: what web asks is one small message.
        let message = body.collect().await?.to_bytes();
        loop {
            let replica = self.pick(deadline.min(start + CONNECT_TIMEOUT)).await?;
            match timeout_at(deadline, replica.call(head.clone(), message.clone())).await {
                // Nobody has seen it, so that the end of a connection is no reason for it to fail.
                Ok(Err(failed)) if never_arrived(&failed) => {}
                // It may have arrived, and a vote must not be counted twice.
                Ok(answered) => return Ok(answered.map_err(TrySendError::into_error)?),
                Err(_) => return Ok(Status::deadline_exceeded("no answer in time").into_http()),
            }
        }
    }

    /// One of those that are connected, or of those that will be by then.
    async fn pick(&self, deadline: Instant) -> Result<Arc<Replica>, NoReplica> {
        if let Some(replica) = less_loaded(&self.connected.borrow()) {
            return Ok(replica);
        }
        let (mut connected, mut picked) = (self.connected.clone(), None);
        let one_comes = connected.wait_for(|connected| {
            picked = less_loaded(connected);
            picked.is_some()
        });
        let _ = timeout_at(deadline, one_comes).await; // in vain if none is picked
        picked.ok_or(NoReplica(self.service))
    }
}

/// The one of two that has fewer calls in flight. The best of all would be the best for all who ask at the same time.
fn less_loaded(connected: &[Arc<Replica>]) -> Option<Arc<Replica>> {
    let open: Vec<_> = connected.iter().filter(|replica| !replica.is_closed()).collect();
    let two = open.choose_multiple(&mut rand::rng(), 2);
    two.min_by_key(|replica| replica.load()).map(|replica| Arc::clone(replica))
}

impl Service<Request<Body>> for Replicas {
    type Response = Response<Body>;
    type Error = StdError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, StdError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), StdError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.send(request).await })
    }
}

#[cfg(test)]
mod tests;
