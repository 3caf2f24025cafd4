//! Settings that every process has, and the parsers of values that several have.
//!
//! A setting is a flag and an environment variable of the same name. What does not parse is
//! refused at start, with the name, the value and what is expected.

mod duration;
mod host_port;

use std::time::Duration;

use clap::{Args, ValueEnum};
pub use duration::{InvalidDuration, go_duration, timeout};
pub use host_port::{HostPort, InvalidHostPort};
use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::telemetry::requests::{RequestLog, request_log};

/// What every process can be told.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Settings of every service")]
pub struct Common {
    /// Port of the admin server (/live, /ready, /metrics); 0 takes any free port
    #[arg(long, env, default_value = "8801", value_parser = port, global = true)]
    pub prom_port: u16,

    /// How long to go on serving after SIGTERM, not ready, so that load balancers can look elsewhere
    #[arg(long, env, default_value = "0s", value_parser = go_duration)]
    pub shutdown_delay: Duration,

    /// How long requests in flight may take to finish after that
    #[arg(long, env, default_value = "10s", value_parser = go_duration)]
    pub shutdown_grace: Duration,

    /// How log lines are written, to standard output
    #[arg(long, env, default_value = "text")]
    pub log_format: LogFormat,

    /// What is logged: a level, or directives such as info,voting=debug
    #[arg(long, env, default_value = "info", value_parser = log_filter)]
    pub rust_log: Targets,

    /// Share of the requests (of web) and votes (of vote-bot, voting-svc) that get a line, from 0.0 (none) to 1.0
    /// (all); those that fail always do, unless it is 0
    #[arg(long, env, default_value = "1.0", value_parser = request_log)]
    pub(crate) request_log: RequestLog,

    /// The OpenCensus agent of v11; accepted with a warning
    #[arg(long, env, hide = true)]
    pub oc_agent_host: Option<String>,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// A JSON object a line, for collectors.
    Json,
}

/// Parses a port; 0 stands for any free one.
pub fn port(text: &str) -> Result<u16, &'static str> {
    text.parse().map_err(|_| "expected a port number from 0 to 65535")
}

fn log_filter(text: &str) -> Result<Targets, &'static str> {
    // To tracing, a word that is no level is a target, and all others are silent: a typing error would end the log.
    let is_directive = |part: &str| part.contains('=') || part.parse::<LevelFilter>().is_ok();
    let filter = text.parse().ok().filter(|_| text.split(',').all(is_directive));
    filter.ok_or("expected a level or directives such as info,voting=debug")
}
