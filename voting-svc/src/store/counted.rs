//! Counts the votes that a store has taken, for Prometheus.

use std::{
    array, fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use emojivoto_proto::Shortcode;
use emojivoto_runtime::telemetry::prometheus::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter},
};

use super::{StoreError, Tally, VoteStore};

/// A store whose votes are counted when it has taken them.
#[derive(Debug)]
pub(crate) struct Counted<S> {
    store: S,
    votes: Arc<Votes>,
}

impl<S> Counted<S> {
    pub(crate) fn new(store: S) -> Self {
        Self { store, votes: Arc::new(Votes(array::from_fn(|_| AtomicU64::default()))) }
    }

    pub(crate) fn votes(&self) -> Arc<Votes> {
        Arc::clone(&self.votes)
    }
}

impl<S: VoteStore> VoteStore for Counted<S> {
    async fn add(&self, choice: Shortcode) -> Result<(), StoreError> {
        self.store.add(choice).await?;
        self.votes.0[choice.index()].fetch_add(1, Relaxed);
        Ok(())
    }

    async fn tally(&self) -> Result<Tally, StoreError> {
        self.store.tally().await
    }
}

/// `emojivoto_votes_total`: votes that this process has counted, not those that its store may have
/// held before. Every emoji is there from the start.
#[derive(Debug)]
pub(crate) struct Votes([AtomicU64; Shortcode::COUNT]);

impl Collector for Votes {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Votes counted";
        let mut family =
            encoder.encode_descriptor("emojivoto_votes", help, None, MetricType::Counter)?;
        Shortcode::all().zip(&self.0).try_for_each(|(emoji, votes)| {
            let labels = [("emoji", emoji.as_str())];
            ConstCounter::new(votes.load(Relaxed)).encode(family.encode_family(&labels)?)
        })
    }
}
