//! What the bot counts: the votes it sent, and what became of them.

use std::{
    array, fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use emojivoto_proto::Shortcode;
use emojivoto_runtime::telemetry::{
    OTHER,
    prometheus::{
        collector::Collector,
        encoding::{DescriptorEncoder, EncodeMetric as _},
        metrics::{MetricType, counter::ConstCounter},
    },
};
use http::StatusCode;

/// What became of a vote, as web told.
const OUTCOMES: [&str; 4] = ["counted", "refused", "failed", "unanswered"];
const COUNTED: usize = 0;
const REFUSED: usize = 1;
const FAILED: usize = 2;
const UNANSWERED: usize = 3;

/// By emoji: those that are on the ballot that the bot was built with, and the last for all others,
/// because which emoji there are is told from outside.
type ByEmoji<T> = [T; Shortcode::COUNT + 1];

/// `emojivoto_bot_votes_sent_total` and `emojivoto_bot_votes_total`.
#[derive(Debug)]
pub(crate) struct Votes {
    sent: ByEmoji<AtomicU64>,
    ended: ByEmoji<[AtomicU64; OUTCOMES.len()]>,
}

impl Votes {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            sent: array::from_fn(|_| AtomicU64::default()),
            ended: array::from_fn(|_| Default::default()),
        })
    }

    /// Counts a vote from when it is sent. Without an answer it stays unanswered.
    pub(crate) fn send(self: &Arc<Self>, choice: &str) -> Sent {
        let emoji = choice.parse().map_or(Shortcode::COUNT, Shortcode::index);
        self.sent[emoji].fetch_add(1, Relaxed);
        Sent { votes: Arc::clone(self), emoji, outcome: UNANSWERED }
    }
}

/// A vote on its way; what became of it is counted when this is dropped.
#[derive(Debug)]
pub(crate) struct Sent {
    votes: Arc<Votes>,
    emoji: usize,
    outcome: usize,
}

impl Sent {
    pub(crate) fn answered(mut self, status: StatusCode) {
        self.outcome = match status {
            status if status.is_success() => COUNTED,
            status if status.is_client_error() => REFUSED,
            _ => FAILED,
        };
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.votes.ended[self.emoji][self.outcome].fetch_add(1, Relaxed);
    }
}

impl Collector for Votes {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let emoji = || Shortcode::all().map(Shortcode::as_str).chain([OTHER]);
        let (name, help) = ("emojivoto_bot_votes_sent", "Votes sent");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (emoji, votes) in emoji().zip(&self.sent) {
            let labels = [("emoji", emoji)];
            ConstCounter::new(votes.load(Relaxed)).encode(family.encode_family(&labels)?)?;
        }
        let (name, help) = ("emojivoto_bot_votes", "Votes that ended, by what became of them");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (emoji, outcomes) in emoji().zip(&self.ended) {
            for (outcome, votes) in OUTCOMES.into_iter().zip(outcomes) {
                let votes = votes.load(Relaxed);
                // What every vote should become is there from the start, the rest when it is seen.
                if outcome == OUTCOMES[COUNTED] || votes > 0 {
                    let labels = [("emoji", emoji), ("outcome", outcome)];
                    ConstCounter::new(votes).encode(family.encode_family(&labels)?)?;
                }
            }
        }
        Ok(())
    }
}
