//! Votes all the time: those of the bot, and those of voters who try until they are told that their vote counts.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use ::http::Request;
use emojivoto_proto::IdempotencyKey;
use emojivoto_runtime::Lifecycle;
use emojivoto_telemetry::{Observability, metrics::Format};
use emojivoto_testkit::{defaults, eventually, http, within};
use emojivoto_vote_bot::VotingSettings;
use tokio::task::{JoinHandle, JoinSet};

/// Each of these tries one vote after the other.
const VOTERS: usize = 6;

/// What the voters vote for.
const CHOICES: [&str; 4] = [":joy:", ":ghost:", ":100:", ":poop:"];

/// Voters and a bot at work.
pub(crate) struct Load {
    done: Arc<AtomicBool>,
    counted: Arc<AtomicU64>,
    voters: JoinSet<BTreeMap<String, u64>>,
    bot: JoinHandle<()>,
    stop: emojivoto_runtime::Stop,
    observed: Observability,
}

/// What was cast while there was load.
pub(crate) struct Cast {
    /// By the voters: each of these counts, once.
    pub(crate) voters: BTreeMap<String, u64>,
    /// By the bot, which does not try again: those that it was told are counted,
    pub(crate) told: BTreeMap<String, u64>,
    /// and those that it was not, which may be or not.
    pub(crate) in_doubt: BTreeMap<String, u64>,
}

impl Load {
    pub(crate) fn on(web: SocketAddr) -> Self {
        let (done, counted) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let mut voters = JoinSet::new();
        for number in 0..VOTERS {
            let (done, counted) = (Arc::clone(&done), Arc::clone(&counted));
            voters.spawn(async move {
                let mut cast = BTreeMap::new();
                for choice in CHOICES.iter().cycle().skip(number) {
                    if done.load(Relaxed) {
                        break;
                    }
                    vote(web, choice).await;
                    counted.fetch_add(1, Relaxed);
                    *cast.entry((*choice).to_owned()).or_default() += 1;
                }
                cast
            });
        }
        let observed = Observability::new(|_| None).expect("nothing to fail");
        let (lifecycle, stop) = Lifecycle::new();
        let settings = VotingSettings { request_rate: 100.0, ..defaults() };
        let bot =
            emojivoto_vote_bot::run(web.into(), settings, observed.service("vote-bot"), lifecycle);
        let bot = tokio::spawn(async move { bot.await.expect("the bot does not fail") });
        Self { done, counted, voters, bot, stop, observed }
    }

    /// Waits for some more votes that count.
    pub(crate) async fn goes_on(&self) {
        let enough = self.counted.load(Relaxed) + 20;
        eventually("more votes", async || (self.counted.load(Relaxed) >= enough).then_some(()))
            .await;
    }

    /// Lets all come to their end, and adds up.
    pub(crate) async fn ends(mut self) -> Cast {
        self.done.store(true, Relaxed);
        let mut cast =
            Cast { voters: BTreeMap::new(), told: BTreeMap::new(), in_doubt: BTreeMap::new() };
        while let Some(voter) = within("the end of a voter", self.voters.join_next()).await {
            for (choice, votes) in voter.expect("a voter") {
                *cast.voters.entry(choice).or_default() += votes;
            }
        }
        self.stop.stop();
        within("the end of the bot", self.bot).await.expect("the bot");
        let metrics = self.observed.render(Format::Prometheus);
        for line in metrics.lines() {
            let Some(rest) = line.strip_prefix(r#"emojivoto_bot_votes_total{emoji=""#) else {
                continue;
            };
            let (choice, rest) = rest.split_once('"').expect("an emoji");
            let (outcome, votes) = rest
                .strip_prefix(r#",outcome=""#)
                .and_then(|rest| rest.split_once("\"} "))
                .expect("an outcome");
            let of = if outcome == "counted" { &mut cast.told } else { &mut cast.in_doubt };
            *of.entry(choice.to_owned()).or_default() += votes.parse::<u64>().expect("a number");
        }
        cast
    }
}

/// Votes under one key until it is told that the vote counts.
async fn vote(web: SocketAddr, choice: &str) {
    let key = IdempotencyKey::random().header();
    let url = format!("http://{web}/api/vote?choice={choice}");
    eventually("a vote that counts", async || {
        let request = Request::post(&url).header(IdempotencyKey::HEADER, &key);
        let answer = http::send(request, "").await;
        answer.is_ok_and(|answer| answer.status == 200).then_some(())
    })
    .await;
}

impl Cast {
    /// Asserts that a leaderboard has all of it, and none of it twice.
    pub(crate) fn is_on(&self, board: &BTreeMap<String, u64>) {
        let of =
            |votes: &BTreeMap<String, u64>, choice: &str| votes.get(choice).copied().unwrap_or(0);
        let choices = self.voters.keys().chain(self.told.keys()).chain(board.keys());
        for choice in choices {
            let sure = of(&self.voters, choice) + of(&self.told, choice);
            let most = sure + of(&self.in_doubt, choice);
            let votes = of(board, choice);
            assert!((sure..=most).contains(&votes), "{choice}: {votes}, of {sure} to {most}");
        }
        let sum = |votes: &BTreeMap<String, u64>| votes.values().sum::<u64>();
        assert!(sum(&self.voters) > 100 && sum(&self.told) > 20, "there was no load");
    }
}

/// A moment that nobody has picked.
pub(crate) async fn some_time() {
    let milliseconds = rand::random_range(5..150);
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}
