//! What the routes share.

use std::convert::Infallible;

use axum::response::sse::Event;
use emojivoto_runtime::Lifecycle;
use emojivoto_telemetry::Telemetry;
use futures_util::{Stream, StreamExt as _};

use crate::{
    live::Live,
    settings::{Backends, FrontEnd},
    upstream::Upstreams,
};

/// The front end, as its routes see it.
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
