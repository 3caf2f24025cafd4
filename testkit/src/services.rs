//! Services inside the process of the test.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use clap::{Args, Command};
use emojivoto_runtime::{Error, Lifecycle, Stop};
use emojivoto_telemetry::Telemetry;
use emojivoto_voting_svc::{
    PollSettings,
    store::{MemoryStore, VoteStore},
};
use emojivoto_web::{Backends, FrontEnd, LbPolicy};
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::transport::{Channel, Endpoint};

use crate::{ANY_PORT, PATIENCE, within};

/// A running service. It ends with the test.
#[derive(Debug)]
pub struct Service {
    address: SocketAddr,
    stop: Stop,
    task: JoinHandle<Result<(), Error>>,
}

impl Service {
    /// Starts it on an address, or a port that is free there.
    ///
    /// # Panics
    /// When the address is taken.
    pub async fn start<F>(
        address: SocketAddr,
        serve: impl FnOnce(TcpListener, Lifecycle) -> F,
    ) -> Self
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.expect("a port");
        let address = listener.local_addr().expect("a bound address");
        let (lifecycle, stop) = Lifecycle::new();
        Self { address, stop, task: tokio::spawn(serve(listener, lifecycle)) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// An address below it: `http://127.0.0.1:1234/path`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Follows and ends its life.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Waits until it is ready.
    pub async fn ready(self) -> Self {
        let ready = within("a service that is ready", self.stop.becomes_ready()).await;
        assert!(ready, "the service ended before it was ready");
        self
    }

    /// Tells it to stop and waits until it has drained.
    pub async fn drained(self) {
        self.stop.stop();
        let ended = within("a service that has drained", self.task).await;
        ended.expect("no panic").expect("no error");
    }
}

/// A connection to a gRPC service, made when it is first used. No call on it takes for ever.
pub fn channel(address: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    endpoint.timeout(PATIENCE).connect_lazy()
}

/// emoji-svc.
pub async fn emoji() -> Service {
    let service = Service::start(ANY_PORT, |listener, lifecycle| {
        emojivoto_emoji_svc::serve(listener, Telemetry::off(), lifecycle)
    });
    service.await.ready().await
}

/// voting-svc with the doughnut failing, a delay before each vote, and a store to look into.
pub async fn voting(delay: Duration) -> (Service, Arc<MemoryStore>) {
    voting_at(ANY_PORT, delay).await
}

/// The same at an address where one was before.
pub async fn voting_at(address: SocketAddr, delay: Duration) -> (Service, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::default());
    (voting_with(address, delay, Arc::clone(&store)).await, store)
}

/// voting-svc with a store of the test's own.
pub async fn voting_on<S: VoteStore>(store: Arc<S>) -> Service {
    voting_with(ANY_PORT, Duration::ZERO, store).await
}

async fn voting_with<S: VoteStore>(address: SocketAddr, delay: Duration, store: Arc<S>) -> Service {
    let poll = PollSettings { failure_rate: 1.0, artificial_delay: delay, votes_once: true };
    let service = Service::start(address, |listener, lifecycle| {
        emojivoto_voting_svc::serve(poll, store, listener, Telemetry::off(), lifecycle)
    });
    service.await.ready().await
}

/// web in front of two backends, ready or not.
pub async fn web(emoji: SocketAddr, voting: SocketAddr) -> Service {
    web_with(emoji, voting, |_| {}).await
}

/// web with settings other than the defaults.
pub async fn web_with(
    emoji: SocketAddr,
    voting: SocketAddr,
    change: impl FnOnce(&mut FrontEnd),
) -> Service {
    let mut settings = defaults::<FrontEnd>();
    change(&mut settings);
    web_of(Backends::at(emoji, voting), settings).await
}

/// web that spreads the votes over several voting-svc.
pub async fn web_spreading(emoji: SocketAddr, voting: &[SocketAddr]) -> Service {
    let backends = Backends {
        emojisvc_host: vec![emoji.into()],
        votingsvc_host: voting.iter().copied().map(Into::into).collect(),
        grpc_lb_policy: LbPolicy::LeastRequest,
    };
    web_of(backends, defaults()).await
}

async fn web_of(backends: Backends, settings: FrontEnd) -> Service {
    Service::start(ANY_PORT, |listener, lifecycle| {
        emojivoto_web::serve(backends, settings, listener, Telemetry::off(), lifecycle)
    })
    .await
}

/// Settings as they are when nobody says anything.
pub fn defaults<S: Args>() -> S {
    let command = S::augment_args(Command::new("defaults"));
    S::from_arg_matches(&command.get_matches_from(["defaults"])).expect("defaults for everything")
}
