//! What there is to see of voting-svc from when it is ready.

use std::{sync::Arc, time::Duration};

use emojivoto_telemetry::{Observability, metrics::Format};
use emojivoto_testkit::{ANY_PORT, Service};
use emojivoto_voting_svc::{
    PollSettings,
    store::{Added, StoreError, Tally, Vote, VoteStore},
};

/// A store that fails unless all RPCs are in the metrics when it is asked whether it is ready.
#[derive(Debug)]
struct Observed(Arc<Observability>);

impl VoteStore for Observed {
    async fn add(&self, _: Vote) -> Result<Added, StoreError> {
        unreachable!("nobody votes")
    }

    async fn tally(&self) -> Result<Tally, StoreError> {
        unreachable!("nobody asks")
    }

    async fn fill(&self, _: &Tally) -> Result<(), StoreError> {
        unreachable!("nobody fills it")
    }

    async fn check(&self) -> Result<(), StoreError> {
        let metrics = self.0.render(Format::Prometheus);
        if metrics.contains(r#"grpc_method="VoteDoughnut""#) {
            Ok(())
        } else {
            Err(StoreError::Refused("it would be ready before its RPCs are observed".into()))
        }
    }

    fn window(&self) -> Duration {
        Duration::ZERO
    }
}

/// Otherwise the first scrape of a pod could miss the RPCs, and a rate over them begin late.
#[tokio::test]
async fn it_is_ready_once_all_of_its_rpcs_are_in_the_metrics() {
    // What the service does at its beginning it may do in any order (`select!`): once would be a coin tossed.
    for _ in 0..20 {
        let observability = Arc::new(Observability::new(|_| None).expect("nothing to fail"));
        let settings =
            PollSettings { failure_rate: 1.0, artificial_delay: Duration::ZERO, votes_once: true };
        let (store, telemetry) =
            (Arc::new(Observed(Arc::clone(&observability))), observability.service("voting"));
        let service = Service::start(ANY_PORT, |listener, lifecycle| {
            emojivoto_voting_svc::serve(settings, store, listener, telemetry, lifecycle)
        });
        service.await.ready().await.drained().await;
    }
}
