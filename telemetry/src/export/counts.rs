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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    otel_component_name: &'static str,
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

    /// The counts of a service, all there from now on.
    pub(super) fn of(&self, service: &str) -> ServiceCounts {
        use Fate::{QueueFull, Rejected, Shutdown, Success, Timeout, Unavailable};
        let Self { signal, kind, processed, exported } = self;
        let component = |name: String, family: &Family<Labels, Counter>, fates: &[Fate]| {
            // For as long as the process lives, so that no count has to copy it.
            let component = Component { name: name.leak(), family: family.clone() };
            for fate in fates {
                component.add(*fate, 0);
            }
            component
        };
        ServiceCounts {
            processed: component(
                format!("batching_{signal}_processor/{service}"),
                processed,
                &[Success, QueueFull, Shutdown],
            ),
            exported: component(
                format!("{kind}_{signal}_exporter/{service}"),
                exported,
                &[Success, Timeout, Unavailable, Rejected, Shutdown],
            ),
        }
    }
}

/// The counts of one signal of a service.
#[derive(Debug)]
pub(super) struct ServiceCounts {
    /// What left the queue, or never got into it.
    pub(super) processed: Component,
    /// What the collector was asked to take.
    pub(super) exported: Component,
}

/// A part of the SDK, and what became of the things that it got.
#[derive(Debug)]
pub(super) struct Component {
    name: &'static str,
    family: Family<Labels, Counter>,
}

impl Component {
    pub(super) fn add(&self, fate: Fate, number: usize) {
        let labels = Labels { otel_component_name: self.name, error_type: fate.error_type() };
        self.family.get_or_create(&labels).inc_by(number as u64);
    }
}
