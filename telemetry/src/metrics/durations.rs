//! How long things took, with the trace of one of them as an example.

use std::time::{Duration, SystemTime};

use opentelemetry::{Context, TraceId, trace::TraceContextExt as _};
use prometheus_client::{
    encoding::{EncodeLabelSet, LabelSetEncoder},
    metrics::{exemplar::HistogramWithExemplars, family::Family},
};

/// A histogram in seconds.
pub(crate) type Durations = HistogramWithExemplars<TraceLabel>;

/// Histograms by labels, all with the same buckets.
pub(super) type DurationsBy<L> = Family<L, Durations, fn() -> Durations>;

/// Counts a duration. If it belongs to a trace that this process records, the trace becomes the example of
/// its bucket.
pub(super) fn observe(durations: &Durations, duration: Duration, context: &Context) {
    let span = context.span();
    let recorded = span.is_recording().then(|| TraceLabel(span.span_context().trace_id()));
    let now = recorded.as_ref().map(|_| SystemTime::now());
    durations.observe(duration.as_secs_f64(), recorded, now);
}

/// Written as text only when a scraper asks.
#[derive(Debug)]
pub(crate) struct TraceLabel(TraceId);

impl EncodeLabelSet for TraceLabel {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> std::fmt::Result {
        [("trace_id", self.0.to_string())].encode(encoder)
    }
}
