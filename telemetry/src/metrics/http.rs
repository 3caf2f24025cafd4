//! HTTP requests, by the names of OpenTelemetry's semantic conventions as Prometheus writes them:
//! <https://opentelemetry.io/docs/specs/semconv/http/http-metrics/>.

use std::time::Duration;

use http::{Method, StatusCode};
use opentelemetry::Context;
use prometheus_client::{
    encoding::{EncodeLabel as _, EncodeLabelSet, LabelSetEncoder},
    metrics::{family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use super::durations::{Durations, DurationsBy, observe};
use crate::operation::Side;

/// Seconds: those of the conventions, and three below them, where our answers are.
const BOUNDS: [f64; 17] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0,
    7.5, 10.0,
];

/// What stands for everything that is not known.
pub const OTHER: &str = "_OTHER";

/// The methods that the conventions know.
const METHODS: [&str; 9] =
    ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"];

/// The method, if it is one that the conventions know.
pub fn known(method: &Method) -> Option<&'static str> {
    METHODS.into_iter().find(|known| *known == method.as_str())
}

/// How a request ended: a status, or the reason why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// An answer came.
    Status(StatusCode),
    /// None came; the value of `error.type`.
    None(&'static str),
}

/// The requests that a process answers, or makes. Clones count together.
#[derive(Debug, Clone)]
pub struct HttpMetrics {
    durations: DurationsBy<Labels>,
    active: Family<[(&'static str, &'static str); 1], Gauge>,
}

impl Default for HttpMetrics {
    fn default() -> Self {
        let durations = Family::new_with_constructor((|| Durations::new(BOUNDS.into_iter())) as _);
        Self { durations, active: Family::default() }
    }
}

impl HttpMetrics {
    pub(super) fn register(&self, side: Side, registry: &mut Registry) {
        let (prefix, help, active_help) = match side {
            Side::Server => (
                "http_server",
                "Time from the head of a request to the head of its response",
                "Requests being answered",
            ),
            Side::Client => (
                "http_client",
                "Time from a request to the end of its response",
                "Requests waiting for their response",
            ),
        };
        let registry = registry.sub_registry_with_prefix(prefix);
        let durations = self.durations.clone();
        registry.register_with_unit("request_duration", help, Unit::Seconds, durations);
        registry.register("active_requests", active_help, self.active.clone());
    }

    /// Counts a request from its start to its end. `route` is the label that its path goes by, and the template
    /// of the path: one of a set that the program knows, or [`OTHER`].
    pub fn start(&self, method: &Method, route: (&'static str, &'static str)) -> HttpRequest {
        let method = known(method).unwrap_or(OTHER);
        let active = self.active.get_or_create_owned(&[("http_request_method", method)]);
        active.inc();
        HttpRequest { durations: self.durations.clone(), active, method, route }
    }
}

/// A request that has not ended. It is no longer active when it is dropped.
#[derive(Debug)]
pub struct HttpRequest {
    durations: DurationsBy<Labels>,
    active: Gauge,
    method: &'static str,
    route: (&'static str, &'static str),
}

impl HttpRequest {
    /// Counts how it ended.
    pub fn ended(&self, outcome: Outcome, took: Duration, context: &Context) {
        // Nor does it add a label when the other side makes one up.
        let made_up = |status: StatusCode| status.canonical_reason().is_none();
        let outcome = match outcome {
            Outcome::Status(status) if made_up(status) => Outcome::None(OTHER),
            known => known,
        };
        let labels = Labels { method: self.method, route: self.route, outcome };
        observe(&self.durations.get_or_create(&labels), took, context);
    }
}

impl Drop for HttpRequest {
    fn drop(&mut self) {
        self.active.dec();
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Labels {
    method: &'static str,
    route: (&'static str, &'static str),
    outcome: Outcome,
}

impl EncodeLabelSet for Labels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> std::fmt::Result {
        let outcome = match &self.outcome {
            Outcome::Status(status) => ("http_response_status_code", status.as_str()),
            Outcome::None(error) => ("error_type", *error),
        };
        let labels = [("http_request_method", self.method), self.route, outcome];
        labels.iter().try_for_each(|label| label.encode(encoder.encode_label()))
    }
}
