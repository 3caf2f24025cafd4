//! The web front end: ballot, leaderboard and HTTP API.
//!
//! `router` is the way in, `routes` what it leads to, `app` what those share, `observe` what is seen of it, `faults` what goes wrong on purpose, `upstream` the two gRPC services behind it,
//! `error` everything that can go wrong and what a client is told of it.

mod app;
mod assets;
mod error;
mod faults;
mod leaderboard;
mod live;
mod observe;
mod refuse;
mod router;
mod routes;
mod settings;
mod upstream;
mod views;
mod vote;

use std::{process::ExitCode, sync::Arc, time::Duration};

use app::App;
use emojivoto_runtime::{
    Error, Lifecycle, http,
    process::{self, Role},
};
use emojivoto_telemetry::Telemetry;
pub use settings::{Backends, FrontEnd, LbPolicy, Settings};
use tokio::net::TcpListener;

/// How often backends are asked for a first answer while web is starting.
const FIRST_ANSWER_INTERVAL: Duration = Duration::from_millis(100);

/// All that the binary's `main` does. Called `emojivoto-vote-bot`, it is the bot, as
/// `docs/decisions/0007-two-names-for-one-binary.md` says.
pub fn main() -> ExitCode {
    if process::is_called(emojivoto_vote_bot::BINARY) {
        return emojivoto_vote_bot::main();
    }
    process::main(
        "emojivoto-web",
        env!("CARGO_PKG_DESCRIPTION"),
        Role::Service("web"),
        async |settings: Settings, process| {
            let listener = process.listen("WEB_PORT", settings.web_port).await?;
            process.spawn("web", |lifecycle, telemetry| {
                serve(settings.backends, settings.front_end, listener, telemetry, lifecycle)
            });
            Ok(())
        },
    )
}

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
    let refusal = refuse::refusal(&telemetry);
    faults::tell(&app, &lifecycle);
    let router = router::router(Arc::clone(&app), telemetry, &lifecycle);
    let helpers = async {
        tokio::join!(first_answers(&app, &lifecycle), live::poll(&app.live, &app.upstreams))
    };
    tokio::select! {
        served = http::serve_or_refuse(listener, router, refusal, &lifecycle) => Ok(served?),
        ((), never) = helpers => match never {},
    }
}

async fn first_answers(app: &App, lifecycle: &Lifecycle) {
    while let Err(error) = app.upstreams.answer().await {
        tracing::debug!(error = &error as &dyn std::error::Error, "waiting for the backends");
        tokio::time::sleep(FIRST_ANSWER_INTERVAL).await;
    }
    lifecycle.ready();
}
