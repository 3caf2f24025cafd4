//! What the poll counts, for Prometheus.

use std::{fmt, sync::Arc};

use emojivoto_proto::Shortcode;
use emojivoto_telemetry::{
    Telemetry,
    prometheus::{
        collector::Collector,
        encoding::{DescriptorEncoder, EncodeMetric as _},
        metrics::{MetricType, counter::Counter, family::Family, gauge::ConstGauge},
    },
};

use crate::store::{Added, VoteStore};

/// `emojivoto_votes_total` and `emojivoto_duplicate_votes_total`: what the store has done since this process started. Of
/// the votes that it may have held before, they know nothing.
#[derive(Debug)]
pub(crate) struct Votes {
    /// By place on the ballot; every emoji is there from the start.
    counted: Vec<Counter>,
    duplicates: Counter,
}

impl Votes {
    /// None yet; and beside them, for how long the store knows a vote again.
    pub(crate) fn new<S: VoteStore>(store: &Arc<S>, telemetry: &Telemetry) -> Self {
        let family = Family::<[(&str, &str); 1], Counter>::default();
        let of = |emoji: Shortcode| family.get_or_create_owned(&[("emoji", emoji.as_str())]);
        let counted = Shortcode::all().map(of).collect();
        let duplicates = Counter::default();
        telemetry.register(|registry| {
            registry.register("emojivoto_votes", "Votes counted", family.clone());
            registry.register(
                "emojivoto_duplicate_votes",
                "Votes that came again under the same idempotency key, and were not counted again",
                duplicates.clone(),
            );
            registry.register_collector(Box::new(Window(Arc::clone(store))));
        });
        Self { counted, duplicates }
    }

    /// Counts what the store has done with a vote.
    pub(crate) fn count(&self, choice: Shortcode, added: Added) {
        match added {
            Added::Counted => self.counted[choice.index()].inc(),
            Added::Again => self.duplicates.inc(),
            Added::OfAnother => 0,
        };
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
