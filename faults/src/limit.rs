//! Limits that are faults: how many requests come in a second, and how many are in flight.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// A rate, as the generic cell rate algorithm keeps it (ITU-T I.371): all that has to be known is when the next request
/// would come if all came evenly. It may come early by as much as a second's requests take.
#[derive(Debug)]
pub(crate) struct Rate {
    /// In nanoseconds, from one request to the next.
    interval: u64,
    /// How early one may come.
    tolerance: u64,
    /// When the next one would come, in nanoseconds since the beginning.
    next: AtomicU64,
}

impl Rate {
    /// So many a second.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rates are above 0"
    )]
    pub(crate) fn new(per_second: f64) -> Self {
        // Rounded down, or a second would have room for one fewer than it says.
        let interval = (1e9 / per_second) as u64;
        let tolerance = 1_000_000_000_u64.saturating_sub(interval);
        Self { interval, tolerance, next: AtomicU64::new(0) }
    }

    /// In nanoseconds, from one request to the next.
    #[expect(clippy::cast_precision_loss, reason = "nobody waits for months")]
    pub(crate) fn interval(&self) -> f64 {
        self.interval as f64
    }

    /// How many may come at once.
    #[expect(clippy::cast_precision_loss, reason = "no more than a million")]
    pub(crate) fn burst(&self) -> f64 {
        (1 + self.tolerance / self.interval) as f64
    }

    /// Whether one may come now: so long after the beginning.
    pub(crate) fn allows(&self, now: Duration) -> bool {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let taken = self.next.fetch_update(Relaxed, Relaxed, |next| {
            let early = next.saturating_sub(now);
            (early <= self.tolerance).then(|| next.max(now).saturating_add(self.interval))
        });
        taken.is_ok()
    }
}

/// How many requests are in flight.
#[derive(Debug, Default)]
pub(crate) struct Concurrency(Arc<AtomicU32>);

impl Concurrency {
    /// Room for one, if fewer than `most` are in flight.
    pub(crate) fn take(&self, most: u32) -> Option<Permit> {
        let taken =
            self.0.fetch_update(Relaxed, Relaxed, |taken| (taken < most).then_some(taken + 1));
        taken.is_ok().then(|| Permit(Arc::clone(&self.0)))
    }
}

/// The room that a request takes until this is dropped.
#[derive(Debug)]
pub struct Permit(Arc<AtomicU32>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_allows_a_second_at_once_and_then_as_many_as_it_says() {
        for (rate, burst) in [(10.0, 10), (0.5, 1), (1.0, 1), (2.5, 2), (3.0, 3), (7.0, 7)] {
            let limit = Rate::new(rate);
            let allowed =
                |from: Duration| (0..100).map(|_| u32::from(limit.allows(from))).sum::<u32>();
            assert_eq!(allowed(Duration::ZERO), burst, "{rate}");
            assert_eq!(limit.burst().to_bits(), f64::from(burst).to_bits(), "{rate}");
            let mut over_ten_seconds = 0;
            for millisecond in 0..10_000 {
                over_ten_seconds += usize::from(limit.allows(Duration::from_millis(millisecond)));
            }
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
            let expected = (rate * 10.0) as usize;
            assert!(over_ten_seconds.abs_diff(expected) <= 1, "{over_ten_seconds} at {rate}");
        }
    }

    #[test]
    fn as_many_as_are_allowed_are_in_flight() {
        let limit = Concurrency::default();
        let permits: Vec<_> = (0..5).filter_map(|_| limit.take(3)).collect();
        assert_eq!(permits.len(), 3);
        drop(permits);
        assert!(limit.take(3).is_some());
    }
}
