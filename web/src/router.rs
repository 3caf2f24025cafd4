//! The router: which address leads where, and what every request passes on its way there.

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{any, get, post},
};
use emojivoto_telemetry::Telemetry;
use http::{HeaderName, HeaderValue, header};
use tower_http::{compression::CompressionLayer, set_header::SetResponseHeaderLayer};

use crate::{
    app::App,
    assets,
    error::Error,
    observe::ObserveLayer,
    routes::{api, pages},
    vote::MAX_BODY_BYTES,
};

/// Everything that a page needs comes from here, and nothing is inline.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// All routes, with the layers around them.
pub(crate) fn router(app: Arc<App>, telemetry: Telemetry) -> Router {
    let error_pages = middleware::map_response_with_state(Arc::clone(&app), pages::error_page);
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
    let compressed = pages.merge(data).layer(CompressionLayer::new());
    let uncompressed = Router::new()
        .route("/vote", post(pages::vote))
        .route("/leaderboard/live", get(pages::live))
        .route("/img/favicon.ico", get(assets::favicon))
        .route("/favicon.ico", get(assets::favicon)) // where browsers look when a page does not say
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(error_pages);
    let api = Router::new() // whose errors are JSON, not pages
        // HEAD would run the handler of GET, and count a vote that nobody wanted.
        .route("/api/vote", get(api::vote).post(api::post_vote).head(no_vote).fallback(no_vote))
        .route("/api", any(not_found))
        .route("/api/", any(not_found))
        .route("/api/{*nothing}", any(not_found));
    let header = |name: HeaderName, value| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    compressed
        .merge(uncompressed)
        .merge(api)
        .with_state(app)
        // A body is read no further than this.
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(header(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .layer(header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(header(header::REFERRER_POLICY, "no-referrer"))
        // What is counted now is wrong in a second.
        .layer(header(header::CACHE_CONTROL, "no-store"))
        // Outermost, so that what is seen is what was sent.
        .layer(ObserveLayer::new(telemetry))
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
