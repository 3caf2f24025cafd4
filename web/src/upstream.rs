//! The two gRPC services behind the front end.

use std::{error::Error as StdError, future::Future, time::Duration};

use emojivoto_proto::{
    Shortcode,
    emoji::{
        Emoji, FindByShortcodeRequest, ListAllEmojiRequest, ListAllEmojiResponse,
        emoji_service_client::EmojiServiceClient,
    },
    voting::{ResultsRequest, ResultsResponse, VoteRequest, VotingClient},
};
use emojivoto_runtime::settings::HostPort;
use http::Uri;
use tonic::{
    Code, Request, Response, Status, TimeoutExpired,
    transport::{Channel, Endpoint},
};

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
    fn new(service: &'static str, status: Status) -> Self {
        let made_here = status.source();
        let code = match made_here {
            Some(source) if is_timeout(source) => Code::DeadlineExceeded,
            // A broken connection comes with many codes, each of them guessed from how it broke.
            Some(_) => Code::Unavailable,
            // tonic's servers end a call at its deadline with this one.
            None if status.code() == Code::Cancelled => Code::DeadlineExceeded,
            None => status.code(),
        };
        Self { service, code, status }
    }
}

fn is_timeout(error: &(dyn StdError + 'static)) -> bool {
    error.is::<TimeoutExpired>() || error.source().is_some_and(is_timeout)
}

/// Clients of both services. They connect when first used, and again whenever a call finds the
/// connection gone.
#[derive(Debug)]
pub(crate) struct Upstreams {
    emoji: EmojiServiceClient<Channel>,
    voting: VotingClient<Channel>,
    timeout: Duration,
}

impl Upstreams {
    pub(crate) fn new(backends: &Backends, timeout: Duration) -> Self {
        Self {
            emoji: EmojiServiceClient::new(channel(&backends.emojisvc_host)),
            voting: VotingClient::new(channel(&backends.votingsvc_host)),
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
        tokio::try_join!(self.list(), self.call("voting-svc", results))
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
        // The channel ends a call that was sent at its deadline, but does not watch over calls
        // that wait for a connection: those end here.
        match tokio::time::timeout(self.timeout.saturating_add(NO_CONNECTION), call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(CallError::new(service, status)),
            Err(_) => Err(CallError::new(service, Status::unavailable("no connection in time"))),
        }
    }
}

fn channel(address: &HostPort) -> Channel {
    let uri = Uri::builder().scheme("http").authority(address.clone()).path_and_query("/").build();
    Endpoint::from(uri.expect("a host and a port make a URI"))
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .tcp_nodelay(true)
        .connect_lazy()
}
