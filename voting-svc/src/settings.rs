//! What the voting service can be told.

use std::time::Duration;

use clap::{ArgAction, Args};
use emojivoto_runtime::settings::{boolean, go_duration, port, share, timeout};

use crate::store::{Once, Place};

/// The settings of voting-svc.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// Port of the gRPC server; 0 takes any free port
    #[arg(long, env, default_value = "8080", value_parser = port)]
    pub grpc_port: u16,

    /// Where votes are kept.
    #[command(flatten)]
    pub store: StoreSettings,

    /// How the poll misbehaves on purpose.
    #[command(flatten)]
    pub poll: PollSettings,
}

/// Where votes are kept, and how long each is known again.
#[derive(Debug, Clone, Args)]
pub struct StoreSettings {
    /// Where votes are kept: memory, file:PATH, redis://HOST, rediss://HOST (TLS) or redis+cluster://HOST,HOST
    #[arg(long, env, default_value = "memory", global = true)]
    pub votes_store: Place,

    /// How long a vote that comes again under the same Idempotency-Key is not counted again
    #[arg(long, env, default_value = "10m", value_parser = timeout)]
    pub votes_once_window: Duration,

    /// The most votes that are known again; where more come within VOTES_ONCE_WINDOW, the oldest are forgotten
    #[arg(long, env, default_value = "100000", value_parser = keys)]
    pub votes_once_keys: usize,
}

impl StoreSettings {
    /// How much of what has come is known again.
    pub fn once(&self) -> Once {
        Once { window: self.votes_once_window, most: self.votes_once_keys }
    }
}

/// More would take a gigabyte of memory.
const MAX_KEYS: usize = 10_000_000;

fn keys(text: &str) -> Result<usize, &'static str> {
    let keys: Option<usize> = text.parse().ok();
    keys.filter(|keys| (1..=MAX_KEYS).contains(keys))
        .ok_or("expected a whole number from 1 to 10000000")
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

    /// Whether a vote that comes again under the same Idempotency-Key is not counted again: true or false
    #[arg(long, env, default_value = "true", action = ArgAction::Set, value_parser = boolean)]
    pub votes_once: bool,
}
