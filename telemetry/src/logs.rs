//! Logs: text or JSON, on standard output.

mod args;
mod escape;
mod json;
mod lines;
mod requests;
mod text;

use std::io::{self, IsTerminal as _};

pub use args::{LogArgs, LogFormat};
pub(crate) use lines::Lines;
use lines::{Dropped, Written};
use opentelemetry::{
    Context,
    trace::{SpanContext, TraceContextExt as _},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter},
};
pub use requests::RequestLog;
use tracing_subscriber::{
    Layer, Registry, filter::Targets, fmt, layer::Layered, layer::SubscriberExt as _, registry,
    util::SubscriberInitExt as _,
};

/// What the layers that write lie on.
type Filtered = Layered<Targets, Registry>;

/// Running logs. What is still to be written is written when this is dropped.
#[derive(Debug)]
pub struct Logs(#[expect(dead_code, reason = "to be dropped")] Written);

/// Starts logging. Also returned is where lines go, and how many were lost.
///
/// Lines are handed to a thread of their own, so that a slow reader of standard output slows no
/// request; when it lags too far behind, lines are lost instead, and counted.
///
/// `export` is where lines go besides. `trace_ids` is whether there is a collector in which to look for the
/// traces that lines belong to; for machines the ids are there in any case.
pub(crate) fn init(
    args: &LogArgs,
    export: Option<impl Layer<Filtered> + Send + Sync>,
    trace_ids: bool,
) -> io::Result<(Logs, Lines, LinesDropped)> {
    let (writer, dropped, written) = Lines::to(io::stdout())?;
    let output = writer.clone();
    let color = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = fmt::layer().with_writer(writer).with_ansi(color);
    let lines = match args.log_format {
        LogFormat::Text => lines.fmt_fields(text::Fields { trace_ids }).boxed(),
        LogFormat::Json => lines.event_format(json::Json).boxed(),
    };
    registry().with(args.rust_log.clone()).with(export).with(lines).init();
    Ok((Logs(written), output, LinesDropped(dropped)))
}

/// The span that is being worked on, if there is one.
fn current_span() -> Option<SpanContext> {
    Context::map_current(|context| {
        context.has_active_span().then(|| context.span().span_context().clone())
    })
    .filter(SpanContext::is_valid)
}

/// `emojivoto_log_lines_dropped_total`.
#[derive(Debug)]
pub(crate) struct LinesDropped(Dropped);

impl Collector for LinesDropped {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let help = "Lines of the log that were lost because nobody read them fast enough";
        let name = "emojivoto_log_lines_dropped";
        let described = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(self.0.lines()).encode(described)
    }
}
