//! What the voting service can be told.

use std::time::Duration;

use clap::Args;
use emojivoto_runtime::settings::{go_duration, port, share};

/// The settings of voting-svc.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// Port of the gRPC server; 0 takes any free port
    #[arg(long, env, default_value = "8080", value_parser = port)]
    pub grpc_port: u16,

    /// How the poll misbehaves on purpose.
    #[command(flatten)]
    pub poll: PollSettings,
}

/// How the poll misbehaves on purpose.
#[derive(Debug, Clone, Args)]
pub struct PollSettings {
    /// Share of the votes broken on purpose that fail, from 0.0 (none) to 1.0 (all)
    #[arg(long, env, default_value = "1.0", value_parser = share)]
    pub failure_rate: f64,

    /// How long every vote is held before it is counted, such as 150ms or 1.5s
    #[arg(long, env, default_value = "0s", value_parser = go_duration)]
    pub artificial_delay: Duration,
}
