//! What the routes share.

use std::sync::Arc;

use emojivoto_runtime::Lifecycle;
use emojivoto_telemetry::Telemetry;

use crate::{
    live::Live,
    routes::kept::Answers,
    settings::{Backends, FrontEnd},
    upstream::Upstreams,
    vote::Choices,
};

/// The front end, as its routes see it.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) upstreams: Upstreams,
    pub(crate) choices: Choices,
    pub(crate) live: Arc<Live>,
    pub(crate) kept: Answers,
    message_of_the_day: Option<String>,
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
            choices: Choices::default(),
            live: Live::new(settings.max_viewers, telemetry, lifecycle),
            kept: Answers::default(),
            // A blank one has nothing to say.
            message_of_the_day: settings.message_of_the_day.filter(|text| !text.trim().is_empty()),
        }
    }

    /// The message of the day, if there is something to say.
    pub(crate) fn motd(&self) -> Option<&str> {
        self.message_of_the_day.as_deref()
    }
}
