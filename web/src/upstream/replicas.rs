//! All replicas of a backend, each with a connection of its own, over which calls are spread.
//!
//! Whatever balances connections, one that is made belongs to one replica for as long as it lasts. So the names of the
//! backend are looked up again and again, each address that they have is connected to, and calls go to those that are
//! connected: one that died or drains leaves them at once, and one that hangs gets fewer, and leaves them when nothing has
//! come from it for some seconds. (tonic can balance as well, but does not see who is
//! busy, and gives calls to who is dead.)

mod membership;

use std::{convert::Infallible, future::Future, io, net::SocketAddr, sync::Arc};

use emojivoto_telemetry::prometheus::metrics::gauge::Gauge;
use http::uri::Authority;
use rand::Rng as _;
use tokio::{net::lookup_host, sync::watch, time::timeout};
use tokio_util::task::AbortOnDropHandle;

use self::membership::{Members, follow};
use super::{CONNECT_TIMEOUT, connection::Connection};

/// A call found no replica to go to.
#[derive(Debug, thiserror::Error)]
#[error("no replica of {0} is connected")]
pub(super) struct NoReplica(&'static str);

/// Finds the replicas of a backend, for as long as it lives.
#[derive(Debug)]
pub(super) struct Replicas {
    service: &'static str,
    connected: watch::Receiver<Vec<Arc<Connection>>>,
    #[expect(dead_code, reason = "to be dropped")]
    followers: Vec<AbortOnDropHandle<Infallible>>,
}

impl Replicas {
    /// Connects to whatever is found under the names; `count` is how many replicas are connected.
    pub(super) fn new(service: &'static str, names: &[Authority], count: Gauge) -> Self {
        Self::found_by(lookup, service, names, count)
    }

    fn found_by<F>(
        lookup: impl Fn(Authority) -> F + Clone + Send + Sync + 'static,
        service: &'static str,
        names: &[Authority],
        count: Gauge,
    ) -> Self
    where
        F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        let (members, connected) = Members::new(service, count);
        let follower = |(index, name): (usize, &Authority)| {
            let follow = follow(index, name.clone(), lookup.clone(), members.clone());
            AbortOnDropHandle::new(tokio::spawn(follow))
        };
        let followers = names.iter().enumerate().map(follower).collect();
        Self { service, connected, followers }
    }

    /// One of those that are connected, or of those that soon will be.
    pub(super) async fn pick(&self) -> Result<Arc<Connection>, NoReplica> {
        if let Some(replica) = less_loaded(&self.connected.borrow()) {
            return Ok(replica);
        }
        let (mut connected, mut picked) = (self.connected.clone(), None);
        let one_comes = connected.wait_for(|connected| {
            picked = less_loaded(connected);
            picked.is_some()
        });
        let _ = timeout(CONNECT_TIMEOUT, one_comes).await; // in vain if none is picked
        picked.ok_or(NoReplica(self.service))
    }
}

async fn lookup(name: Authority) -> io::Result<Vec<SocketAddr>> {
    Ok(lookup_host(name.as_str()).await?.collect())
}

/// The one of two that has fewer calls in flight. The best of all would be the best for all who ask at the same time.
fn less_loaded(connected: &[Arc<Connection>]) -> Option<Arc<Connection>> {
    let open = || connected.iter().filter(|replica| !replica.is_gone());
    let count = open().count();
    let picked = match count {
        0 | 1 => open().next(),
        _ => {
            let mut random = rand::rng();
            let one = random.random_range(0..count);
            let other = (one + random.random_range(1..count)) % count;
            // One of them may be gone since they were counted.
            let two = [one, other].into_iter().filter_map(|index| open().nth(index));
            two.min_by_key(|replica| replica.load())
        }
    };
    picked.map(Arc::clone)
}

#[cfg(test)]
mod tests;
