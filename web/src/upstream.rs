//! The two gRPC services behind the front end.

use std::{future::Future, time::Duration};

use emojivoto_proto::{
    Shortcode,
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
};
use http::Uri;
use tonic::{
    Code, Request, Response, Status,
    transport::{Channel, Endpoint},
};
use tower::timeout::Timeout;

use crate::settings::Backends;

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

/// A channel with everything around it.
type Calls = ObservedChannel<Timeout<Channel>>;

/// Clients of both services. They connect when first used, and again whenever a call finds the
/// connection gone.
#[derive(Debug)]
pub(crate) struct Upstreams {
    emoji: EmojiServiceClient<Calls>,
    voting: VotingClient<Calls>,
    timeout: Duration,
}

impl Upstreams {
    pub(crate) fn new(backends: &Backends, timeout: Duration, telemetry: &Telemetry) -> Self {
        let channel = |address, descriptors| channel(address, descriptors, timeout, telemetry);
        Self {
            emoji: EmojiServiceClient::new(channel(&backends.emojisvc_host, emoji::DESCRIPTORS)),
            voting: VotingClient::new(channel(&backends.votingsvc_host, voting::DESCRIPTORS)),
            timeout,
        }
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

    /// Votes. It is never sent twice: a vote that failed on its way may have been counted.
    pub(crate) async fn vote(&self, choice: Shortcode) -> Result<(), CallError> {
        let mut voting = self.voting.clone();
        self.call("voting-svc", voting.vote(choice, self.request(VoteRequest {}))).await?;
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

fn channel(
    address: &HostPort,
    descriptors: &[u8],
    timeout: Duration,
    telemetry: &Telemetry,
) -> Calls {
    let uri = Uri::builder().scheme("http").authority(address.clone()).path_and_query("/").build();
    let uri = uri.expect("a host and a port make a URI");
    let channel = Endpoint::from(uri.clone())
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .tcp_nodelay(true)
        .connect_lazy();
    // The channel ends a call that was sent at its deadline, but does not watch over calls that wait
    // for a connection: those end here.
    let channel = Timeout::new(channel, timeout.saturating_add(NO_CONNECTION));
    // Outermost, so that it sees how each call ended.
    ObservedChannel::new(channel, &uri, descriptors, telemetry)
}
