//! Votes in memory, gone with the process.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use emojivoto_proto::Shortcode;

use super::{
    Added, StoreError, Tally, Vote, VoteStore,
    once::{Key, Once, Recent, now},
};

/// Recent votes are kept in so many parts, by their keys, so that votes seldom wait for each other.
const PARTS: usize = 64;

/// A counter an emoji: a vote is one atomic addition.
#[derive(Debug)]
pub struct MemoryStore {
    counters: [Counter; Shortcode::COUNT],
    recent: [Part; PARTS],
}

/// Alone on its cache line, so that votes for neighbours do not slow each other.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Counter(AtomicU64);

#[derive(Debug)]
#[repr(align(64))]
struct Part(Mutex<Recent>);

impl Part {
    fn lock(&self) -> MutexGuard<'_, Recent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryStore {
    /// An empty one.
    pub fn new(once: Once) -> Self {
        let once = Once { most: once.most.div_ceil(PARTS), ..once };
        Self {
            counters: std::array::from_fn(|_| Counter::default()),
            recent: std::array::from_fn(|_| Part(Mutex::new(Recent::new(once)))),
        }
    }

    /// What becomes of a vote with a key.
    fn known(&self, key: Key, choice: Shortcode) -> Added {
        let now = now();
        let [first, ..] = key.bytes();
        let mut recent = self.recent[usize::from(first) % PARTS].lock();
        recent.forget(now);
        let added = recent.find(key, choice);
        if added == Added::Counted {
            recent.remember(key, choice, now);
        }
        added
    }
}

impl Default for MemoryStore {
    /// As it is when nobody says anything.
    fn default() -> Self {
        Self::new(Once::default())
    }
}

impl VoteStore for MemoryStore {
    async fn add(&self, Vote { choice, key }: Vote) -> Result<Added, StoreError> {
        let added = key.map_or(Added::Counted, |key| self.known(key, choice));
        if added == Added::Counted {
            self.counters[choice.index()].0.fetch_add(1, Relaxed);
        }
        Ok(added)
    }

    async fn tally(&self) -> Result<Tally, StoreError> {
        Ok(std::array::from_fn(|index| self.counters[index].0.load(Relaxed)))
    }

    async fn fill(&self, votes: &Tally) -> Result<(), StoreError> {
        // Nobody else votes meanwhile: a store in memory is filled by who has made it.
        if self.tally().await?.iter().any(|votes| *votes > 0) {
            return Err(StoreError::NotEmpty);
        }
        for (counter, votes) in self.counters.iter().zip(votes) {
            counter.0.store(*votes, Relaxed);
        }
        Ok(())
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn window(&self) -> Duration {
        let now = now();
        let windows = self.recent.iter().map(|recent| recent.lock().window(now));
        windows.min().unwrap_or_default()
    }
}
