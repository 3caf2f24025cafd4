//! Logs: text or JSON, on standard output.

use std::io::{self, IsTerminal as _};

use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::{fmt, layer::SubscriberExt as _, registry, util::SubscriberInitExt as _};

use crate::settings::{Common, LogFormat};

/// Starts logging. What is still to be written is written when the guard is dropped.
///
/// Lines are handed to a thread of their own, so that a slow reader of standard output slows no
/// request; when it lags by too many lines, lines are lost instead.
pub(crate) fn init(settings: &Common) -> WorkerGuard {
    let (writer, guard) = tracing_appender::non_blocking(io::stdout());
    let color = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = fmt::layer().with_writer(writer).with_ansi(color);
    let logs = registry().with(settings.rust_log.clone());
    match settings.log_format {
        LogFormat::Text => logs.with(lines).init(),
        LogFormat::Json => logs.with(lines.json().flatten_event(true)).init(),
    }
    if settings.oc_agent_host.is_some() {
        tracing::warn!(
            "OC_AGENT_HOST is ignored: OpenCensus has ended; its successor is OTEL_EXPORTER_OTLP_ENDPOINT"
        );
    }
    guard
}
