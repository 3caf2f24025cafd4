//! What is seen of a process from outside: metrics, traces and logs.
//!
//! A process starts an [`Observability`], which gives each of its services a [`Telemetry`]. The RPCs
//! that a service serves and calls are observed by [`grpc`], HTTP by `web` and `vote-bot` themselves. Each makes an
//! [`Operation`] of what it observes, which has a span ([`Spans`]) and is counted ([`metrics`]).

mod causes;
mod codes;
mod export;
mod failures;
pub mod grpc;
mod gzip;
mod logs;
pub mod metrics;
mod operation;
mod propagation;
mod service;
mod share;
mod spans;

use std::{
    ffi::OsString,
    io::{self, Write as _},
    sync::Arc,
    time::Duration,
};

pub use causes::causes;
use export::Exports;
pub use export::{Hosted, InvalidSetting, Settings};
pub use failures::{Cause, Failure, Injected, Why, last_of};
pub use gzip::gzip;
pub use logs::{LogArgs, LogFormat, Logs, RequestLog};
use metrics::{Counts, Figures, Metrics};
pub use opentelemetry::{Context, KeyValue, Value, trace::WithContext};
pub use opentelemetry_semantic_conventions::attribute;
pub use operation::{Observed, Operation, Side};
pub use prometheus_client as prometheus;
pub use service::Telemetry;
pub use share::share;
pub use spans::{Spans, is_recorded, record_error, set_attribute};

/// The git commit of this build, or `unknown`.
pub const REVISION: &str = env!("EMOJIVOTO_REVISION");

/// An error at start; its chain of sources goes to the log.
type Error = Box<dyn std::error::Error + Send + Sync>;

/// How a process is observed.
#[derive(Debug)]
pub struct Observability {
    metrics: Arc<Metrics>,
    exports: Exports,
    requests: RequestLog,
    /// Where lines go, if there are logs.
    output: Option<logs::Lines>,
}

impl Observability {
    /// By metrics, and by traces as these `OTEL_…` variables ask for, in the name of the services that are asked for.
    /// To be called inside of a tokio runtime.
    pub fn new(variables: impl Fn(&str) -> Option<OsString>) -> Result<Self, Error> {
        let settings = Settings::from_env(variables)?;
        Self::exporting(settings, Hosted::Several, RequestLog::default())
    }

    /// The same, and by logs, which are those of the process from now on: under this name, where they are exported.
    pub fn start(
        settings: Settings,
        hosted: Hosted,
        name: &'static str,
        args: &LogArgs,
    ) -> Result<(Self, Logs), Error> {
        let mut observability = Self::exporting(settings, hosted, args.request_log)?;
        let Self { metrics, exports, output, .. } = &mut observability;
        let (logs, lines, dropped) =
            logs::init(args, exports.log_layer(name), exports.exports_traces())?;
        *output = Some(lines);
        metrics.registry(|registry| registry.register_collector(Box::new(dropped)));
        exports.announce();
        Ok((observability, logs))
    }

    fn exporting(settings: Settings, hosted: Hosted, requests: RequestLog) -> Result<Self, Error> {
        let metrics = Arc::new(Metrics::of_process());
        let exports = Exports::new(settings, hosted, &metrics)?;
        Ok(Self { metrics, exports, requests, output: None })
    }

    /// How a service of the process is observed. It reports under this name.
    pub fn service(&self, name: &'static str) -> Telemetry {
        Telemetry {
            metrics: Arc::clone(&self.metrics),
            spans: Spans::new(self.exports.tracer(name), self.exports.propagator()),
            exports: Some(self.exports.clone()),
            requests: self.requests,
        }
    }

    /// Says something on standard output, after the lines of before.
    pub fn say(&self, text: &str) {
        let text = format!("{text}\n");
        let _ = match self.output.as_ref() {
            Some(mut lines) => lines.write_all(text.as_bytes()),
            None => io::stdout().write_all(text.as_bytes()), // nobody may be listening
        };
    }

    /// All metrics of the process, as a scraper reads them.
    pub fn render(&self, format: metrics::Format) -> String {
        self.metrics.render(format)
    }

    /// What is counted of each RPC and route now, by their places in `figures`.
    pub fn counts(&self, figures: &mut Figures) -> Vec<Counts> {
        self.metrics.counts(figures)
    }

    /// The last failure of each kind, the newest first.
    pub fn failures(&self) -> Vec<Failure> {
        self.metrics.failures.last()
    }

    /// Adds to the metrics of the process.
    pub fn register(&self, add: impl FnOnce(&mut prometheus::registry::Registry)) {
        self.metrics.registry(add);
    }

    /// Exports what is left, for at most that long.
    pub async fn shutdown(&self, within: Duration) {
        self.exports.shutdown(within).await;
    }
}
