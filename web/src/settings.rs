//! What web can be told.

use std::time::Duration;

use clap::Args;
use emojivoto_runtime::settings::{HostPort, port, timeout};

/// The settings of web.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// Port of the web server; 0 takes any free port
    #[arg(long, env, default_value = "8080", value_parser = port)]
    pub web_port: u16,

    /// Where the backends are.
    #[command(flatten)]
    pub backends: Backends,

    /// What the pages show, and how long they may take.
    #[command(flatten)]
    pub front_end: FrontEnd,
}

/// Where the backends are.
#[derive(Debug, Clone, Args)]
pub struct Backends {
    /// Address of emoji-svc, host:port
    #[arg(long, env)]
    pub emojisvc_host: HostPort,

    /// Address of voting-svc, host:port
    #[arg(long, env)]
    pub votingsvc_host: HostPort,
}

/// What the pages show, and how long they may take.
#[derive(Debug, Clone, Args)]
pub struct FrontEnd {
    /// How long a backend may take to answer a call
    #[arg(long, env, default_value = "5s", value_parser = timeout)]
    pub grpc_timeout: Duration,

    /// A line of text above every page
    #[arg(long, env)]
    pub message_of_the_day: Option<String>,
}
