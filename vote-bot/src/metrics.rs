//! What the bot counts: the votes it sent, and what became of them.

use emojivoto_proto::Shortcode;
use emojivoto_telemetry::{
    Telemetry,
    metrics::OTHER,
    prometheus::metrics::{counter::Counter, family::Family},
};
use http::StatusCode;

type Labels<const N: usize> = [(&'static str, &'static str); N];

/// `emojivoto_bot_votes_sent_total` and `emojivoto_bot_votes_total`. Clones count together.
#[derive(Debug, Clone)]
pub(crate) struct Votes {
    sent: Family<Labels<1>, Counter>,
    ended: Family<Labels<2>, Counter>,
}

impl Votes {
    /// What every vote should become is there from the start, the rest when it is seen.
    pub(crate) fn new(telemetry: &Telemetry) -> Self {
        let votes = Self { sent: Family::default(), ended: Family::default() };
        for emoji in Shortcode::all().map(Shortcode::as_str).chain([OTHER]) {
            votes.sent.get_or_create(&[("emoji", emoji)]).inc_by(0);
            votes.ended.get_or_create(&[("emoji", emoji), ("outcome", "counted")]).inc_by(0);
        }
        telemetry.register(|registry| {
            registry.register("emojivoto_bot_votes_sent", "Votes sent", votes.sent.clone());
            let help = "Votes that ended, by what became of them";
            registry.register("emojivoto_bot_votes", help, votes.ended.clone());
        });
        votes
    }

    /// Counts a vote from when it is sent. Without an answer it stays unanswered.
    pub(crate) fn send(&self, choice: &str) -> Sent {
        // Which emoji there are is told from outside: those that the bot was not built with are one label.
        let emoji = choice.parse().map_or(OTHER, Shortcode::as_str);
        self.sent.get_or_create(&[("emoji", emoji)]).inc();
        Sent { votes: self.clone(), emoji, outcome: "unanswered" }
    }
}

/// A vote on its way; what became of it, as web told, is counted when this is dropped.
#[derive(Debug)]
pub(crate) struct Sent {
    votes: Votes,
    emoji: &'static str,
    outcome: &'static str,
}

impl Sent {
    pub(crate) fn answered(mut self, status: StatusCode) {
        self.outcome = match status {
            status if status.is_success() => "counted",
            status if status.is_client_error() => "refused",
            _ => "failed",
        };
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        let labels = [("emoji", self.emoji), ("outcome", self.outcome)];
        self.votes.ended.get_or_create(&labels).inc();
    }
}
