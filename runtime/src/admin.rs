//! The admin server of a process: what orchestrators and monitoring ask it.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{Router, extract::State, response::IntoResponse, routing::get};
use http::{HeaderMap, StatusCode, header};
use tower_http::compression::CompressionLayer;

use crate::{
    lifecycle::Stop,
    telemetry::metrics::{Format, Metrics},
};

/// The services of the process, by name, for `/ready`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Services(Arc<Mutex<Vec<(&'static str, Stop)>>>);

impl Services {
    pub(crate) fn add(&self, name: &'static str, stop: Stop) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((name, stop));
    }

    fn not_ready(&self) -> Vec<&'static str> {
        let services = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        services.iter().filter(|(_, stop)| !stop.is_ready()).map(|(name, _)| *name).collect()
    }
}

/// `/live` answers as long as the process runs, `/ready` with 200 or 503 and the reason, `/metrics`
/// in the format that is asked for.
pub(crate) fn router(services: Services, metrics: Metrics) -> Router {
    Router::new()
        .route("/", get("/live\n/ready\n/metrics\n"))
        .route("/live", get("live\n"))
        .route("/ready", get(ready).with_state(services))
        // A scrape shrinks to a twentieth.
        .route("/metrics", get(scrape).with_state(metrics).layer(CompressionLayer::new()))
}

async fn scrape(State(metrics): State<Metrics>, headers: HeaderMap) -> impl IntoResponse {
    let format = Format::accepted(headers.get(header::ACCEPT));
    ([(header::CONTENT_TYPE, format.content_type())], metrics.render(format))
}

async fn ready(State(services): State<Services>) -> (StatusCode, String) {
    match services.not_ready().as_slice() {
        [] => (StatusCode::OK, "ready\n".to_owned()),
        names => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", names.join(", "))),
    }
}
