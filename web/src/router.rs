//! The router: which address leads where, and what every request passes on its way there.

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    response::Response,
    routing::{any, get, post},
};
use emojivoto_runtime::{
    Lifecycle,
    faults::{HEADER as FAULT, Injecting, Working},
};
use emojivoto_style::CONTENT_SECURITY_POLICY;
use emojivoto_telemetry::Telemetry;
use http::{HeaderName, HeaderValue, header};
use tower::util::MapResponse;
use tower_http::compression::CompressionLayer;

use crate::{
    app::App,
    assets,
    error::Error,
    faults::{self, Http},
    observe::Observe,
    routes::{api, kept, pages},
    vote::MAX_BODY_BYTES,
};

/// What [`router`] makes.
pub(crate) type Front =
    Observe<MapResponse<Injecting<Working<Router>, Http>, fn(Response) -> Response>>;

/// All routes, with what is around them.
pub(crate) fn router(app: Arc<App>, telemetry: Telemetry, lifecycle: &Lifecycle) -> Front {
    let faults = Http(Arc::clone(&app));
    let error_pages = middleware::map_response_with_state(Arc::clone(&app), pages::error_page);
    // A body is read no further than this.
    let body_limit = DefaultBodyLimit::max(MAX_BODY_BYTES);
    let api_vote = post(api::post_vote).layer(body_limit).get(api::vote);
    let pages = Router::new()
        .route("/", get(pages::ballot))
        .route("/picked", get(pages::picked))
        .route("/leaderboard", get(pages::leaderboard))
        .route("/static/{file}", get(assets::serve))
        .method_not_allowed_fallback(method_not_allowed)
        // Outside of the routes, so that it sees the errors of all of them.
        .layer(error_pages.clone());
    let data = Router::new()
        .route("/api/list", get(api::list))
        .route("/api/leaderboard", get(api::leaderboard))
        .route("/openapi.json", get(api::document))
        .method_not_allowed_fallback(method_not_allowed);
    // What is read shrinks to a fifth. Never what votes: a client that accepts neither an encoding of ours nor
    // none gets 406 from this layer, and by then its vote would have been counted.
    let compressed = pages
        .merge(data)
        .layer(CompressionLayer::new())
        .layer(middleware::map_response(kept::compressed_before));
    let uncompressed = Router::new()
        .route("/vote", post(pages::vote).layer(body_limit))
        .route("/leaderboard/live", get(pages::live))
        .route("/img/favicon.ico", get(assets::favicon))
        .route("/favicon.ico", get(assets::favicon)) // where browsers look when a page does not say
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(error_pages);
    let api = Router::new() // whose errors are JSON, not pages
        // HEAD would run the handler of GET, and count a vote that nobody wanted.
        .route("/api/vote", api_vote.head(no_vote).fallback(no_vote))
        .route("/api", any(not_found))
        .route("/api/", any(not_found))
        .route("/api/{*nothing}", any(not_found));
    let router = compressed.merge(uncompressed).merge(api).with_state(app);
    // Around the router, not layers of it: each of those is boxed, and cloned for each request.
    let router = Injecting::new(Working::new(router, lifecycle), faults, lifecycle);
    let announces = lifecycle.faults().announces();
    let headers = if announces { with_headers_and_fault } else { with_headers };
    let router = MapResponse::new(router, headers as _);
    // Outermost, so that what is seen is what was sent.
    Observe::new(router, telemetry)
}

/// The same, and names the faults that struck where web asked: whoever looks at web alone shall not take them for a bug.
fn with_headers_and_fault(response: Response) -> Response {
    let mut response = with_headers(response);
    if let Some(faults) = faults::of(&response)
        && let Ok(faults) = HeaderValue::from_str(&faults)
    {
        response.headers_mut().insert(FAULT, faults);
    }
    response
}

/// Adds what every answer has, unless it says otherwise.
fn with_headers(mut response: Response) -> Response {
    const HEADERS: [(HeaderName, HeaderValue); 4] = [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        // What is counted now is wrong in a second.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    let headers = response.headers_mut();
    headers.reserve(HEADERS.len());
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(value);
    }
    response
}

async fn not_found() -> Error {
    Error::NotFound
}

async fn no_vote() -> ([(HeaderName, &'static str); 1], Error) {
    ([(header::ALLOW, "GET, POST")], Error::MethodNotAllowed)
}

async fn method_not_allowed() -> Error {
    Error::MethodNotAllowed
}
