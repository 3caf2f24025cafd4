//! How long things took, with the trace of one of them as an example.

use std::time::{Duration, SystemTime};

use opentelemetry::{Context, TraceId, trace::TraceContextExt as _};
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeMetric, LabelSetEncoder, MetricEncoder},
    metrics::{MetricType, exemplar::HistogramWithExemplars},
};

/// A histogram in seconds.
#[derive(Debug)]
pub(crate) struct Durations(HistogramWithExemplars<Exemplar>);

impl Durations {
    /// `bounds` are the upper bounds of its buckets, in seconds, rising; what is above all of them is
    /// counted too.
    pub(crate) fn new(bounds: &[f64]) -> Self {
        Self(HistogramWithExemplars::new(bounds.iter().copied()))
    }

    /// Counts one. If it belongs to a trace that this process records, the trace becomes the example of
    /// its bucket.
    pub(crate) fn observe(&self, duration: Duration, context: Option<&Context>) {
        let exemplar = context.and_then(|context| {
            let span = context.span();
            span.is_recording().then(|| Exemplar(span.span_context().trace_id()))
        });
        let now = exemplar.as_ref().map(|_| SystemTime::now());
        self.0.observe(duration.as_secs_f64(), exemplar, now);
    }
}

impl EncodeMetric for Durations {
    fn encode(&self, encoder: MetricEncoder<'_>) -> std::fmt::Result {
        self.0.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

/// Written as text only when a scraper asks.
#[derive(Debug)]
struct Exemplar(TraceId);

impl EncodeLabelSet for Exemplar {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> std::fmt::Result {
        [("trace_id", self.0.to_string())].encode(encoder)
    }
}
