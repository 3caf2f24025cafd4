//! The two gRPC services behind the front end.

mod replicas;

use std::{future::Future, time::Duration};

use emojivoto_proto::{
    IdempotencyKey, Shortcode,
    emoji::{
        self, Emoji, FindByShortcodeRequest, ListAllEmojiRequest, ListAllEmojiResponse,
        emoji_service_client::EmojiServiceClient,
    },
    voting::{self, ResultsRequest, ResultsResponse, VoteRequest, VotingClient},
};
use emojivoto_runtime::settings::HostPort;
use emojivoto_telemetry::{
    Telemetry,
    grpc::{ObservedChannel, code_of},
    prometheus::metrics::{family::Family, gauge::Gauge},
};
use http::Uri;
use replicas::Replicas;
use tonic::{
    Code, Request, Response, Status,
    transport::{Channel, Endpoint},
};
use tower::{timeout::Timeout, util::Either};

use crate::settings::{Backends, LbPolicy};

/// How long a backend may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// A backend that is gone without a word is noticed after this long, twice, while it owes answers.
const KEEPALIVE: Duration = Duration::from_secs(2);
/// A call that has not been sent by then, this long past its deadline, waits for a connection.
const NO_CONNECTION: Duration = Duration::from_millis(100);

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
    #[source]
    status: Status,
}

impl CallError {
    pub(crate) fn new(service: &'static str, status: Status) -> Self {
        let code = match code_of(&status) {
            // tonic's servers end a call at its deadline with this one, where they are not ours.
            Code::Cancelled => Code::DeadlineExceeded,
            code => code,
        };
        Self { service, code, status }
    }
}

/// One connection, or one to each replica, with everything around it.
type Calls = ObservedChannel<Either<Timeout<Channel>, Replicas>>;

/// `emojivoto_upstream_replicas`, by service.
type ReplicaCounts = Family<[(&'static str, &'static str); 1], Gauge>;

/// Clients of both services. With one connection each, they connect when first used, and again
/// whenever a call finds the connection gone.
#[derive(Debug)]
pub(crate) struct Upstreams {
    emoji: EmojiServiceClient<Calls>,
    voting: VotingClient<Calls>,
    timeout: Duration,
}

impl Upstreams {
    pub(crate) fn new(backends: &Backends, timeout: Duration, telemetry: &Telemetry) -> Self {
        let spread = backends.grpc_lb_policy == LbPolicy::LeastRequest;
        let counts = spread.then(|| replica_counts(telemetry));
        let calls = |service, hosts: &[HostPort], descriptors| {
            let uri = uri(hosts.first().expect("the setting is required"));
            let calls = match &counts {
                None => Either::Left(channel(&uri, timeout)),
                Some(counts) => {
                    let count = counts.get_or_create_owned(&[("service", service)]);
                    Either::Right(Replicas::new(service, hosts, timeout, count))
                }
            };
            // Outermost, so that it sees how each call ended.
            ObservedChannel::new(calls, &uri, descriptors, telemetry)
        };
        let emoji = calls("emoji-svc", &backends.emojisvc_host, emoji::DESCRIPTORS);
        let voting = calls("voting-svc", &backends.votingsvc_host, voting::DESCRIPTORS);
        Self { emoji: EmojiServiceClient::new(emoji), voting: VotingClient::new(voting), timeout }
    }

    /// Every emoji of the ballot, in its order.
    pub(crate) async fn list(&self) -> Result<ListAllEmojiResponse, CallError> {
        let mut emoji = self.emoji.clone();
        self.call("emoji-svc", emoji.list_all(self.request(ListAllEmojiRequest {}))).await
    }

    /// The emoji that has the shortcode, if there is one.
    pub(crate) async fn find(&self, shortcode: &str) -> Result<Option<Emoji>, CallError> {
        let mut emoji = self.emoji.clone();
        let request = FindByShortcodeRequest { shortcode: shortcode.to_owned() };
        let found = self.call("emoji-svc", emoji.find_by_shortcode(self.request(request))).await?;
        Ok(found.emoji)
    }

    /// Votes. From here it is sent once; should it be sent again on its way, voting-svc knows it by its key.
    pub(crate) async fn vote(
        &self,
        choice: Shortcode,
        key: &IdempotencyKey,
    ) -> Result<(), CallError> {
        let mut voting = self.voting.clone();
        let mut request = self.request(VoteRequest {});
        key.add_to(request.metadata_mut());
        self.call("voting-svc", voting.vote(choice, request)).await?;
        Ok(())
    }

    /// The ballot and the votes so far, most first: two calls, made at the same time.
    pub(crate) async fn leaderboard(
        &self,
    ) -> Result<(ListAllEmojiResponse, ResultsResponse), CallError> {
        let mut voting = self.voting.clone();
        let results = voting.results(self.request(ResultsRequest {}));
        // Both to their end: a call that is dropped is one that its backend is said to have lost.
        let (ballot, results) = tokio::join!(self.list(), self.call("voting-svc", results));
        Ok((ballot?, results?))
    }

    /// A request that tells the backend, too, how long its answer is waited for.
    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(self.timeout);
        request
    }

    async fn call<T>(
        &self,
        service: &'static str,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, CallError> {
        // The channel watches until an answer begins: one that does not end, ends here.
        let longest = self.timeout.saturating_add(2 * NO_CONNECTION);
        let answer = tokio::time::timeout(longest, call).await;
        let answer = answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("no end in time")));
        answer.map(Response::into_inner).map_err(|status| CallError::new(service, status))
    }
}

fn replica_counts(telemetry: &Telemetry) -> ReplicaCounts {
    let (counts, help) = (ReplicaCounts::default(), "Replicas of a backend that are connected");
    let name = "emojivoto_upstream_replicas";
    telemetry.register(|registry| registry.register(name, help, counts.clone()));
    counts
}

fn uri(address: &HostPort) -> Uri {
    let uri = Uri::builder().scheme("http").authority(address.clone()).path_and_query("/").build();
    uri.expect("a host and a port make a URI")
}

fn channel(uri: &Uri, timeout: Duration) -> Timeout<Channel> {
    let channel = Endpoint::from(uri.clone())
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .tcp_nodelay(true)
        .connect_lazy();
    // The channel ends a call that was sent at its deadline, but does not watch over calls that wait
    // for a connection: those end here.
    Timeout::new(channel, timeout.saturating_add(NO_CONNECTION))
}
