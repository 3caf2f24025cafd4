//! What a process can be told of its logs.

use clap::{Args, ValueEnum};
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::RequestLog;

/// What is logged, and how.
#[derive(Debug, Clone, Args)]
pub struct LogArgs {
    /// How log lines are written, to standard output
    #[arg(long, env, default_value = "text")]
    pub log_format: LogFormat,

    /// What is logged: a level, or directives such as info,voting=debug
    #[arg(long, env, default_value = "info", value_parser = filter)]
    pub rust_log: Targets,

    /// Share of the requests (of web) and votes (of vote-bot, voting-svc) that get a line, from 0.0 (none) to 1.0
    /// (all); those that fail always do, unless it is 0
    #[arg(long, env, default_value = "1.0")]
    pub request_log: RequestLog,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// A JSON object a line, for collectors.
    Json,
}

fn filter(text: &str) -> Result<Targets, &'static str> {
    // To tracing, a word that is no level is a target, and all others are silent: a typing error would end the log.
    let is_directive = |part: &str| part.contains('=') || part.parse::<LevelFilter>().is_ok();
    let filter = text.parse().ok().filter(|_| text.split(',').all(is_directive));
    filter.ok_or("expected a level or directives such as info,voting=debug")
}
