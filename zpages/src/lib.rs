//! The live page of the admin port: every RPC and route, and what faults should do to them. In the manner of
//! OpenCensus' zPages, of which `rpcz` was one.
//!
//! `sources` is where it all comes from, `history` what was counted when, `report` what there is to say, `page` how that
//! looks and `words` how it reads, `watch` who looks. While nobody does, nothing of it runs.

mod history;
mod page;
mod report;
mod sources;
mod watch;
mod words;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
    routing::get,
};
use emojivoto_style::CONTENT_SECURITY_POLICY;
use emojivoto_telemetry::{gzip, metrics::takes_gzip};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Deserialize;
pub use sources::{Faults, Sources, Success};
pub use watch::Zpages;

/// The routes: `/` is the page, or with `?format=json` what it says; `/events` keeps it up to date; `/static/{file}` are its
/// parts.
pub fn router(zpages: Arc<Zpages>) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/events", get(events))
        .with_state(zpages)
        .route("/static/{file}", get(asset))
}

#[derive(Debug, Deserialize)]
struct Asked {
    format: Option<String>,
}

async fn page(
    State(zpages): State<Arc<Zpages>>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let as_json = match asked.format.as_deref() {
        None | Some("html") => false,
        Some("json") => true,
        Some(_) => {
            let problem = "format: expected json or html\n";
            return (StatusCode::BAD_REQUEST, problem).into_response();
        }
    };
    let Some(report) = zpages.report().await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    if as_json {
        return (NOT_KEPT, Json(report)).into_response();
    }
    let Ok(html) = page::page(&report) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let of_html = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::VARY, HeaderValue::from_static("accept-encoding")),
    ];
    if takes_gzip(&headers) {
        let encoding = [(header::CONTENT_ENCODING, "gzip")];
        (NOT_KEPT, of_html, encoding, gzip(html.as_bytes())).into_response()
    } else {
        (NOT_KEPT, of_html, html).into_response()
    }
}

/// What is true now is wrong in a second.
const NOT_KEPT: [(HeaderName, HeaderValue); 1] =
    [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];

async fn events(State(zpages): State<Arc<Zpages>>) -> Response {
    let Some(events) = zpages.watch() else {
        let problem = "there are too many viewers at the moment\n";
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "10")], problem)
            .into_response();
    };
    (NOT_KEPT, [(header::CONTENT_TYPE, "text/event-stream")], events).into_response()
}

async fn asset(Path(file): Path<String>) -> Response {
    match page::assets().at(&file) {
        Some(asset) => asset.response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
