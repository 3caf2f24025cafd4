//! A service, as it is observed.

use std::sync::Arc;

use prometheus_client::registry::Registry;

use crate::{
    export::Exports,
    logs::RequestLog,
    metrics::{HttpMetrics, Metrics},
    operation::Side,
    spans::Spans,
};

/// How one service is observed. Clones are cheap, and of the same service.
#[derive(Debug, Clone, Default)]
pub struct Telemetry {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) spans: Spans,
    /// What can start traces where none are exported.
    pub(crate) exports: Option<Exports>,
    pub(crate) requests: RequestLog,
}

impl Telemetry {
    /// What is counted nobody reads, and nothing is traced; what comes in of a trace is handed on.
    pub fn off() -> Self {
        Self::default()
    }

    /// The same for a service with which traces begin, as with the bot: each of its requests belongs to
    /// one, also where nothing is exported, because the proxies of a mesh make spans only for such requests.
    #[must_use]
    pub fn starting_traces(self) -> Self {
        let spans = self.spans.with_starter(|| self.exports.as_ref()?.starter());
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

    /// Adds to the metrics of the process.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        self.metrics.registry(add);
    }

    /// Counts the HTTP requests that the service answers, or makes.
    pub fn http(&self, side: Side) -> HttpMetrics {
        self.metrics.http(side).clone()
    }
}
