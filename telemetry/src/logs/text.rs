//! Lines for people.

use std::{
    error::Error,
    fmt::{self, Debug, Write as _},
};

use tracing::field::{Field, Visit};
use tracing_subscriber::{
    field::RecordFields,
    fmt::{FormatFields, format::Writer},
};

use super::{current_span, escape::Escape};
use crate::causes::causes;

/// The message first, then the other fields, then the trace.
///
/// Fields named as OpenTelemetry names attributes (`http.route`) are left to machines: they say again
/// what the message says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    /// Whether the ids of the trace are there. Where they would lead nowhere, they would only make lines long.
    pub(super) trace_ids: bool,
}

impl<'w> FormatFields<'w> for Fields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut line = Line { writer, is_empty: true, result: Ok(()) };
        fields.record(&mut line);
        if let Some(span) = current_span().filter(|_| self.trace_ids) {
            line.field("trace_id", format_args!("{}", span.trace_id()));
            line.field("span_id", format_args!("{}", span.span_id()));
        }
        line.result
    }
}

struct Line<'w> {
    writer: Writer<'w>,
    is_empty: bool,
    result: fmt::Result,
}

impl Line<'_> {
    fn field(&mut self, name: &str, value: fmt::Arguments<'_>) {
        if name.contains('.') || self.result.is_err() {
            return;
        }
        let space = if std::mem::take(&mut self.is_empty) { "" } else { " " };
        let (name, equals) = if name == "message" { ("", "") } else { (name, "=") };
        // Dim, so that the message stands out.
        let dim = !name.is_empty() && self.writer.has_ansi_escapes();
        let (dim, bright) = if dim { ("\x1b[2m", "\x1b[0m") } else { ("", "") };
        self.result = write!(self.writer, "{space}{dim}{name}{equals}")
            .and_then(|()| write!(Escape(&mut self.writer), "{value}"))
            .and_then(|()| self.writer.write_str(bright));
    }
}

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.field(field.name(), format_args!("{value:?}"));
    }

    fn record_error(&mut self, field: &Field, error: &(dyn Error + 'static)) {
        self.field(field.name(), format_args!("{:?}", causes(error)));
    }
}
