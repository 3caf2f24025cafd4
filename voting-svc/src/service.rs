//! The gRPC face of the poll, and the only place where its errors become statuses.

use emojivoto_proto::{
    Shortcode,
    voting::{ResultsResponse, Voting, VotingResult},
};
use emojivoto_runtime::telemetry::record_error;
use tonic::Status;

use crate::{
    poll::{Poll, VoteError},
    store::{StoreError, VoteStore},
};

#[derive(Debug)]
pub(crate) struct PollService<S> {
    poll: Poll<S>,
}

impl<S> PollService<S> {
    pub(crate) fn new(poll: Poll<S>) -> Self {
        Self { poll }
    }
}

impl<S: VoteStore> Voting for PollService<S> {
    async fn vote(&self, choice: Shortcode) -> Result<(), Status> {
        self.poll.vote(choice).await.map_err(|error| match error {
            // The bug of the original, to the letter.
            VoteError::OnPurpose => {
                record_error(&error);
                Status::unknown("ERROR")
            }
            VoteError::Store(error) => store_failed(&error),
        })
    }

    async fn results(&self) -> Result<ResultsResponse, Status> {
        let results = self.poll.results().await.map_err(|error| store_failed(&error))?;
        let result = |(emoji, votes): (Shortcode, u64)| VotingResult {
            shortcode: emoji.as_str().to_owned(),
            votes: i32::try_from(votes).unwrap_or(i32::MAX),
        };
        Ok(ResultsResponse { results: results.into_iter().map(result).collect() })
    }
}

fn store_failed(error: &StoreError) -> Status {
    record_error(error);
    tracing::error!(error = error as &dyn std::error::Error, "the vote store failed");
    Status::unavailable("votes cannot be stored or read at the moment")
}
