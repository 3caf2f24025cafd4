//! What is seen of a process from outside: metrics, traces and logs.
//!
//! A service gets a [`Telemetry`] and puts the layers that it is for around what it serves and
//! calls: [`grpc`] for RPCs; `web` and `vote-bot` have their own for HTTP, made of [`Spans`] and
//! [`HttpMetrics`].

mod codes;
pub mod grpc;
pub(crate) mod logs;
pub(crate) mod metrics;
pub(crate) mod otlp;
mod propagation;
pub(crate) mod requests;
mod spans;

use std::{ffi::OsString, sync::Arc, time::Duration};

use metrics::Metrics;
pub use metrics::http::{HttpMetrics, InFlight, OTHER, Outcome, Side, is_known};
pub use opentelemetry::{Context, KeyValue, Value};
pub use opentelemetry_semantic_conventions::attribute;
use otlp::{Hosted, Otlp};
pub use prometheus_client as prometheus;
use prometheus_client::collector::Collector;
use requests::RequestLog;
pub use spans::{InContext, Spans, end_span, is_recorded, record_error, record_error_in};

use crate::Error;

/// How a process is observed.
#[derive(Debug)]
pub struct Observability {
    pub(crate) metrics: Metrics,
    pub(crate) otlp: Otlp,
    requests: RequestLog,
}

impl Observability {
    /// By metrics, and by traces as these `OTEL_…` variables ask for. To be called inside of a tokio
    /// runtime.
    pub fn new(variables: impl Fn(&str) -> Option<OsString>) -> Result<Self, Error> {
        let settings = otlp::Settings::from_env(variables)?;
        Self::start(&settings, RequestLog::default(), Hosted::Several)
    }

    pub(crate) fn start(
        settings: &otlp::Settings,
        requests: RequestLog,
        hosted: Hosted,
    ) -> Result<Self, Error> {
        let (metrics, otlp) = (Metrics::of_process(), Otlp::new(settings, hosted)?);
        metrics.register(otlp.counts());
        Ok(Self { metrics, otlp, requests })
    }

    /// How a service of the process is observed. It reports under this name.
    pub fn service(&self, name: &'static str) -> Telemetry {
        Telemetry {
            metrics: Some(self.metrics.clone()),
            spans: Spans::new(self.otlp.tracer(name), self.otlp.propagator()),
            otlp: Some(self.otlp.clone()),
            requests: self.requests,
        }
    }

    /// Exports what is left, for at most that long.
    pub async fn shutdown(&self, within: Duration) {
        self.otlp.shutdown(within).await;
    }
}

/// How one service is observed. Clones are cheap, and of the same service.
#[derive(Debug, Clone, Default)]
pub struct Telemetry {
    metrics: Option<Metrics>,
    spans: Spans,
    otlp: Option<Otlp>,
    requests: RequestLog,
}

impl Telemetry {
    /// Nothing is counted, nothing traced; what comes in of a trace is handed on.
    pub fn off() -> Self {
        Self::default()
    }

    /// The same for a service with which traces begin, as with the bot: each of its requests belongs to
    /// one, also where nothing is exported, because the proxies of a mesh make spans only for such requests.
    #[must_use]
    pub fn starting_traces(self) -> Self {
        let spans = self.spans.with_starter(|| self.otlp.as_ref()?.starter());
        Self { spans, ..self }
    }

    /// Whether a request gets a line in the log.
    pub fn logs_request(&self, failed: bool) -> bool {
        self.requests.logs(failed)
    }

    /// What starts the spans of the service.
    pub fn spans(&self) -> &Spans {
        &self.spans
    }

    /// Adds what `collector` collects to the metrics of the process.
    pub fn register(&self, collector: impl Collector) {
        if let Some(metrics) = &self.metrics {
            metrics.register(collector);
        }
    }

    /// Counts HTTP requests to (or of) the service; `None` if nothing is counted. `routes` are the
    /// templates of the paths that are told apart. To be asked for once a process and side.
    pub fn http_metrics(
        &self,
        side: Side,
        routes: &'static [&'static str],
    ) -> Option<Arc<HttpMetrics>> {
        self.metrics.as_ref().map(|metrics| {
            let http = HttpMetrics::new(side, routes);
            metrics.register(Arc::clone(&http));
            http
        })
    }
}
