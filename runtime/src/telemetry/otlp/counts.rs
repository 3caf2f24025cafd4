//! What became of spans and logs, as metrics named like those of OpenTelemetry's SDKs, see
//! <https://opentelemetry.io/docs/specs/semconv/otel/sdk-metrics/>.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter},
};

/// What became of a span or a log record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
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

use Outcome::{QueueFull, Rejected, Shutdown, Success, Timeout, Unavailable};

impl Outcome {
    const OF_PROCESSOR: [Self; 3] = [Success, QueueFull, Shutdown];
    const OF_EXPORTER: [Self; 5] = [Success, Timeout, Unavailable, Rejected, Shutdown];

    fn error_type(self) -> &'static str {
        match self {
            Success => "",
            QueueFull => "queue_full",
            Shutdown => "shutdown",
            Timeout => "timeout",
            Unavailable => "unavailable",
            Rejected => "rejected",
        }
    }
}

/// The counts of one kind of thing (`span`, `log`) from one service.
#[derive(Debug)]
pub(super) struct Counts {
    what: &'static str,
    processor: String,
    exporter: String,
    processed: [AtomicU64; 6],
    exported: [AtomicU64; 6],
}

impl Counts {
    /// They left the queue, or never got into it.
    pub(super) fn processed(&self, outcome: Outcome, number: usize) {
        self.processed[outcome as usize].fetch_add(number as u64, Relaxed);
    }

    /// The collector was asked to take them.
    pub(super) fn exported(&self, outcome: Outcome, number: usize) {
        self.exported[outcome as usize].fetch_add(number as u64, Relaxed);
    }

    #[cfg(test)]
    pub(super) fn of(&self, outcome: Outcome) -> (u64, u64) {
        let index = outcome as usize;
        (self.processed[index].load(Relaxed), self.exported[index].load(Relaxed))
    }
}

/// All counts of a process.
#[derive(Debug, Clone, Default)]
pub(crate) struct AllCounts(Arc<Mutex<Vec<Arc<Counts>>>>);

impl AllCounts {
    /// `exporter` is the kind of exporter, such as `otlp_grpc`.
    pub(super) fn add(&self, what: &'static str, exporter: &str, service: &str) -> Arc<Counts> {
        let counts = Arc::new(Counts {
            what,
            processor: format!("batching_{what}_processor/{service}"),
            exporter: format!("{exporter}_{what}_exporter/{service}"),
            processed: Default::default(),
            exported: Default::default(),
        });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&counts));
        counts
    }
}

impl Collector for AllCounts {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (what, plural) in [("span", "spans"), ("log", "log records")] {
            let counts: Vec<_> = all.iter().filter(|counts| counts.what == what).collect();
            if counts.is_empty() {
                continue; // nothing of the kind is exported
            }
            let (name, help) = (
                format!("otel_sdk_processor_{what}_processed"),
                format!("Number of {plural} that were handed to the exporter, or lost before"),
            );
            let mut family = encoder.encode_descriptor(&name, &help, None, MetricType::Counter)?;
            for counts in &counts {
                for outcome in Outcome::OF_PROCESSOR {
                    let labels = [
                        ("otel_component_name", counts.processor.as_str()),
                        ("error_type", outcome.error_type()),
                    ];
                    let number = counts.processed[outcome as usize].load(Relaxed);
                    ConstCounter::new(number).encode(family.encode_family(&labels)?)?;
                }
            }
            let (name, help) = (
                format!("otel_sdk_exporter_{what}_exported"),
                format!("Number of {plural} that the collector has taken, or that were lost"),
            );
            let mut family = encoder.encode_descriptor(&name, &help, None, MetricType::Counter)?;
            for counts in &counts {
                for outcome in Outcome::OF_EXPORTER {
                    let labels = [
                        ("otel_component_name", counts.exporter.as_str()),
                        ("error_type", outcome.error_type()),
                    ];
                    let number = counts.exported[outcome as usize].load(Relaxed);
                    ConstCounter::new(number).encode(family.encode_family(&labels)?)?;
                }
            }
        }
        Ok(())
    }
}
