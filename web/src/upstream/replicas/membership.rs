//! Who the replicas are, and which of them are connected.

use std::{
    collections::HashMap, convert::Infallible, error::Error, future::Future, io, net::SocketAddr,
    sync::Arc, time::Duration,
};

use emojivoto_telemetry::prometheus::metrics::gauge::Gauge;
use http::uri::Authority;
use tokio::{sync::watch, time::sleep};
use tokio_util::task::AbortOnDropHandle;

use crate::upstream::connection::{Connection, WhileIdle};

/// How old what is known of the addresses of a name may get.
const LOOKUP_INTERVAL: Duration = Duration::from_secs(1);
/// How long to wait before the first try to connect again; twice as long before each further one,
const FIRST_RETRY: Duration = Duration::from_millis(100);
/// up to this long.
const LONGEST_RETRY: Duration = Duration::from_secs(1);

/// The replicas of a backend that are connected.
#[derive(Debug, Clone)]
pub(super) struct Members {
    service: &'static str,
    connected: watch::Sender<Vec<Arc<Connection>>>,
    count: Gauge,
}

impl Members {
    /// None yet; and where to see who they are.
    pub(super) fn new(
        service: &'static str,
        count: Gauge,
    ) -> (Self, watch::Receiver<Vec<Arc<Connection>>>) {
        let (connected, receiver) = watch::channel(Vec::new());
        (Self { service, connected, count }, receiver)
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Connection>>)) {
        if self.connected.is_closed() {
            return; // nobody calls any more
        }
        self.connected.send_modify(|connected| {
            change(connected);
            let count = connected.len();
            self.count.set(i64::try_from(count).unwrap_or(i64::MAX));
            let mut addresses: Vec<_> = connected.iter().map(|replica| replica.address).collect();
            addresses.sort_unstable();
            let service = self.service;
            tracing::info!(target: "web", "{service}: connected replicas: {count} {addresses:?}");
        });
    }
}

/// A replica is among them for as long as this lives.
struct Membership<'a> {
    members: &'a Members,
    replica: Arc<Connection>,
}

impl<'a> Membership<'a> {
    fn begin(members: &'a Members, replica: Connection) -> Self {
        let replica = Arc::new(replica);
        members.change(|connected| connected.push(Arc::clone(&replica)));
        Self { members, replica }
    }
}

impl Drop for Membership<'_> {
    fn drop(&mut self) {
        self.members.change(|connected| connected.retain(|one| !Arc::ptr_eq(one, &self.replica)));
    }
}

/// Keeps each address connected that a name, the one at `index`, has, for as long as it has it; never returns.
pub(super) async fn follow<F>(
    index: usize,
    name: Authority,
    lookup: impl Fn(Authority) -> F,
    members: Members,
) -> Infallible
where
    F: Future<Output = io::Result<Vec<SocketAddr>>>,
{
    let mut replicas = HashMap::new();
    let mut known = true;
    loop {
        match lookup(name.clone()).await {
            Ok(found) if !found.is_empty() => {
                // Calls in flight to one that is gone go on: its connection ends after the last of them.
                replicas.retain(|address, _| found.contains(address));
                for address in found {
                    replicas.entry(address).or_insert_with(|| {
                        let connected = stay_connected(index, address, members.clone());
                        AbortOnDropHandle::new(tokio::spawn(connected))
                    });
                }
                known = true;
            }
            // Those that were there may well still be: who knows the names can be away, too.
            failed => {
                if known {
                    let error = failed.err();
                    let error = error.as_ref().map(|error| error as &dyn Error);
                    tracing::warn!(target: "web", error, "no address of {name}, staying with those known");
                }
                known = false;
            }
        }
        sleep(LOOKUP_INTERVAL).await;
    }
}

/// Connects, and again whenever that has ended; never returns.
async fn stay_connected(name: usize, address: SocketAddr, members: Members) -> Infallible {
    let mut retry = FIRST_RETRY;
    loop {
        // One that hangs is found out before calls go to it, for 17 bytes in each direction every other second.
        match Connection::open(name, address, WhileIdle::Ask).await {
            Ok((replica, lasting)) => {
                let _membership = Membership::begin(&members, replica);
                let _ = lasting.await; // whether it ended or panicked
                retry = FIRST_RETRY;
            }
            Err(error) => {
                let error = &*error as &dyn Error;
                tracing::debug!(target: "web", error, "{address} cannot be connected to");
            }
        }
        sleep(retry).await;
        retry = (retry * 2).min(LONGEST_RETRY);
    }
}
