//! The gRPC face of the poll, and the only place where its errors become statuses.

use std::error::Error;

use emojivoto_proto::{
    IdempotencyKey, Shortcode,
    voting::{ResultsResponse, Voting, VotingResult},
};
use emojivoto_telemetry::{Telemetry, record_error};
use tonic::Status;
use tracing::Level;

use crate::{
    LOG,
    poll::{Poll, VoteError},
    store::{StoreError, VoteStore},
};

#[derive(Debug)]
pub(crate) struct PollService<S> {
    poll: Poll<S>,
    telemetry: Telemetry,
}

impl<S> PollService<S> {
    pub(crate) fn new(poll: Poll<S>, telemetry: Telemetry) -> Self {
        Self { poll, telemetry }
    }
}

impl<S: VoteStore> Voting for PollService<S> {
    async fn vote(&self, choice: Shortcode, key: Option<IdempotencyKey>) -> Result<(), Status> {
        let vote = self.poll.vote(choice, key.as_ref()).await;
        self.log(choice, vote.as_ref().err());
        vote.map_err(|error| {
            record_error(&error);
            match error {
                VoteError::KeyOfAnother => Status::already_exists(error.to_string()),
                VoteError::Store(error) => store_failed(&error),
            }
        })
    }

    async fn results(&self) -> Result<ResultsResponse, Status> {
        let results = self.poll.results().await.map_err(|error| {
            record_error(&error);
            tracing::error!(target: LOG, error = &error as &dyn Error, "no results");
            store_failed(&error)
        })?;
        let result = |(emoji, votes): (Shortcode, u64)| VotingResult {
            shortcode: emoji.as_str().to_owned(),
            votes: i32::try_from(votes).unwrap_or(i32::MAX),
        };
        Ok(ResultsResponse { results: results.into_iter().map(result).collect() })
    }
}

impl<S> PollService<S> {
    /// A line for a vote: where it failed, and at level `debug` also where it was counted. What it begins
    /// with is what tutorials of the original look for.
    fn log(&self, choice: Shortcode, error: Option<&VoteError>) {
        match error {
            Some(VoteError::Store(error)) => {
                tracing::error!(target: LOG, error = error as &dyn Error, "Vote for [{choice}] failed");
            }
            None if tracing::enabled!(target: LOG, Level::DEBUG)
                && self.telemetry.logs_request(false) =>
            {
                tracing::debug!(target: LOG, "Voted for [{choice}]");
            }
            // A mistake of the caller, who is told.
            Some(VoteError::KeyOfAnother) | None => {}
        }
    }
}

/// What a client is told; what went wrong is for the log.
fn store_failed(error: &StoreError) -> Status {
    match error {
        StoreError::Full(_) => Status::resource_exhausted("there is no room for more votes"),
        _ => Status::unavailable("votes cannot be stored or read at the moment"),
    }
}
