//! Casts votes against web for ever, or until its TTL ends.
//!
//! `choice` is what it votes for, `client` how it talks to web, and here is when.

mod choice;
mod client;
mod metrics;
mod settings;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use choice::Chooser;
use client::{Answer, Client, WebAway};
use emojivoto_runtime::{
    Error, Lifecycle,
    process::{self, Role},
};
use emojivoto_telemetry::Telemetry;
use metrics::Votes;
pub use settings::{InvalidWebHost, Settings, VotingSettings, WebHost};
use tokio::{task::JoinSet, time::interval};

/// Votes that may wait for web at the same time; beyond, the bot keeps to the pace of web.
const MAX_IN_FLIGHT: usize = 64;
/// How long the bot waits between tries while web is away: at first, and, doubled each time, at most.
const FIRST_BACKOFF: Duration = Duration::from_millis(250);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);
/// A bot that fell behind by more than this does not catch up.
const MAX_LAG: Duration = Duration::from_secs(1);

/// The name of its binary, and the name by which it can be called in that of web.
pub const BINARY: &str = "emojivoto-vote-bot";

/// All that a binary's `main` does to be the bot.
pub fn main() -> ExitCode {
    process::main(
        BINARY,
        env!("CARGO_PKG_DESCRIPTION"),
        Role::Service("vote-bot"),
        async |settings: Settings, process| {
            process.spawn("vote-bot", |lifecycle, telemetry| {
                run(settings.web_host, settings.voting, telemetry, lifecycle)
            });
            Ok(())
        },
    )
}

/// Votes until told to stop, or until the TTL ends; votes in flight are finished.
pub async fn run(
    web_host: WebHost,
    voting: VotingSettings,
    telemetry: Telemetry,
    lifecycle: Lifecycle,
) -> Result<(), Error> {
    let mut chooser = Chooser::new(voting.seed);
    let mut pace = interval(Duration::from_secs_f64(voting.request_rate.recip()));
    let telemetry = telemetry.starting_traces();
    let client = Client::new(web_host, voting.host_override.clone(), telemetry.clone())?;
    let bot = Bot { client, votes: Votes::new(&telemetry), telemetry };
    let mut votes = JoinSet::new();
    let mut backoff: Option<Duration> = None;
    let mut end = std::pin::pin!(end(voting.time_to_live(), &lifecycle));
    lifecycle.ready();
    tracing::info!(target: "vote-bot", "voting at {}, {} per second", bot.client.web(), voting.request_rate);
    loop {
        let room = if backoff.is_some() { 1 } else { MAX_IN_FLIGHT };
        tokio::select! {
            () = &mut end => break,
            due = pace.tick(), if votes.len() < room => {
                if due.elapsed() > MAX_LAG {
                    pace.reset();
                }
                votes.spawn(bot.clone().vote(chooser.fork()));
            }
            Some(vote) = votes.join_next() => {
                // Votes that were on their way when web went away tell nothing new.
                let last = votes.is_empty();
                match (vote?, backoff) {
                    (Ok(()), Some(_)) if last => {
                        tracing::info!(target: "vote-bot", "web is back");
                        backoff = None;
                        pace.reset();
                    }
                    (Err(away), None) => {
                        tracing::warn!(
                            target: "vote-bot",
                            error = &away as &dyn std::error::Error,
                            "no vote; trying again until web is back"
                        );
                        backoff = Some(FIRST_BACKOFF);
                        pace.reset_after(FIRST_BACKOFF);
                    }
                    (Err(_), Some(wait)) if last => {
                        let wait = (wait * 2).min(LONGEST_BACKOFF);
                        backoff = Some(wait);
                        pace.reset_after(wait);
                    }
                    _ => {}
                }
            }
        }
    }
    while votes.join_next().await.is_some() {}
    Ok(())
}

async fn end(time_to_live: Option<Duration>, lifecycle: &Lifecycle) {
    let ttl = async {
        match time_to_live {
            Some(ttl) => tokio::time::sleep(ttl).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = ttl => tracing::info!(target: "vote-bot", "TTL is over"),
        () = lifecycle.shutdown() => {}
    }
}

/// What every vote needs. Clones share it.
#[derive(Debug, Clone)]
struct Bot {
    client: Client,
    votes: Votes,
    telemetry: Telemetry,
}

impl Bot {
    /// Asks for the ballot, votes for an emoji, and prints a line. An answer of web, even a bad one,
    /// is a vote that was cast; no answer is an error.
    async fn vote(self, mut chooser: Chooser) -> Result<(), WebAway> {
        let ballot = self.client.list().await?;
        let choice = chooser.choose(&ballot);
        let (start, sent) = (Instant::now(), self.votes.send(choice));
        let Answer { status, context, .. } = self.client.vote(choice).await?;
        sent.answered(status);
        if self.telemetry.logs_request(!status.is_success()) {
            let _in_trace = context.attach();
            let mark = if status.is_success() { '✔' } else { '✖' };
            let (elapsed, status) = (start.elapsed().as_secs_f64() * 1_000.0, status.as_u16());
            tracing::info!(target: "vote-bot", "{mark} {choice} {status} {elapsed:.1}ms");
        }
        Ok(())
    }
}
