//! The two gRPC services behind the front end: `backend` is one of them and a call to it, `pick_first` and `replicas` how
//! a call finds its connection, `connection` what happens on it, `grpc` how its messages are written.

mod backend;
mod connection;
mod grpc;
mod pick_first;
mod replicas;

use std::{error::Error, time::Duration};

use backend::{Backend, Rpc, Way};
use emojivoto_proto::{
    IdempotencyKey, Shortcode,
    emoji::{
        self, Emoji, FindByShortcodeRequest, FindByShortcodeResponse, ListAllEmojiRequest,
        ListAllEmojiResponse,
    },
    voting::{self, Method, ResultsRequest, ResultsResponse, VoteRequest, VoteResponse},
};
use emojivoto_runtime::{faults::HEADER as FAULT, settings::HostPort};
use emojivoto_telemetry::{
    Telemetry,
    prometheus::metrics::{family::Family, gauge::Gauge},
};
use http::{
    HeaderValue,
    uri::{Authority, PathAndQuery},
};
use pick_first::PickFirst;
use replicas::Replicas;
use tonic::{Code, Status};

use crate::settings::{Backends, LbPolicy};

/// How long a backend may take to accept a connection, and to say something on it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// A call to a backend failed.
#[derive(Debug, thiserror::Error)]
#[error("call to {service} failed")]
pub(crate) struct CallError {
    /// Who was called.
    pub(crate) service: &'static str,
    /// Why, with `Unavailable` for every failure on the way there, and `DeadlineExceeded` for every
    /// answer that did not come in time.
    pub(crate) code: Code,
    /// What came back, from there or from the way there.
    source: Box<dyn Error + Send + Sync>,
    /// Whether a status came back.
    by_status: bool,
    /// Which fault did it, if it says so.
    fault: Option<HeaderValue>,
}

impl CallError {
    pub(crate) fn new(service: &'static str, status: Status) -> Self {
        let code = match status.code() {
            // tonic's servers end a call at its deadline with this one, where they are not ours.
            Code::Cancelled => Code::DeadlineExceeded,
            code => code,
        };
        let fault = status.metadata().as_ref().get(FAULT).cloned();
        Self { service, code, source: status.into(), by_status: false, fault }
    }

    /// Whether it is an answer of the service itself. Proxies on the way there say as well that it is away, or silent, but
    /// no proxy knows of a fault.
    fn is_answer(&self) -> bool {
        let of_the_way = matches!(self.code, Code::Unavailable | Code::DeadlineExceeded);
        self.fault.is_some() || (self.by_status && !of_the_way)
    }

    /// The fault that did it, if whoever was called says so.
    pub(crate) fn fault(&self) -> Option<&str> {
        self.fault.as_ref()?.to_str().ok()
    }
}

/// `emojivoto_upstream_replicas`, by service.
type ReplicaCounts = Family<[(&'static str, &'static str); 1], Gauge>;

/// Both services. With one connection each, they are connected to when first called, and again whenever a call finds the
/// connection gone.
#[derive(Debug)]
pub(crate) struct Upstreams {
    emoji: Backend,
    find: Rpc,
    list: Rpc,
    voting: Backend,
    /// By place on the ballot.
    votes: Vec<Rpc>,
    results: Rpc,
}

impl Upstreams {
    pub(crate) fn new(backends: &Backends, timeout: Duration, telemetry: &Telemetry) -> Self {
        let spread = backends.grpc_lb_policy == LbPolicy::LeastRequest;
        let counts = spread.then(|| replica_counts(telemetry));
        let backend = |service, hosts: &[HostPort], descriptors| {
            let names: Vec<Authority> = hosts.iter().cloned().map(Into::into).collect();
            let way = match &counts {
                None => Way::PickFirst(PickFirst::new(names[0].clone())),
                Some(counts) => {
                    let count = counts.get_or_create_owned(&[("service", service)]);
                    Way::LeastRequest(Replicas::new(service, &names, count))
                }
            };
            Backend::new(service, names, way, descriptors, timeout, telemetry)
        };
        let emoji = backend("emoji-svc", &backends.emojisvc_host, emoji::DESCRIPTORS);
        let voting = backend("voting-svc", &backends.votingsvc_host, voting::DESCRIPTORS);
        let of_emoji = |rpc| {
            let path = PathAndQuery::try_from(format!("/{}/{rpc}", emoji::SERVICE_NAME));
            emoji.rpc(&path.expect("names are path segments"))
        };
        let of_voting = |method: Method| voting.rpc(method.path());
        Self {
            find: of_emoji("FindByShortcode"),
            list: of_emoji("ListAll"),
            votes: Shortcode::all().map(|emoji| of_voting(Method::Vote(emoji))).collect(),
            results: of_voting(Method::Results),
            emoji,
            voting,
        }
    }

    /// How long a backend may take to answer a call.
    pub(crate) fn timeout(&self) -> Duration {
        self.voting.timeout()
    }

    /// Every emoji of the ballot, in its order.
    pub(crate) async fn list(&self) -> Result<ListAllEmojiResponse, CallError> {
        self.emoji.call(&self.list, &ListAllEmojiRequest {}, None).await
    }

    /// The emoji that has the shortcode, if there is one.
    pub(crate) async fn find(&self, shortcode: &str) -> Result<Option<Emoji>, CallError> {
        let request = FindByShortcodeRequest { shortcode: shortcode.to_owned() };
        let found: FindByShortcodeResponse = self.emoji.call(&self.find, &request, None).await?;
        Ok(found.emoji)
    }

    /// Votes. From here it is sent again only if nobody has looked at it; should it be sent again on its way, voting-svc
    /// knows it by its key.
    pub(crate) async fn vote(
        &self,
        choice: Shortcode,
        key: &IdempotencyKey,
    ) -> Result<(), CallError> {
        let rpc = &self.votes[choice.index()];
        self.voting.call(rpc, &VoteRequest {}, Some(key)).await.map(|VoteResponse {}| ())
    }

    /// The ballot and the votes so far, most first: two calls, made at the same time.
    pub(crate) async fn leaderboard(
        &self,
    ) -> Result<(ListAllEmojiResponse, ResultsResponse), CallError> {
        let (ballot, results) = self.both().await;
        Ok((ballot?, results?))
    }

    /// Asks both services whether they are there, which they also are if they fail.
    pub(crate) async fn answer(&self) -> Result<(), CallError> {
        let (ballot, results) = self.both().await;
        let errors = [ballot.err(), results.err()].into_iter().flatten();
        errors.filter(|error| !error.is_answer()).map(Err).next().unwrap_or(Ok(()))
    }

    async fn both(
        &self,
    ) -> (Result<ListAllEmojiResponse, CallError>, Result<ResultsResponse, CallError>) {
        // Both to their end: a call that is dropped is one that its backend is said to have lost.
        let results = self.voting.call(&self.results, &ResultsRequest {}, None);
        tokio::join!(self.list(), results)
    }
}

fn replica_counts(telemetry: &Telemetry) -> ReplicaCounts {
    let (counts, help) = (ReplicaCounts::default(), "Replicas of a backend that are connected");
    let name = "emojivoto_upstream_replicas";
    telemetry.register(|registry| registry.register(name, help, counts.clone()));
    counts
}
