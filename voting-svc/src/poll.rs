//! What happens to a vote: the rules of the poll, knowing nothing of gRPC.

use std::{cmp::Reverse, sync::Arc};

use emojivoto_proto::{IdempotencyKey, Shortcode};
use emojivoto_telemetry::Telemetry;

use crate::{
    metrics::Votes,
    store::{Added, Key, StoreError, Vote, VoteStore},
};

/// A poll over the ballot.
#[derive(Debug)]
pub struct Poll<S> {
    store: Arc<S>,
    votes: Votes,
    once: bool,
}

/// Why a vote was not counted.
#[derive(Debug, thiserror::Error)]
pub enum VoteError {
    /// It would be another vote under the name of one that was counted.
    #[error("the idempotency key belongs to a vote for another emoji")]
    KeyOfAnother,
    /// The store could not keep it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<S: VoteStore> Poll<S> {
    /// A poll that keeps its votes in `store`, and counts them in `telemetry`. `once` says whether a vote that comes again
    /// under the same key is not counted again.
    pub fn new(store: Arc<S>, once: bool, telemetry: &Telemetry) -> Self {
        let votes = Votes::new(&store, telemetry);
        Self { store, votes, once }
    }

    /// Counts a vote; those that come again under the same key but once.
    pub async fn vote(
        &self,
        choice: Shortcode,
        key: Option<&IdempotencyKey>,
    ) -> Result<(), VoteError> {
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

    fn poll() -> Poll<MemoryStore> {
        Poll::new(Arc::new(MemoryStore::default()), true, &Telemetry::off())
    }

    fn emoji(shortcode: &str) -> Shortcode {
        shortcode.parse().expect("an emoji of the ballot")
    }

    #[tokio::test]
    async fn results_are_most_votes_first_and_ties_in_ballot_order() {
        let poll = poll();
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
    async fn votes_of_many_at_once_are_all_counted() {
        let poll = Arc::new(poll());
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
