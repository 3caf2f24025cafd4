//! All four services in one process, on loopback: the whole demo by `cargo run --release`.

mod settings;

use std::{fmt::Write as _, net::SocketAddr};

use emojivoto_runtime::{Error, process::Process};
use emojivoto_voting_svc::store::{AnyStore, Place};
use emojivoto_web::Backends;
pub use settings::Settings;

/// A running suite: where its services are.
#[derive(Debug)]
pub struct Suite {
    web: SocketAddr,
    emoji: SocketAddr,
    voting: SocketAddr,
    admin: SocketAddr,
    votes_per_second: Option<f64>,
}

impl Suite {
    /// Starts the suite; returns when all of it is ready.
    pub async fn start(process: &mut Process, settings: Settings) -> Result<Self, Error> {
        let emoji = process.listen("EMOJI_PORT", settings.emoji_port).await?;
        let voting = process.listen("VOTING_PORT", settings.voting_port).await?;
        let web = process.listen("WEB_PORT", settings.web_port).await?;
        let suite = Self {
            web: web.local_addr()?,
            emoji: emoji.local_addr()?,
            voting: voting.local_addr()?,
            admin: process.admin(),
            votes_per_second: (!settings.no_bot).then_some(settings.bot.request_rate),
        };
        let backends = Backends::at(suite.emoji, suite.voting);

        // On a signal they stop in the opposite order: who calls before who is called.
        process.spawn("emoji", |lifecycle, telemetry| {
            emojivoto_emoji_svc::serve(emoji, telemetry, lifecycle)
        });
        process.ready("emoji").await?;
        let once = settings.store.once();
        let place = settings.data.map_or(settings.store.votes_store, Place::File);
        let store = AnyStore::open(&place, once)?;
        process.spawn("voting", |lifecycle, telemetry| {
            emojivoto_voting_svc::serve(settings.poll, store.into(), voting, telemetry, lifecycle)
        });
        process.ready("voting").await?;
        process.spawn("web", |lifecycle, telemetry| {
            emojivoto_web::serve(backends, settings.front_end, web, telemetry, lifecycle)
        });
        process.ready("web").await?;
        if !settings.no_bot {
            process.spawn("vote-bot", |lifecycle, telemetry| {
                emojivoto_vote_bot::run(suite.web.into(), settings.bot, telemetry, lifecycle)
            });
            process.ready("vote-bot").await?;
        }
        Ok(suite)
    }

    /// What a person wants to know once everything is up.
    pub fn banner(&self) -> String {
        let Self { web, emoji, voting, admin, .. } = self;
        let mut banner = format!("\n  emojivoto {} is up\n\n", env!("CARGO_PKG_VERSION"));
        let mut line = |name: &str, value: String| {
            writeln!(banner, "    {name:<12}{value}").expect("writing to a string cannot fail");
        };
        line("ballot", format!("http://localhost:{}", web.port()));
        line("leaderboard", format!("http://localhost:{}/leaderboard", web.port()));
        line("emoji-svc", format!("localhost:{}   gRPC", emoji.port()));
        line("voting-svc", format!("localhost:{}   gRPC", voting.port()));
        line("live page", format!("http://localhost:{}   every RPC, and what fails", admin.port()));
        line("metrics", format!("http://localhost:{}/metrics", admin.port()));
        let bot = self.votes_per_second.map(|rate| format!("{rate} per second"));
        line("vote-bot", bot.unwrap_or_else(|| "off".to_owned()));
        banner.push_str("\n  Ctrl-C ends it.\n");
        banner
    }
}
