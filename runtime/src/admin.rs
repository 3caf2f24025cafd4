//! The admin server of a process: what orchestrators and monitoring ask it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use emojivoto_telemetry::{
    Observability, gzip,
    metrics::{Format, takes_gzip},
};
use http::{HeaderMap, StatusCode, header};

use crate::lifecycle::Stop;

/// The services of the process, by name, for `/ready`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Services(Arc<Mutex<Added>>);

#[derive(Debug, Default)]
struct Added {
    services: Vec<(&'static str, Stop)>,
    complete: bool,
}

impl Services {
    pub(crate) fn add(&self, name: &'static str, stop: Stop) {
        self.added().services.push((name, stop));
    }

    /// What they are called.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.added().services.iter().map(|(name, _)| *name).collect()
    }

    /// Says that no more will be added.
    pub(crate) fn complete(&self) {
        self.added().complete = true;
    }

    /// What the process still waits for.
    fn not_ready(&self) -> Vec<&'static str> {
        let added = self.added();
        let services = added.services.iter().filter(|(_, stop)| !stop.is_ready());
        let mut names: Vec<_> = services.map(|(name, _)| *name).collect();
        if names.is_empty() && !added.complete {
            names.push("starting");
        }
        names
    }

    fn added(&self) -> MutexGuard<'_, Added> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `/live` answers as long as the process runs, `/ready` with 200 or 503 and the reason, `/metrics`
/// in the format that is asked for.
pub(crate) fn router(services: Services, observability: Arc<Observability>) -> Router {
    Router::new()
        .route("/live", get("live\n"))
        .route("/ready", get(ready).with_state(services))
        .route("/metrics", get(scrape).with_state(observability))
}

async fn scrape(State(observability): State<Arc<Observability>>, headers: HeaderMap) -> Response {
    let format = Format::accepted(headers.get(header::ACCEPT));
    let text = observability.render(format);
    let of_text =
        [(header::CONTENT_TYPE, format.content_type()), (header::VARY, "accept, accept-encoding")];
    // To a twentieth. Not by a layer, which would bring every encoding that a page of `web` may have into every binary.
    if takes_gzip(&headers) {
        (of_text, [(header::CONTENT_ENCODING, "gzip")], gzip(text.as_bytes())).into_response()
    } else {
        (of_text, text).into_response()
    }
}

async fn ready(State(services): State<Services>) -> (StatusCode, String) {
    match services.not_ready().as_slice() {
        [] => (StatusCode::OK, "ready\n".to_owned()),
        names => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", names.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::Request;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;
    use crate::Lifecycle;

    async fn ready(services: &Services) -> (u16, String) {
        let observability = Observability::new(|_| None).expect("nothing to fail");
        let request = Request::get("/ready").body(Body::empty()).expect("a request");
        let app = router(services.clone(), Arc::new(observability));
        let answer = app.oneshot(request).await.expect("an answer");
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        (status, String::from_utf8(body.to_vec()).expect("text"))
    }

    #[tokio::test]
    async fn a_process_is_ready_once_all_its_services_are_there_and_ready() {
        let services = Services::default();
        let not_yet = |what: &str| (503, format!("not ready: {what}\n"));
        assert_eq!(ready(&services).await, not_yet("starting"));
        let (web, stop) = Lifecycle::new();
        services.add("web", stop.clone());
        assert_eq!(ready(&services).await, not_yet("web"));
        web.ready();
        assert_eq!(ready(&services).await, not_yet("starting"));
        services.complete();
        assert_eq!(ready(&services).await, (200, "ready\n".to_owned()));
        stop.drain();
        assert_eq!(ready(&services).await, not_yet("web"));
    }
}
