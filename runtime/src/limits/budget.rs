//! How many of something there may be at a time, and what is said when there are more.

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU64, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::Duration,
};

use emojivoto_telemetry::prometheus::metrics::counter::Counter;
use tokio::time::{Instant, sleep_until};

use super::Rejected;

/// So long nothing has to be refused before it is said to be over.
const CALM: Duration = Duration::from_secs(5);

/// What there may be so many of at a time.
#[derive(Debug)]
pub struct Budget {
    most: usize,
    taken: AtomicUsize,
    refusals: Arc<Refusals>,
}

impl Budget {
    pub(crate) fn new(most: usize, refusals: Refusals) -> Self {
        Self { most, taken: AtomicUsize::new(0), refusals: Arc::new(refusals) }
    }

    /// One more, if there may be one more; or else it counts as refused.
    pub fn try_take(self: &Arc<Self>) -> Option<Permit> {
        let more = |taken| (taken < self.most).then_some(taken + 1);
        if self.taken.fetch_update(SeqCst, SeqCst, more).is_err() {
            self.refusals.count();
            return None;
        }
        Some(Permit(Arc::clone(self)))
    }

    /// How many there are now.
    pub fn taken(&self) -> usize {
        self.taken.load(SeqCst)
    }
}

/// One of those that there may be. Another one may be when it is dropped.
#[derive(Debug)]
pub struct Permit(Arc<Budget>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, SeqCst);
    }
}

/// Counts what is refused, and says when that begins and when it is over: two lines, however much it is.
#[derive(Debug)]
pub(crate) struct Refusals {
    what: &'static str,
    limit: String,
    counter: Counter,
    epoch: Instant,
    refused: AtomicU64,
    /// Milliseconds since the epoch.
    last: AtomicU64,
    begun: AtomicBool,
}

impl Refusals {
    /// `what` is the reason in `emojivoto_rejected_total`, and what is refused; `limit` says why, and what to do about it.
    pub(crate) fn new(what: &'static str, limit: String, rejected: &Rejected) -> Self {
        Self {
            what,
            limit,
            counter: rejected.of(what),
            epoch: Instant::now(),
            refused: AtomicU64::new(0),
            last: AtomicU64::new(0),
            begun: AtomicBool::new(false),
        }
    }

    pub(crate) fn count(self: &Arc<Self>) {
        self.counter.inc();
        self.refused.fetch_add(1, Relaxed);
        let now = u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Relaxed);
        if !self.begun.load(SeqCst) && !self.begun.swap(true, SeqCst) {
            tracing::warn!("too many {}, refusing some: {}", self.what, self.limit);
            tokio::spawn(Arc::clone(self).until_calm());
        }
    }

    async fn until_calm(self: Arc<Self>) {
        let began = Instant::now();
        let last = || self.epoch + Duration::from_millis(self.last.load(Relaxed));
        while last() + CALM > Instant::now() {
            sleep_until(last() + CALM).await;
        }
        self.begun.store(false, SeqCst);
        let (took, refused) =
            (last().saturating_duration_since(began), self.refused.swap(0, Relaxed));
        let Self { what, limit, .. } = &*self;
        tracing::info!(
            "no longer refusing {what}: {refused} in {:.1}s ({limit})",
            took.as_secs_f64()
        );
    }
}
