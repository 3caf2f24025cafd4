//! Votes in memory, gone with the process.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use emojivoto_proto::Shortcode;

use super::{StoreError, Tally, VoteStore};

/// A counter an emoji: a vote is one atomic addition, and votes wait for nobody.
#[derive(Debug)]
pub struct MemoryStore {
    counters: [Counter; Shortcode::COUNT],
}

/// Alone on its cache line, so that votes for neighbours do not slow each other.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Counter(AtomicU64);

impl Default for MemoryStore {
    fn default() -> Self {
        Self { counters: std::array::from_fn(|_| Counter::default()) }
    }
}

impl VoteStore for MemoryStore {
    async fn add(&self, choice: Shortcode) -> Result<(), StoreError> {
        self.counters[choice.index()].0.fetch_add(1, Relaxed);
        Ok(())
    }

    async fn tally(&self) -> Result<Tally, StoreError> {
        Ok(std::array::from_fn(|index| self.counters[index].0.load(Relaxed)))
    }
}
