//! The gRPC service that counts votes: `emojivoto.v1.VotingService`.
//!
//! `faults` is how it misbehaves on purpose, `poll` what happens to a vote, `store` where it is kept, `service` its gRPC face;
//! `transfer` takes votes from one store to another.

mod faults;
mod metrics;
mod poll;
mod service;
mod settings;
pub mod store;
mod transfer;

use std::{process::ExitCode, sync::Arc, time::Duration};

use emojivoto_proto::voting::{self, VotingServer};
use emojivoto_runtime::{
    Error, Lifecycle, grpc,
    process::{self, Role},
};
use emojivoto_telemetry::Telemetry;
pub use poll::{Poll, VoteError};
use service::PollService;
pub use settings::{PollSettings, Settings, StoreSettings};
use store::{AnyStore, StoreError, VoteStore};
use tokio::{net::TcpListener, time::timeout};
pub use transfer::Transfer;

/// The target of its lines in the log.
const LOG: &str = "voting";

/// How often a store is asked whether it can take votes; one that failed tries to recover as often.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);
/// A store that has not answered by then cannot.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);

/// All that the binary's `main` does.
pub fn main() -> ExitCode {
    process::main_or(
        "emojivoto-voting-svc",
        env!("CARGO_PKG_DESCRIPTION"),
        Role::Service("voting"),
        async |settings: Settings, process| {
            let listener = process.listen("GRPC_PORT", settings.grpc_port).await?;
            let store = AnyStore::open(&settings.store.votes_store, settings.store.once())?;
            process.spawn("voting", |lifecycle, telemetry| {
                serve(settings.poll, store.into(), listener, telemetry, lifecycle)
            });
            Ok(())
        },
        |transfer: Transfer, settings| transfer.run(&settings.store),
    )
}

/// Serves a poll that keeps its votes in `store` on `listener` until told to stop. Ready while the store can take votes.
/// It is an error if the store will never be able to, with this setting.
pub async fn serve<S: VoteStore>(
    settings: PollSettings,
    store: Arc<S>,
    listener: TcpListener,
    telemetry: Telemetry,
    lifecycle: Lifecycle,
) -> Result<(), Error> {
    let PollSettings { failure_rate, artificial_delay, votes_once } = settings;
    let delay = artificial_delay.as_secs_f64();
    tracing::info!(
        target: LOG,
        "on purpose: FAILURE_RATE={failure_rate} (share of the votes meant to fail that do), \
         ARTIFICIAL_DELAY={delay}s (before every vote), VOTES_ONCE={votes_once} (those that come again)"
    );
    lifecycle.faults().base(faults::of(failure_rate, artificial_delay));
    let poll = Poll::new(Arc::clone(&store), votes_once, &telemetry);
    let service = VotingServer::new(PollService::new(poll, telemetry.clone()));
    let server = grpc::Server::new(service, voting::DESCRIPTORS, &telemetry);
    let server = server.with_fault_line(faults::line);
    tokio::select! {
        ended = server.serve(listener, lifecycle.clone()) => ended,
        refused = keep_watch(&*store, &lifecycle) => Err(refused.explained().into()),
    }
}

/// Says whether the service is ready, as the store is. Returns when it never was, and never will be.
async fn keep_watch(store: &impl VoteStore, lifecycle: &Lifecycle) -> StoreError {
    let (mut was_ready, mut failing) = (false, false);
    loop {
        let checked = timeout(CHECK_TIMEOUT, store.check()).await;
        match checked.unwrap_or_else(|elapsed| Err(StoreError::Failed(elapsed.into()))) {
            Ok(()) => {
                if failing {
                    tracing::info!(target: LOG, "the vote store is back");
                }
                (was_ready, failing) = (true, false);
                lifecycle.ready();
            }
            Err(error @ StoreError::Refused(_)) if !was_ready => return error,
            Err(error) => {
                if !failing {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(target: LOG, error, "not ready: votes cannot be stored");
                }
                failing = true;
                lifecycle.not_ready();
            }
        }
        tokio::time::sleep(CHECK_INTERVAL).await;
    }
}
