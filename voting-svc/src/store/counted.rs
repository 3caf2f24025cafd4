//! Counts what a store has done with votes, for Prometheus.

use std::{fmt, sync::Arc, time::Duration};

use emojivoto_proto::Shortcode;
use emojivoto_telemetry::{
    Telemetry,
    prometheus::{
        collector::Collector,
        encoding::{DescriptorEncoder, EncodeMetric as _},
        metrics::{MetricType, counter::Counter, family::Family, gauge::ConstGauge},
    },
};

use super::{Added, StoreError, Tally, Vote, VoteStore};

/// A store whose votes are counted when it has taken them: as `emojivoto_votes_total`, which knows nothing of those
/// that the store may have held before.
#[derive(Debug)]
pub(crate) struct Counted<S> {
    store: Arc<S>,
    /// By place on the ballot; every emoji is there from the start.
    votes: Vec<Counter>,
    duplicates: Counter,
}

impl<S: VoteStore> Counted<S> {
    pub(crate) fn new(store: Arc<S>, telemetry: &Telemetry) -> Self {
        let family = Family::<[(&str, &str); 1], Counter>::default();
        let counter = |emoji: Shortcode| family.get_or_create_owned(&[("emoji", emoji.as_str())]);
        let votes = Shortcode::all().map(counter).collect();
        let duplicates = Counter::default();
        telemetry.register(|registry| {
            registry.register("emojivoto_votes", "Votes counted", family.clone());
            registry.register(
                "emojivoto_duplicate_votes",
                "Votes that came again under the same idempotency key, and were not counted again",
                duplicates.clone(),
            );
            registry.register_collector(Box::new(Window(Arc::clone(&store))));
        });
        Self { store, votes, duplicates }
    }
}

impl<S: VoteStore> VoteStore for Counted<S> {
    async fn add(&self, vote: Vote) -> Result<Added, StoreError> {
        let added = self.store.add(vote).await?;
        match added {
            Added::Counted => self.votes[vote.choice.index()].inc(),
            Added::Again => self.duplicates.inc(),
            Added::OfAnother => 0,
        };
        Ok(added)
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

/// `emojivoto_idempotency_window_seconds`.
#[derive(Debug)]
struct Window<S>(Arc<S>);

impl<S: VoteStore> Collector for Window<S> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let name = "emojivoto_idempotency_window_seconds";
        let help = "For how long a vote that comes again is known: less than VOTES_ONCE_WINDOW \
            while more than VOTES_ONCE_KEYS votes come within it";
        let described = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(self.0.window().as_secs_f64()).encode(described)
    }
}
