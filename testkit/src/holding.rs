//! A vote that stays in flight for as long as a test wants.

use std::time::Duration;

use emojivoto_voting_svc::store::{Added, MemoryStore, StoreError, Tally, Vote, VoteStore};
use tokio::sync::Notify;

/// A store that holds every vote until it is told to go on.
#[derive(Debug, Default)]
pub struct Holding {
    store: MemoryStore,
    /// Told when a vote has come.
    pub arrived: Notify,
    /// To be told when a vote shall be counted.
    pub go_on: Notify,
}

impl Holding {
    /// How many votes have been counted.
    pub async fn votes(&self) -> u64 {
        self.store.tally().await.expect("memory does not fail").iter().sum()
    }
}

impl VoteStore for Holding {
    async fn add(&self, vote: Vote) -> Result<Added, StoreError> {
        self.arrived.notify_one();
        self.go_on.notified().await;
        self.store.add(vote).await
    }

    async fn tally(&self) -> Result<Tally, StoreError> {
        self.store.tally().await
    }

    async fn fill(&self, votes: &Tally) -> Result<(), StoreError> {
        self.store.fill(votes).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.store.check().await
    }

    fn window(&self) -> Duration {
        self.store.window()
    }
}
