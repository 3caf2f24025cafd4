//! The gRPC service that counts votes: `emojivoto.v1.VotingService`.
//!
//! `poll` is what happens to a vote, `store` where it is kept, `service` its gRPC face.

mod poll;
mod service;
mod settings;
pub mod store;

use emojivoto_proto::voting::{self, VotingServer};
use emojivoto_runtime::{Error, Lifecycle, grpc};
use emojivoto_telemetry::Telemetry;
pub use poll::{Poll, VoteError};
use service::PollService;
pub use settings::{PollSettings, Settings};
use store::{Counted, VoteStore};
use tokio::net::TcpListener;

/// The target of its lines in the log.
const LOG: &str = "voting";

/// Serves a poll that keeps its votes in `store` on `listener` until told to stop.
pub async fn serve<S: VoteStore>(
    settings: PollSettings,
    store: S,
    listener: TcpListener,
    telemetry: Telemetry,
    lifecycle: Lifecycle,
) -> Result<(), Error> {
    let PollSettings { failure_rate, artificial_delay } = settings;
    let delay = artificial_delay.as_secs_f64();
    tracing::info!(
        target: LOG,
        "on purpose: FAILURE_RATE={failure_rate} (share of the votes meant to fail that do), \
         ARTIFICIAL_DELAY={delay}s (before every vote)"
    );
    let poll = Poll::new(Counted::new(store, &telemetry), &settings);
    let service = VotingServer::new(PollService::new(poll, telemetry.clone()));
    grpc::serve(listener, service, voting::DESCRIPTORS, telemetry, lifecycle).await
}
