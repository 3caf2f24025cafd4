//! Settings that every process has, and the parsers of values that several have.
//!
//! A setting is a flag and an environment variable of the same name. What does not parse is
//! refused at start, with the name, the value and what is expected.

mod host_port;

use std::{num::NonZeroU32, time::Duration};

use clap::Args;
pub use emojivoto_faults::{InvalidDuration, go_duration, timeout};
use emojivoto_telemetry::LogArgs;
pub use emojivoto_telemetry::share;
pub use host_port::{HostPort, InvalidHostPort};

use crate::faults::FaultArgs;

/// What every process can be told.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Settings of every service")]
pub struct Common {
    /// Port of the admin server (a live page at /, and /live, /ready, /metrics); 0 takes any free port
    #[arg(long, env, default_value = "8801", value_parser = port, global = true)]
    pub prom_port: u16,

    /// How long to go on serving after SIGTERM, not ready, so that load balancers can look elsewhere
    #[arg(long, env, default_value = "0s", value_parser = go_duration)]
    pub shutdown_delay: Duration,

    /// How long requests in flight may take to finish after that
    #[arg(long, env, default_value = "10s", value_parser = go_duration)]
    pub shutdown_grace: Duration,

    /// Connections that each service has open at a time; for one more, those that have been idle longest are closed
    #[arg(long, env, default_value = "1024", value_parser = positive)]
    pub max_connections: NonZeroU32,

    /// Requests that each service answers at a time; more are refused with 503 or RESOURCE_EXHAUSTED
    #[arg(long, env, default_value = "512", value_parser = positive)]
    pub max_requests: NonZeroU32,

    /// What goes wrong on purpose.
    #[command(flatten)]
    pub faults: FaultArgs,

    /// What is logged, and how.
    #[command(flatten)]
    pub logs: LogArgs,

    /// The OpenCensus agent of v11; accepted with a warning
    #[arg(long, env, hide = true)]
    pub oc_agent_host: Option<String>,
}

/// Parses a port; 0 stands for any free one.
pub fn port(text: &str) -> Result<u16, &'static str> {
    text.parse().map_err(|_| "expected a port number from 0 to 65535")
}

/// Parses how many of something there may be.
pub fn positive(text: &str) -> Result<NonZeroU32, &'static str> {
    text.parse().map_err(|_| "expected a whole number from 1 to 4294967295")
}

/// Parses a yes or no.
pub fn boolean(text: &str) -> Result<bool, &'static str> {
    text.parse().map_err(|_| "expected true or false")
}
