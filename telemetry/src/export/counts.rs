//! What became of spans and logs, as metrics named like those of OpenTelemetry's SDKs, see
//! <https://opentelemetry.io/docs/specs/semconv/otel/sdk-metrics/>.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};

use crate::metrics::Metrics;

/// What became of a span or a log record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Success,
    /// The queue had no room.
    QueueFull,
    /// The process ended before its turn came.
    Shutdown,
    /// The collector did not answer in time.
    Timeout,
    /// The collector could not be reached, or could not take it at the time.
    Unavailable,
    /// The collector did not want it.
    Rejected,
}

impl Fate {
    /// As metrics say it.
    fn error_type(self) -> &'static str {
        match self {
            Self::Success => "",
            Self::QueueFull => "queue_full",
            Self::Shutdown => "shutdown",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Rejected => "rejected",
        }
    }
}

/// The counts of one signal (`span`, `log`) of a process.
#[derive(Debug)]
pub(super) struct Counts {
    signal: &'static str,
    /// That of the exporter, such as `otlp_grpc`.
    kind: &'static str,
    processed: Family<Labels, Counter>,
    exported: Family<Labels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    otel_component_name: String,
    error_type: &'static str,
}

impl Counts {
    pub(super) fn new(signal: &'static str, kind: &'static str, metrics: &Metrics) -> Self {
        let (processed, exported) = (Family::default(), Family::default());
        let plural = if signal == "log" { "log records" } else { "spans" };
        metrics.registry(|registry| {
            registry.register(
                format!("otel_sdk_processor_{signal}_processed"),
                format!("Number of {plural} that were handed to the exporter, or lost before"),
                processed.clone(),
            );
            registry.register(
                format!("otel_sdk_exporter_{signal}_exported"),
                format!("Number of {plural} that the collector has taken, or that were lost"),
                exported.clone(),
            );
        });
        Self { signal, kind, processed, exported }
    }

    /// Shows a service from its start, with nothing counted.
    pub(super) fn add(&self, service: &str) {
        use Fate::{QueueFull, Rejected, Shutdown, Success, Timeout, Unavailable};
        for fate in [Success, QueueFull, Shutdown] {
            self.processed(service, fate, 0);
        }
        for fate in [Success, Timeout, Unavailable, Rejected, Shutdown] {
            self.exported(service, fate, 0);
        }
    }

    /// They left the queue, or never got into it.
    pub(super) fn processed(&self, service: &str, fate: Fate, number: usize) {
        let processor = format!("batching_{}_processor/{service}", self.signal);
        count(&self.processed, processor, fate, number);
    }

    /// The collector was asked to take them.
    pub(super) fn exported(&self, service: &str, fate: Fate, number: usize) {
        let exporter = format!("{}_{}_exporter/{service}", self.kind, self.signal);
        count(&self.exported, exporter, fate, number);
    }
}

/// Once for a batch, and once for each that is lost because of a full queue.
fn count(family: &Family<Labels, Counter>, component: String, fate: Fate, number: usize) {
    let labels = Labels { otel_component_name: component, error_type: fate.error_type() };
    family.get_or_create(&labels).inc_by(number as u64);
}
