//! Logs: text or JSON, on standard output.

mod escape;
mod fields;
mod json;
mod text;

use std::io::{self, IsTerminal as _};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter},
};
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    Layer, Registry, filter::Targets, fmt, layer::Layered, layer::SubscriberExt as _, registry,
    util::SubscriberInitExt as _,
};

use crate::settings::{Common, LogFormat};

/// Lines that may wait to be written: some seconds' worth at the highest rates, in a few megabytes.
const MAX_UNWRITTEN: usize = 16_384;

/// What the layers that write lie on.
type Filtered = Layered<Targets, Registry>;

/// Running logs. What is still to be written is written when this is dropped.
#[derive(Debug)]
pub(crate) struct Logs {
    _guard: WorkerGuard,
    dropped: ErrorCounter,
}

/// Starts logging.
///
/// Lines are handed to a thread of their own, so that a slow reader of standard output slows no
/// request; when it lags too far behind, lines are lost instead, and counted.
///
/// `export` is where lines go besides. `trace_ids` is whether there is a collector in which to look for the
/// traces that lines belong to; for machines the ids are there in any case.
pub(crate) fn init(
    settings: &Common,
    export: Option<impl Layer<Filtered> + Send + Sync>,
    trace_ids: bool,
) -> Logs {
    let writer = NonBlockingBuilder::default().buffered_lines_limit(MAX_UNWRITTEN);
    let (writer, guard) = writer.finish(io::stdout());
    let dropped = writer.error_counter();
    let color = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = fmt::layer().with_writer(writer).with_ansi(color);
    let lines = match settings.log_format {
        LogFormat::Text => lines.fmt_fields(text::Fields { trace_ids }).boxed(),
        LogFormat::Json => lines.event_format(json::Json).boxed(),
    };
    registry().with(settings.rust_log.clone()).with(export).with(lines).init();
    if settings.oc_agent_host.is_some() {
        tracing::warn!(
            "OC_AGENT_HOST is ignored: OpenCensus has ended; its successor is OTEL_EXPORTER_OTLP_ENDPOINT"
        );
    }
    Logs { _guard: guard, dropped }
}

impl Logs {
    /// `emojivoto_log_lines_dropped_total`.
    pub(crate) fn dropped(&self) -> impl Collector + use<> {
        Dropped(self.dropped.clone())
    }
}

#[derive(Debug)]
struct Dropped(ErrorCounter);

impl Collector for Dropped {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let help = "Lines of the log that were lost because nobody read them fast enough";
        let name = "emojivoto_log_lines_dropped";
        let described = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        let lines = u64::try_from(self.0.dropped_lines()).unwrap_or(u64::MAX);
        ConstCounter::new(lines).encode(described)
    }
}
