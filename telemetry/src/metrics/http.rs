//! HTTP requests, by the names of OpenTelemetry's semantic conventions as Prometheus writes them:
//! <https://opentelemetry.io/docs/specs/semconv/http/http-metrics/>.

use std::{sync::Arc, time::Duration};

use http::{Method, StatusCode};
use opentelemetry::Context;
use prometheus_client::{
    encoding::{EncodeLabel as _, EncodeLabelSet, LabelSetEncoder},
    metrics::{family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use super::{
    Place,
    durations::{Durations, DurationsBy, observe},
};
use crate::{
    failures::{Ended, Failures, Why},
    operation::Side,
};

/// Seconds: those of the conventions, and three below them, where our answers are.
pub(super) const BOUNDS: [f64; 17] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0,
    7.5, 10.0,
];

/// What stands for everything that is not known.
pub const OTHER: &str = "_OTHER";

/// Why there is no status if the client went away: the value of `error.type`.
pub const CANCELLED: &str = "cancelled";

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
pub struct HttpMetrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    durations: DurationsBy<Labels>,
    active: Family<Requested, Gauge>,
    side: Side,
    failures: Failures,
}

/// The labels of a request, of which the second is that of its place.
type Requested = [(&'static str, &'static str); 2];

impl HttpMetrics {
    pub(super) fn new(side: Side, failures: Failures) -> Self {
        let durations = Family::new_with_constructor((|| Durations::new(BOUNDS.into_iter())) as _);
        Self(Arc::new(Inner { durations, active: Family::default(), side, failures }))
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let (prefix, help, active_help) = match self.0.side {
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
        let durations = self.0.durations.clone();
        registry.register_with_unit("request_duration", help, Unit::Seconds, durations);
        registry.register("active_requests", active_help, self.0.active.clone());
    }

    /// Counts a request from its start to its end. `template` is that of its path: one of a set that the program knows,
    /// or [`OTHER`].
    pub fn start(&self, method: &Method, template: &'static str) -> HttpRequest {
        let method = known(method).unwrap_or(OTHER);
        let name = match self.0.side {
            Side::Server => "http_route",
            Side::Client => "url_template",
        };
        let labels = [("http_request_method", method), (name, template)];
        let active = self.0.active.get_or_create_owned(&labels);
        active.inc();
        HttpRequest { metrics: self.clone(), active, labels }
    }
}

/// A request that has not ended. It is no longer active when it is dropped.
#[derive(Debug)]
pub struct HttpRequest {
    metrics: HttpMetrics,
    active: Gauge,
    labels: Requested,
}

impl HttpRequest {
    /// Counts how it ended. If it failed, `why` says why.
    pub fn ended(&self, outcome: Outcome, took: Duration, context: &Context, why: Why<'_>) {
        // Nor does it add a label when the other side makes one up.
        let made_up = |status: StatusCode| {
            self.metrics.0.side == Side::Client && status.canonical_reason().is_none()
        };
        let outcome = match outcome {
            Outcome::Status(status) if made_up(status) => Outcome::None(OTHER),
            known => known,
        };
        let labels = Labels { requested: self.labels, outcome };
        let Inner { durations, side, failures, .. } = &*self.metrics.0;
        observe(&durations.get_or_create(&labels), took, context);
        let [_, (_, template)] = self.labels;
        if let Some(status) = outcome.failed() {
            let place = match side {
                Side::Server => Place::Route { http_route: template },
                Side::Client => Place::Url { url_template: template },
            };
            failures.keep((*side, place, status), why, context);
        }
    }
}

impl Outcome {
    /// How it failed, if it did: not if the client is who did something wrong, or went away.
    fn failed(self) -> Option<Ended> {
        match self {
            Self::Status(status) => status.is_server_error().then_some(Ended::Status(status)),
            Self::None(CANCELLED) => None,
            Self::None(reason) => Some(Ended::None(reason)),
        }
    }
}

impl Drop for HttpRequest {
    fn drop(&mut self) {
        self.active.dec();
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Labels {
    requested: Requested,
    outcome: Outcome,
}

impl EncodeLabelSet for Labels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> std::fmt::Result {
        let outcome = match &self.outcome {
            Outcome::Status(status) => ("http_response_status_code", status.as_str()),
            Outcome::None(error) => ("error_type", *error),
        };
        let [method, template] = self.requested;
        let labels = [method, template, outcome];
        labels.iter().try_for_each(|label| label.encode(encoder.encode_label()))
    }
}
