//! The router: which address leads where, and what every request passes on its way there.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    response::sse::Event,
    routing::{any, get, post},
};
use emojivoto_runtime::{Lifecycle, Telemetry};
use futures_util::{Stream, StreamExt as _};
use http::{HeaderName, HeaderValue, header};
use tower_http::{compression::CompressionLayer, set_header::SetResponseHeaderLayer};

use crate::{
    assets,
    error::Error,
    live::Live,
    observe::ObserveLayer,
    routes::{api, pages},
    settings::{Backends, FrontEnd},
    upstream::Upstreams,
};

/// No request of ours has a body longer than a choice.
pub(crate) const MAX_BODY_BYTES: usize = 4 * 1024;

/// Everything that a page needs comes from here, and nothing is inline.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The templates of all addresses, by which requests are told apart in metrics and traces.
pub(crate) const ROUTES: &[&str] = &[
    "/",
    "/vote",
    "/picked",
    "/leaderboard",
    "/leaderboard/live",
    "/static/{file}",
    "/img/favicon.ico",
    "/favicon.ico",
    "/api/list",
    "/api/leaderboard",
    "/api/vote",
    "/openapi.json",
];

/// What the routes share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) upstreams: Upstreams,
    pub(crate) live: Live,
    message_of_the_day: Option<String>,
    lifecycle: Lifecycle,
}

impl App {
    pub(crate) fn new(
        backends: &Backends,
        settings: FrontEnd,
        telemetry: &Telemetry,
        lifecycle: Lifecycle,
    ) -> Self {
        Self {
            upstreams: Upstreams::new(backends, settings.grpc_timeout, telemetry),
            live: Live::new(telemetry),
            // A blank one has nothing to say.
            message_of_the_day: settings.message_of_the_day.filter(|text| !text.trim().is_empty()),
            lifecycle,
        }
    }

    /// The message of the day, if there is something to say.
    pub(crate) fn motd(&self) -> Option<&str> {
        self.message_of_the_day.as_deref()
    }

    /// What a viewer of the live leaderboard gets. It ends when web drains, so that the browser
    /// looks for another one and nobody waits for this one.
    pub(crate) fn live_events(&self) -> impl Stream<Item = Result<Event, Infallible>> + use<> {
        self.live.events().take_until(self.lifecycle.draining())
    }
}

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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::ROUTES;
    use crate::routes::api::DOCUMENT;

    #[test]
    fn every_route_is_documented_and_nothing_else_is() {
        let document: Value = serde_json::from_str(DOCUMENT).expect("JSON");
        let paths = document["paths"].as_object().expect("paths");
        let documented: BTreeSet<_> = paths.keys().map(String::as_str).collect();
        assert_eq!(documented, ROUTES.iter().copied().collect());
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    }
}
