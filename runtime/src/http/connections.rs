//! All connections of a server: how many there may be, and which ones have to go.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use emojivoto_net::limits::SILENCE;
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};

use super::{
    connection::{Connection, Ending, Protocol},
    streams::{Share, Streams},
};

/// Who has been idle for less is about to ask again.
const IDLE: Duration = Duration::from_secs(1);
/// One in so many is closed at a time, so that not every newcomer has to look for one.
const BATCH: usize = 16;
/// How long a client gets to leave that was told that its connection ends, and has no request in flight.
pub(super) const LEAVE: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) struct Connections {
    most: usize,
    epoch: Instant,
    streams: Streams,
    next: AtomicU64,
    /// Locked when a connection begins and ends, and now and then for all of them; never for a request.
    open: Mutex<HashMap<u64, Arc<Connection>>>,
    /// Told when a connection has ended.
    ended: Notify,
}

impl Connections {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            epoch: Instant::now(),
            streams: Streams::new(),
            next: AtomicU64::new(0),
            open: Mutex::default(),
            ended: Notify::new(),
        }
    }

    /// Adds a connection, which leaves when what is returned is dropped.
    pub(super) fn add(self: &Arc<Self>) -> Member {
        let connection = Arc::new(Connection::new(self.epoch));
        let id = self.next.fetch_add(1, Relaxed);
        self.open().insert(id, Arc::clone(&connection));
        Member { connection, id, among: Arc::clone(self) }
    }

    /// Whether there is room for one more connection: if need be, once some that are idle have been closed.
    pub(super) async fn have_room(&self) -> bool {
        if self.open().len() < self.most {
            return true;
        }
        self.close_idle() && timeout(2 * LEAVE, self.fewer_than(self.most)).await.is_ok()
    }

    /// Resolves when there are none left.
    pub(super) async fn none(&self) {
        self.fewer_than(1).await;
    }

    async fn fewer_than(&self, count: usize) {
        loop {
            let mut ended = pin!(self.ended.notified());
            ended.as_mut().enable();
            if self.open().len() < count {
                return;
            }
            ended.await;
        }
    }

    /// Tells all of them to end when their requests in flight have been answered.
    pub(super) fn tell_all(&self) {
        for connection in self.open().values() {
            connection.end(Ending::Told);
        }
    }

    /// Closes some that have been idle, those that have been so for longest. Tells whether there are any.
    fn close_idle(&self) -> bool {
        let open = self.open();
        let idle = |(id, connection): (&u64, &Arc<Connection>)| {
            let idle = connection.idle().is_some_and(|idle| idle >= IDLE);
            (idle && connection.ending() == Ending::Open)
                .then(|| (connection.idle_since(), *id, Arc::clone(connection)))
        };
        let mut idle: Vec<_> = open.iter().filter_map(idle).collect();
        drop(open);
        idle.sort_unstable_by_key(|(since, id, _)| (*since, *id));
        let some = (self.most / BATCH).max(1);
        for (_, _, connection) in idle.iter().take(some) {
            // Only HTTP/2 has a way to tell.
            let told = connection.protocol() == Protocol::Http2;
            connection.end(if told { Ending::Told } else { Ending::Idle });
        }
        !idle.is_empty()
    }

    /// To be called once a [`TURN`]: ends connections whose client does not do what it has to do next.
    ///
    /// [`TURN`]: emojivoto_net::limits::TURN
    pub(super) fn watch_turns(&self) {
        for connection in self.open().values() {
            let overdue = connection.turns().next();
            match connection.ending() {
                Ending::Open if overdue => connection.end(Ending::Told),
                Ending::Told | Ending::Idle if overdue => connection.end(Ending::Cut),
                _ => {}
            }
            // No protocol is known yet whose time-outs could do it.
            let silent = connection.idle().is_some_and(|idle| idle >= SILENCE);
            if silent && connection.protocol() == Protocol::Unknown {
                connection.end(Ending::Cut);
            }
        }
    }

    /// What one more connection may have in flight, if it speaks HTTP/2.
    pub(super) fn streams(&self) -> Share {
        self.streams.share()
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection among the others.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) connection: Arc<Connection>,
    id: u64,
    among: Arc<Connections>,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.among.open().remove(&self.id);
        self.among.ended.notify_waiters();
    }
}
