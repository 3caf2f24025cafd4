//! What the suite can be told when it is one process.

use std::path::PathBuf;

use clap::Args;
use emojivoto_runtime::settings::{boolean, port};
use emojivoto_vote_bot::VotingSettings;
use emojivoto_voting_svc::{PollSettings, StoreSettings};
use emojivoto_web::FrontEnd;

/// The settings of all four services, except for where they find each other.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// Port of the web server; 0 takes any free port
    #[arg(long, env, default_value = "8081", value_parser = port)]
    pub web_port: u16,

    /// Port of emoji-svc
    #[arg(long, env, default_value = "8082", value_parser = port)]
    pub emoji_port: u16,

    /// Port of voting-svc
    #[arg(long, env, default_value = "8083", value_parser = port)]
    pub voting_port: u16,

    /// Leave the voting to people
    #[arg(long, env, value_parser = no_bot)]
    pub no_bot: bool,

    /// Keep the votes in this file, so that they survive: the same as --votes-store file:PATH
    #[arg(long, value_name = "PATH", conflicts_with = "votes_store")]
    pub data: Option<PathBuf>,

    /// Where votes are kept.
    #[command(flatten)]
    pub store: StoreSettings,

    /// How the poll misbehaves on purpose.
    #[command(flatten)]
    pub poll: PollSettings,

    /// What the pages show.
    #[command(flatten)]
    pub front_end: FrontEnd,

    /// How, and how long, the bot votes.
    #[command(flatten)]
    pub bot: VotingSettings,
}

/// Its flag has no value, so only the variable can have a wrong one.
fn no_bot(text: &str) -> Result<bool, String> {
    boolean(text).map_err(|expected| format!("NO_BOT: {expected}"))
}
