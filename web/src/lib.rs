//! The web front end: ballot, leaderboard and HTTP API.
//!
//! `router` is the way in, `routes` what it leads to, `app` what those share, `observe` what is seen of it, `upstream` the two gRPC services behind it,
//! `error` everything that can go wrong and what a client is told of it.

mod app;
mod assets;
mod error;
mod leaderboard;
mod live;
mod observe;
mod router;
mod routes;
mod settings;
mod upstream;
mod views;
mod vote;

use std::{sync::Arc, time::Duration};

use app::App;
use emojivoto_runtime::{Error, Lifecycle, http};
use emojivoto_telemetry::Telemetry;
pub use settings::{Backends, FrontEnd, LbPolicy, Settings};
use tokio::net::TcpListener;

/// How often backends are asked for a first answer while web is starting.
const FIRST_ANSWER_INTERVAL: Duration = Duration::from_millis(100);

/// Serves the front end on `listener` until told to stop. Ready once both backends have answered.
pub async fn serve(
    backends: Backends,
    settings: FrontEnd,
    listener: TcpListener,
    telemetry: Telemetry,
    lifecycle: Lifecycle,
) -> Result<(), Error> {
    backends.check()?;
    let app = Arc::new(App::new(&backends, settings, &telemetry, lifecycle.clone()));
    let router = router::router(Arc::clone(&app), telemetry);
    let helpers = async {
        tokio::join!(first_answers(&app, &lifecycle), live::poll(&app.live, &app.upstreams))
    };
    tokio::select! {
        served = http::serve(listener, router, &lifecycle) => Ok(served?),
        ((), never) = helpers => match never {},
    }
}

async fn first_answers(app: &App, lifecycle: &Lifecycle) {
    while let Err(error) = app.upstreams.leaderboard().await {
        tracing::debug!(error = &error as &dyn std::error::Error, "waiting for the backends");
        tokio::time::sleep(FIRST_ANSWER_INTERVAL).await;
    }
    lifecycle.ready();
}
