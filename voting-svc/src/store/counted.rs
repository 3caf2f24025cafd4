//! Counts the votes that a store has taken, for Prometheus.

use emojivoto_proto::Shortcode;
use emojivoto_telemetry::{
    Telemetry,
    prometheus::metrics::{counter::Counter, family::Family},
};

use super::{StoreError, Tally, VoteStore};

/// A store whose votes are counted when it has taken them: as `emojivoto_votes_total`, which knows nothing of those
/// that the store may have held before.
#[derive(Debug)]
pub(crate) struct Counted<S> {
    store: S,
    /// By place on the ballot; every emoji is there from the start.
    votes: Vec<Counter>,
}

impl<S> Counted<S> {
    pub(crate) fn new(store: S, telemetry: &Telemetry) -> Self {
        let family = Family::<[(&str, &str); 1], Counter>::default();
        let counter = |emoji: Shortcode| family.get_or_create_owned(&[("emoji", emoji.as_str())]);
        let votes = Shortcode::all().map(counter).collect();
        telemetry.register(|registry| {
            registry.register("emojivoto_votes", "Votes counted", family.clone());
        });
        Self { store, votes }
    }
}

impl<S: VoteStore> VoteStore for Counted<S> {
    async fn add(&self, choice: Shortcode) -> Result<(), StoreError> {
        self.store.add(choice).await?;
        self.votes[choice.index()].inc();
        Ok(())
    }

    async fn tally(&self) -> Result<Tally, StoreError> {
        self.store.tally().await
    }
}
