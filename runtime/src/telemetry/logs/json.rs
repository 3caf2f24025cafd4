//! Lines for machines: a JSON object each.

use std::{
    error::Error,
    fmt::{self, Debug, Write as _},
};

use serde::ser::{SerializeMap, Serializer as _};
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

use super::{escape::Escape, fields::current_span};
use crate::telemetry::spans::chain;

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
        let line = line(event).map_err(|_| fmt::Error)?;
        write!(Escape(&mut writer), "{}", String::from_utf8_lossy(&line))?;
        writer.write_char('\n')
    }
}

fn line(event: &Event<'_>) -> serde_json::Result<Vec<u8>> {
    let mut timestamp = String::new();
    let _ = SystemTime.format_time(&mut Writer::new(&mut timestamp));

    let mut line = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut line);
    let mut fields = Fields { map: serializer.serialize_map(None)?, result: Ok(()) };
    fields.map.serialize_entry("timestamp", &timestamp)?;
    fields.map.serialize_entry("level", event.metadata().level().as_str())?;
    fields.map.serialize_entry("target", event.metadata().target())?;
    event.record(&mut fields);
    fields.result?;
    if let Some(span) = current_span() {
        fields.map.serialize_entry("trace_id", &span.trace_id().to_string())?;
        fields.map.serialize_entry("span_id", &span.span_id().to_string())?;
    }
    fields.map.end()?;
    Ok(line)
}

struct Fields<M: SerializeMap> {
    map: M,
    result: Result<(), M::Error>,
}

impl<M: SerializeMap> Fields<M> {
    fn entry(&mut self, field: &Field, value: &(impl serde::Serialize + ?Sized)) {
        if self.result.is_ok() {
            self.result = self.map.serialize_entry(field.name(), value);
        }
    }
}

impl<M: SerializeMap> Visit for Fields<M> {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.entry(field, &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.entry(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.entry(field, &value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.entry(field, &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.entry(field, value);
    }

    fn record_error(&mut self, field: &Field, error: &(dyn Error + 'static)) {
        self.entry(field, &chain(error));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.entry(field, &format!("{value:?}"));
    }
}
