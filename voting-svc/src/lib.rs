//! The gRPC service that counts votes: `emojivoto.v1.VotingService`.
//!
//! `poll` is what happens to a vote, `store` where it is kept, `service` its gRPC face.

mod poll;
mod service;
mod settings;
pub mod store;

use emojivoto_proto::voting::{self, VotingServer};
use emojivoto_runtime::{Error, Lifecycle, Telemetry, grpc};
pub use poll::{Poll, VoteError};
use service::PollService;
pub use settings::{PollSettings, Settings};
use store::{Counted, VoteStore};
use tokio::net::TcpListener;

/// Serves a poll that keeps its votes in `store` on `listener` until told to stop.
pub async fn serve<S: VoteStore>(
    settings: PollSettings,
    store: S,
    listener: TcpListener,
    telemetry: Telemetry,
    lifecycle: Lifecycle,
) -> Result<(), Error> {
    let store = Counted::new(store);
    telemetry.register(store.votes());
    let poll = Poll::new(store, &settings);
    let service = VotingServer::new(PollService::new(poll));
    grpc::serve(listener, service, voting::DESCRIPTORS, telemetry, lifecycle).await
}
