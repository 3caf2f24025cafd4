//! Against real collectors.

mod exports;
mod logs;
mod losses;
mod sampling;

use std::{
    collections::HashMap,
    io::{self, Write},
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use emojivoto_testkit::{PATIENCE, collector::Collector, eventually};
use opentelemetry::{
    Context,
    trace::{Span as _, SpanContext, SpanKind, Tracer as _},
};
use tokio::net::TcpSocket;
use tracing_subscriber::{fmt, layer::SubscriberExt as _, registry};

use super::*;
use crate::metrics::Format;

fn settings(variables: &[(&str, &str)]) -> Settings {
    let variables: HashMap<_, _> = variables.iter().copied().collect();
    let settings = Settings::from_env(|name| variables.get(name).map(Into::into));
    settings.unwrap_or_else(|error| panic!("{error}"))
}

/// What exports, and what it counts.
#[derive(Clone)]
struct Exporting {
    exports: Exports,
    metrics: Arc<Metrics>,
}

impl std::ops::Deref for Exporting {
    type Target = Exports;

    fn deref(&self) -> &Exports {
        &self.exports
    }
}

fn exporting(settings: Settings, hosted: Hosted) -> Exporting {
    let metrics = Arc::new(Metrics::default());
    let exports = Exports::new(settings, hosted, &metrics).expect("exporters");
    Exporting { exports, metrics }
}

/// What exports to an address, over gRPC unless told otherwise.
fn exporting_to(address: SocketAddr, variables: &[(&str, &str)]) -> Exporting {
    exporting_as(Hosted::One, &format!("http://{address}"), variables)
}

fn exporting_as(hosted: Hosted, endpoint: &str, variables: &[(&str, &str)]) -> Exporting {
    let endpoint = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)];
    exporting(settings(&[&endpoint, variables].concat()), hosted)
}

/// A span from start to end; where it was in its trace.
fn span(exports: &Exporting, name: &'static str) -> SpanContext {
    child(exports, name, &Context::new())
}

fn child(exports: &Exporting, name: &'static str, parent: &Context) -> SpanContext {
    let tracer = exports.tracer("web").expect("traces are on");
    let mut span = tracer.span_builder(name).with_kind(SpanKind::Server);
    span.attributes = Some(vec![opentelemetry::KeyValue::new("http.route", "/api/vote")]);
    let mut span = span.start_with_context(&tracer, parent);
    span.end();
    span.span_context().clone()
}

/// The value of a counter of web, by the start of its name and what became of things.
fn count(exports: &Exporting, metric: &str, error_type: &str) -> u64 {
    let text = metrics(exports);
    let end = format!("/web\",error_type=\"{error_type}\"}} ");
    let mut lines = text.lines().filter(|line| line.starts_with(metric) && line.contains(&end));
    let line = lines.next().unwrap_or_else(|| panic!("no {metric} of {error_type:?} in\n{text}"));
    line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
}

const PROCESSED: &str = "otel_sdk_processor_span_processed_total";
const EXPORTED: &str = "otel_sdk_exporter_span_exported_total";

fn metrics(exports: &Exporting) -> String {
    exports.metrics.render(Format::OpenMetrics)
}

/// An address that nobody listens on, and what keeps it from being given to somebody else.
fn nobody() -> (SocketAddr, TcpSocket) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
    (socket.local_addr().expect("an address"), socket)
}

/// What this thread logs while the guard lives; a test's runtime has no other thread.
#[derive(Clone, Default)]
struct LogLines(Arc<Mutex<Vec<u8>>>);

impl LogLines {
    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let lines = self.clone();
        let lines = fmt::layer().with_ansi(false).with_writer(move || lines.clone());
        tracing::subscriber::set_default(registry().with(lines))
    }

    fn with(&self, text: &str) -> Vec<String> {
        let all = String::from_utf8(self.0.lock().expect("no panic").clone()).expect("text");
        all.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
    }
}

impl Write for LogLines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
