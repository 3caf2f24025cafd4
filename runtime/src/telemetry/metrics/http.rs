//! HTTP requests, by the names of OpenTelemetry's semantic conventions as Prometheus writes them:
//! <https://opentelemetry.io/docs/specs/semconv/http/http-metrics/>.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

use http::{Method, StatusCode};
use opentelemetry::Context;
use prometheus_client::{
    collector::Collector,
    encoding::{
        DescriptorEncoder, EncodeLabel as _, EncodeLabelSet, EncodeMetric as _, LabelSetEncoder,
    },
    metrics::{MetricType, gauge::ConstGauge},
    registry::Unit,
};

use super::Durations;

/// Seconds: those of the conventions, and three below them, where our answers are.
const BOUNDS: [f64; 17] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0,
    7.5, 10.0,
];

/// What stands for everything that is not known.
pub const OTHER: &str = "_OTHER";

/// The methods that the conventions know.
const METHODS: [&str; 10] =
    ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE", OTHER];

/// Whether the conventions know a method.
pub fn is_known(method: &Method) -> bool {
    METHODS.contains(&method.as_str())
}

/// Statuses that one method of one route may answer with before further ones are no longer told
/// apart; ours have seven at most.
const STATUSES: usize = 16;

/// Who counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Whoever answers.
    Server,
    /// Whoever asks.
    Client,
}

/// The requests that a service answers, or sends. Every label is one of a set that is fixed when it
/// starts.
#[derive(Debug)]
pub struct HttpMetrics {
    side: Side,
    routes: &'static [&'static str],
    /// By route (the last is for all others) and method.
    durations: Vec<[ByStatus; METHODS.len()]>,
    /// By method, each made when first seen.
    active: [OnceLock<AtomicI64>; METHODS.len()],
}

/// Durations by status, each made when first seen: a handful of comparisons, no lock.
type ByStatus = [OnceLock<(Outcome, Durations)>; STATUSES];

/// How a request ended: a status, or the reason why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// An answer came.
    Status(StatusCode),
    /// None came; the value of `error.type`.
    None(&'static str),
}

/// Which request, in numbers.
#[derive(Debug, Clone, Copy)]
struct Place {
    route: usize,
    method: usize,
}

impl HttpMetrics {
    /// `routes` are the templates of the paths that are told apart.
    pub(crate) fn new(side: Side, routes: &'static [&'static str]) -> Arc<Self> {
        let durations = (0..=routes.len()).map(|_| Default::default()).collect();
        Self { side, routes, durations, active: Default::default() }.into()
    }

    /// Counts a request from its start to its end.
    pub fn start(self: &Arc<Self>, route: Option<&str>, method: &Method) -> InFlight {
        let routes = self.routes;
        let known = route.and_then(|route| routes.iter().position(|known| *known == route));
        let method = METHODS.iter().position(|known| *known == method.as_str());
        let place = Place {
            route: known.unwrap_or(routes.len()),
            method: method.unwrap_or(METHODS.len() - 1),
        };
        self.active(place.method).fetch_add(1, Relaxed);
        InFlight { metrics: Arc::clone(self), place }
    }

    fn active(&self, method: usize) -> &AtomicI64 {
        self.active[method].get_or_init(AtomicI64::default)
    }

    fn durations(&self, place: Place, outcome: Outcome) -> &Durations {
        let seen = &self.durations[place.route][place.method];
        let (last, others) = seen.split_last().expect("there are some");
        let mut others =
            others.iter().map(|slot| slot.get_or_init(|| (outcome, Durations::new(&BOUNDS))));
        let found = others.find(|(of, _)| *of == outcome);
        &found
            .unwrap_or_else(|| last.get_or_init(|| (Outcome::None(OTHER), Durations::new(&BOUNDS))))
            .1
    }

    fn labels(&self, Place { route, method }: Place, outcome: Outcome) -> Labels {
        let route = self.routes.get(route).copied().unwrap_or(OTHER);
        Labels { side: self.side, route, method: METHODS[method], outcome }
    }

    fn places(&self) -> impl Iterator<Item = Place> {
        (0..self.durations.len())
            .flat_map(|route| (0..METHODS.len()).map(move |method| Place { route, method }))
    }
}

/// A request that has not ended. It is no longer in flight when it is dropped.
#[derive(Debug)]
pub struct InFlight {
    metrics: Arc<HttpMetrics>,
    place: Place,
}

impl InFlight {
    /// Counts how it ended.
    pub fn end(self, outcome: Outcome, took: Duration, context: Option<&Context>) {
        self.metrics.durations(self.place, outcome).observe(took, context);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.metrics.active(self.place.method).fetch_sub(1, Relaxed);
    }
}

impl Collector for HttpMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let (name, help, active, active_help) = match self.side {
            Side::Server => (
                "http_server_request_duration",
                "Time from the head of a request to the head of its response",
                "http_server_active_requests",
                "Requests being answered",
            ),
            Side::Client => (
                "http_client_request_duration",
                "Time from a request to the end of its response",
                "http_client_active_requests",
                "Requests waiting for their response",
            ),
        };
        let mut family =
            encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
        for place in self.places() {
            for (outcome, durations) in
                self.durations[place.route][place.method].iter().filter_map(OnceLock::get)
            {
                let labels = self.labels(place, *outcome);
                durations.encode(family.encode_family(&labels)?)?;
            }
        }
        let mut family = encoder.encode_descriptor(active, active_help, None, MetricType::Gauge)?;
        for (method, active) in METHODS.into_iter().zip(&self.active) {
            if let Some(active) = active.get() {
                let labels = [("http_request_method", method)];
                ConstGauge::new(active.load(Relaxed)).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Labels {
    side: Side,
    route: &'static str,
    method: &'static str,
    outcome: Outcome,
}

impl EncodeLabelSet for Labels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> std::fmt::Result {
        let route = match self.side {
            Side::Server => "http_route",
            Side::Client => "url_template",
        };
        let outcome = match &self.outcome {
            Outcome::Status(status) => ("http_response_status_code", status.as_str()),
            Outcome::None(error) => ("error_type", *error),
        };
        let labels = [("http_request_method", self.method), (route, self.route), outcome];
        labels.iter().try_for_each(|label| label.encode(encoder.encode_label()))
    }
}
