//! Spans and log records, with what tests ask of them.

use std::{collections::BTreeMap, ops::Deref};

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    logs::v1::LogRecord,
    trace::v1::{Span as ProtoSpan, Status, status::StatusCode},
};

/// Attributes by name; values that are not text are written as such.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes(BTreeMap<String, String>);

impl Attributes {
    pub(super) fn new(pairs: Vec<KeyValue>) -> Self {
        Self(pairs.into_iter().map(|pair| (pair.key, text(pair.value))).collect())
    }

    /// The value of an attribute, or nothing.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The names of all attributes, in order.
    pub fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::BoolValue(value)) => value.to_string(),
        Some(Value::IntValue(value)) => value.to_string(),
        Some(Value::DoubleValue(value)) => value.to_string(),
        None => String::new(),
        Some(other) => format!("{other:?}"),
    }
}

/// A span, as it came.
#[derive(Debug, Clone)]
pub struct Span {
    /// Who it is from: `service.name` of the resource.
    pub service: String,
    /// The part of the program that made it.
    pub scope: String,
    attributes: Attributes,
    span: ProtoSpan,
}

impl Span {
    pub(super) fn new(resource: &Attributes, scope: &str, span: ProtoSpan) -> Self {
        let service = resource.attribute("service.name").unwrap_or_default().to_owned();
        let attributes = Attributes::new(span.attributes.clone());
        Self { service, scope: scope.to_owned(), attributes, span }
    }

    /// The id of its trace: 32 hexadecimal digits.
    pub fn trace_id(&self) -> String {
        hex(&self.span.trace_id)
    }

    /// Its own id: 16 hexadecimal digits.
    pub fn span_id(&self) -> String {
        hex(&self.span.span_id)
    }

    /// The id of its parent; nothing when it is the root of its trace.
    pub fn parent_id(&self) -> Option<String> {
        Some(hex(&self.span.parent_span_id)).filter(|id| !id.is_empty())
    }

    /// The value of an attribute, or nothing.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.attribute(name)
    }

    /// All its attributes.
    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// Whether it went well, if it says so.
    pub fn status_code(&self) -> StatusCode {
        self.status.as_ref().map_or(StatusCode::Unset, Status::code)
    }

    /// What went wrong, if it says so.
    pub fn status_message(&self) -> &str {
        self.status.as_ref().map_or("", |status| &status.message)
    }

    /// Its events, with their attributes.
    pub fn events(&self) -> Vec<(&str, Attributes)> {
        let events = self.events.iter();
        events.map(|event| (&*event.name, Attributes::new(event.attributes.clone()))).collect()
    }
}

/// The rest is in the message of the protocol: `name`, `kind()`, times.
impl Deref for Span {
    type Target = ProtoSpan;

    fn deref(&self) -> &ProtoSpan {
        &self.span
    }
}

/// A log record, as it came.
#[derive(Debug, Clone)]
pub struct Log {
    /// Who it is from: `service.name` of the resource.
    pub service: String,
    /// The part of the program that wrote it: the target of the log line.
    pub scope: String,
    attributes: Attributes,
    record: LogRecord,
}

impl Log {
    pub(super) fn new(resource: &Attributes, scope: &str, record: LogRecord) -> Self {
        let service = resource.attribute("service.name").unwrap_or_default().to_owned();
        let attributes = Attributes::new(record.attributes.clone());
        Self { service, scope: scope.to_owned(), attributes, record }
    }

    /// What it says.
    pub fn body(&self) -> String {
        text(self.record.body.clone())
    }

    /// The id of the trace that it belongs to; empty if to none.
    pub fn trace_id(&self) -> String {
        hex(&self.record.trace_id)
    }

    /// The id of the span that it belongs to; empty if to none.
    pub fn span_id(&self) -> String {
        hex(&self.record.span_id)
    }

    /// The value of an attribute, or nothing.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.attribute(name)
    }
}

/// The rest is in the message of the protocol: severity, times.
impl Deref for Log {
    type Target = LogRecord;

    fn deref(&self) -> &LogRecord {
        &self.record
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
