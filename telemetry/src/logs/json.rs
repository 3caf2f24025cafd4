//! Lines for machines: a JSON object each.

use std::{
    error::Error,
    fmt::{self, Debug, Write as _},
};

use serde_json::{Map, Value};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    registry::LookupSpan,
};

use super::{current_span, escape::Escape};
use crate::causes::causes;

/// `timestamp`, `level`, `target`, the fields of the event (`message` and others), and `trace_id` and
/// `span_id` where there is a trace.
#[derive(Debug, Clone, Copy)]
pub(super) struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Line(line) = line(event);
        write!(Escape(&mut writer), "{}", Value::Object(line))?;
        writer.write_char('\n')
    }
}

fn line(event: &Event<'_>) -> Line {
    let mut timestamp = String::new();
    let _ = SystemTime.format_time(&mut Writer::new(&mut timestamp));
    let mut line = Line::default();
    line.add("timestamp", timestamp);
    line.add("level", event.metadata().level().as_str());
    line.add("target", event.metadata().target());
    event.record(&mut line);
    if let Some(span) = current_span() {
        line.add("trace_id", span.trace_id().to_string());
        line.add("span_id", span.span_id().to_string());
    }
    line
}

/// Keeps the order in which things are added.
#[derive(Default)]
struct Line(Map<String, Value>);

impl Line {
    fn add(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }
}

impl Visit for Line {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name(), value);
    }

    fn record_error(&mut self, field: &Field, error: &(dyn Error + 'static)) {
        self.add(field.name(), causes(error));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field.name(), format!("{value:?}"));
    }
}
