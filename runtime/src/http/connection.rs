//! One connection, as the server, its requests and its socket see it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

use crate::{Permit, faults::Held};

/// What the server and the task of a connection tell each other. Nothing of it is locked.
#[derive(Debug)]
pub(super) struct Connection {
    /// When the server started: times are milliseconds since then.
    epoch: Instant,
    /// Requests without an answer that has been taken.
    requests: AtomicU32,
    idle_since: AtomicU64,
    protocol: AtomicU8,
    /// How many requests were refused since one was not.
    refused: AtomicU32,
    turns: Turns,
    ending: AtomicU8,
    task: AtomicWaker,
}

/// What a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Protocol {
    /// Too little was said to know.
    Unknown,
    Http1,
    Http2,
}

/// How a connection shall end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
#[repr(u8)]
pub(super) enum Ending {
    /// Not at all.
    Open,
    /// When the requests in flight have been answered.
    Told,
    /// At once, unless there is a request in flight.
    Idle,
    /// At once.
    Cut,
}

impl Ending {
    /// Resolves once it is one.
    pub(super) fn or_pending(self) -> Poll<()> {
        if self == Self::Open { Poll::Pending } else { Poll::Ready(()) }
    }
}

impl Connection {
    pub(super) fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            requests: AtomicU32::new(0),
            idle_since: AtomicU64::new(millis(epoch.elapsed())),
            protocol: AtomicU8::new(Protocol::Unknown as u8),
            refused: AtomicU32::new(0),
            turns: Turns::default(),
            ending: AtomicU8::new(Ending::Open as u8),
            task: AtomicWaker::new(),
        }
    }

    pub(super) fn speaks(&self, protocol: Protocol) {
        self.protocol.store(protocol as u8, SeqCst);
    }

    pub(super) fn protocol(&self) -> Protocol {
        match self.protocol.load(SeqCst) {
            0 => Protocol::Unknown,
            1 => Protocol::Http1,
            _ => Protocol::Http2,
        }
    }

    /// Since when there has been no request in flight, if there is none.
    pub(super) fn idle_since(&self) -> Option<u64> {
        (self.requests.load(SeqCst) == 0).then(|| self.idle_since.load(SeqCst))
    }

    /// For how long there has been no request in flight.
    pub(super) fn idle(&self) -> Option<Duration> {
        let now = millis(self.epoch.elapsed());
        self.idle_since().map(|since| Duration::from_millis(now.saturating_sub(since)))
    }

    /// Says whether a request was refused.
    pub(super) fn refuses(&self, refused: bool) {
        if refused {
            self.refused.fetch_add(1, SeqCst);
        } else if self.refused.load(SeqCst) > 0 {
            self.refused.store(0, SeqCst);
        }
    }

    /// How many requests were refused since one was not.
    pub(super) fn refused(&self) -> u32 {
        self.refused.load(SeqCst)
    }

    /// Whose turn it is.
    pub(super) fn turns(&self) -> &Turns {
        &self.turns
    }

    /// Tells the task of the connection how to end. There is no way back.
    pub(super) fn end(&self, ending: Ending) {
        if self.ending.fetch_max(ending as u8, SeqCst) < ending as u8 {
            self.task.wake();
        }
    }

    pub(super) fn ending(&self) -> Ending {
        match self.ending.load(SeqCst) {
            0 => Ending::Open,
            1 => Ending::Told,
            2 => Ending::Idle,
            _ => Ending::Cut,
        }
    }

    /// The same, for the task of the connection, which is woken when it changes.
    pub(super) fn watch_ending(&self, cx: &Context<'_>) -> Ending {
        self.task.register(cx.waker());
        self.ending()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Waits for the client, by when they began: in this generation or in the one before. A generation is as long as a
/// client may take.
#[derive(Debug, Default)]
pub(super) struct Turns {
    generation: AtomicU8,
    waits: [AtomicU32; 2],
}

/// The generation in which a wait began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Generation(u8);

impl Generation {
    fn index(self) -> usize {
        usize::from(self.0 % 2)
    }
}

impl Turns {
    /// From here on it is the client's turn.
    pub(super) fn begin(&self) -> Generation {
        let now = Generation(self.generation.load(SeqCst));
        self.waits[now.index()].fetch_add(1, SeqCst);
        now
    }

    /// The client has taken a turn.
    pub(super) fn end(&self, began: Generation) {
        self.waits[began.index()].fetch_sub(1, SeqCst);
    }

    /// Begins a new generation. Tells whether there are waits from before the last one.
    pub(super) fn next(&self) -> bool {
        let next = Generation(self.generation.fetch_add(1, SeqCst).wrapping_add(1));
        self.waits[next.index()].load(SeqCst) > 0
    }
}

/// A request in flight: held by whatever is left of it and of its answer.
#[derive(Debug)]
pub(super) struct Ticket {
    pub(super) connection: Arc<Connection>,
    /// Its place among those that may be in flight at a time.
    pub(super) permit: Option<Permit>,
    /// Its place among streams that take for ever, if it is one and they are counted.
    pub(super) stream: Option<Arc<Permit>>,
    /// Its places under limits that are faults.
    pub(super) held: Option<Held>,
}

impl Ticket {
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        connection.requests.fetch_add(1, SeqCst);
        Self { connection, permit: None, stream: None, held: None }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let Connection { epoch, requests, idle_since, .. } = &*self.connection;
        idle_since.store(millis(epoch.elapsed()), SeqCst);
        requests.fetch_sub(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_over_after_one_to_two_generations_whatever_else_passes() {
        let turns = Turns::default();
        let old = turns.begin();
        assert!(!turns.next());
        for _ in 0..1_000 {
            let passes = turns.begin();
            turns.end(passes);
        }
        let young = turns.begin();
        assert!(turns.next(), "the old one");
        turns.end(old);
        assert!(turns.next(), "the young one");
        turns.end(young);
        assert!(!turns.next());
    }
}
