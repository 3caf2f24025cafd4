//! What happens to a vote: the rules of the poll, knowing nothing of gRPC.

use std::{cmp::Reverse, sync::Arc, time::Duration};

use emojivoto_proto::{IdempotencyKey, Shortcode};
use emojivoto_telemetry::Telemetry;

use crate::{
    metrics::Votes,
    settings::PollSettings,
    store::{Added, Key, StoreError, Vote, VoteStore},
};

/// A poll over the ballot.
#[derive(Debug)]
pub struct Poll<S> {
    store: Arc<S>,
    votes: Votes,
    failure_rate: f64,
    delay: Duration,
    once: bool,
}

/// Why a vote was not counted.
#[derive(Debug, thiserror::Error)]
pub enum VoteError {
    /// The bug that this demo has on purpose.
    #[error("votes for this emoji fail on purpose")]
    OnPurpose,
    /// It would be another vote under the name of one that was counted.
    #[error("the idempotency key belongs to a vote for another emoji")]
    KeyOfAnother,
    /// The store could not keep it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<S: VoteStore> Poll<S> {
    /// A poll that keeps its votes in `store`, and counts them in `telemetry`.
    pub fn new(store: Arc<S>, settings: &PollSettings, telemetry: &Telemetry) -> Self {
        let PollSettings { failure_rate, artificial_delay, votes_once } = *settings;
        let votes = Votes::new(&store, telemetry);
        Self { store, votes, failure_rate, delay: artificial_delay, once: votes_once }
    }

    /// Counts a vote, after the artificial delay; those that come again under the same key but once. One that fails on
    /// purpose has not come: it may be counted the next time.
    pub async fn vote(
        &self,
        choice: Shortcode,
        key: Option<&IdempotencyKey>,
    ) -> Result<(), VoteError> {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        if choice == Shortcode::doughnut() && rand::random_bool(self.failure_rate) {
            return Err(VoteError::OnPurpose);
        }
        let key = key.filter(|_| self.once).map(Key::from);
        let added = self.store.add(Vote { choice, key }).await?;
        self.votes.count(choice, added);
        match added {
            Added::Counted | Added::Again => Ok(()),
            Added::OfAnother => Err(VoteError::KeyOfAnother),
        }
    }

    /// The emoji that have votes, most votes first, ties in ballot order.
    pub async fn results(&self) -> Result<Vec<(Shortcode, u64)>, StoreError> {
        let tally = self.store.tally().await?;
        let mut results: Vec<_> =
            Shortcode::all().zip(tally).filter(|(_, votes)| *votes > 0).collect();
        results.sort_by_key(|(_, votes)| Reverse(*votes)); // stable: ties stay in ballot order
        Ok(results)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    fn poll(failure_rate: f64) -> Poll<MemoryStore> {
        let artificial_delay = Duration::ZERO;
        let settings = PollSettings { failure_rate, artificial_delay, votes_once: true };
        Poll::new(Arc::new(MemoryStore::default()), &settings, &Telemetry::off())
    }

    fn emoji(shortcode: &str) -> Shortcode {
        shortcode.parse().expect("an emoji of the ballot")
    }

    #[tokio::test]
    async fn results_are_most_votes_first_and_ties_in_ballot_order() {
        let poll = poll(1.0);
        assert_eq!(poll.results().await.expect("results"), []);
        for shortcode in [":relaxed:", ":ghost:", ":relaxed:", ":poop:", ":joy:", ":100:", ":100:"]
        {
            poll.vote(emoji(shortcode), None).await.expect("a vote");
        }
        let expected =
            [(":100:", 2), (":relaxed:", 2), (":joy:", 1), (":ghost:", 1), (":poop:", 1)];
        for _ in 0..3 {
            let results = poll.results().await.expect("results");
            assert_eq!(results, expected.map(|(shortcode, votes)| (emoji(shortcode), votes)));
        }
    }

    #[tokio::test]
    async fn the_doughnut_fails_at_its_rate_and_nothing_else_does() {
        let doughnut = Shortcode::doughnut();
        for (rate, expected) in [(1.0, 0..=0), (0.0, 1_000..=1_000), (0.5, 400..=600)] {
            let poll = poll(rate);
            let mut counted = 0;
            for _ in 0..1_000 {
                poll.vote(emoji(":joy:"), None).await.expect("a vote for another emoji");
                match poll.vote(doughnut, None).await {
                    Ok(()) => counted += 1,
                    Err(error) => assert!(matches!(error, VoteError::OnPurpose), "{error}"),
                }
            }
            assert!(expected.contains(&counted), "{counted} of 1000 at rate {rate}");
            let results = poll.results().await.expect("results");
            let votes =
                |of| results.iter().find(|(emoji, _)| *emoji == of).map_or(0, |(_, votes)| *votes);
            assert_eq!((votes(doughnut), votes(emoji(":joy:"))), (counted, 1_000));
        }
    }

    #[tokio::test]
    async fn votes_of_many_at_once_are_all_counted() {
        let poll = Arc::new(poll(1.0));
        let voters: Vec<_> = (0..8)
            .map(|_| {
                let poll = Arc::clone(&poll);
                std::thread::spawn(move || {
                    let runtime =
                        tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
                    runtime.block_on(async {
                        for _ in 0..10_000 {
                            poll.vote(emoji(":joy:"), None).await.expect("a vote");
                        }
                    });
                })
            })
            .collect();
        for voter in voters {
            voter.join().expect("a voter");
        }
        assert_eq!(poll.results().await.expect("results"), [(emoji(":joy:"), 80_000)]);
    }
}
