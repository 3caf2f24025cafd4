//! The server: any [`Voting`] behind the paths of the voting service.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tonic::{Request, Response, Status, body::Body, codegen::StdError, server::Grpc};
use tower::service_fn;

use super::{Method, ResultsRequest, ResultsResponse, SERVICE_NAME, VoteRequest, VoteResponse};
use crate::{IdempotencyKey, MAX_REQUEST_BYTES, Shortcode, codec::SmallCodec};

/// What a voting service does.
pub trait Voting: Send + Sync + 'static {
    /// Counts a vote, once for all that have this key. The status is what the caller gets to see.
    fn vote(
        &self,
        choice: Shortcode,
        key: Option<IdempotencyKey>,
    ) -> impl Future<Output = Result<(), Status>> + Send;

    /// Votes so far, most first. The status is what the caller gets to see.
    fn results(&self) -> impl Future<Output = Result<ResultsResponse, Status>> + Send;
}

/// Serves a [`Voting`] as `emojivoto.v1.VotingService`.
#[derive(Debug)]
pub struct VotingServer<V> {
    voting: Arc<V>,
}

impl<V> VotingServer<V> {
    /// A service for a tonic server.
    pub fn new(voting: V) -> Self {
        Self { voting: Arc::new(voting) }
    }
}

impl<V> Clone for VotingServer<V> {
    fn clone(&self) -> Self {
        Self { voting: Arc::clone(&self.voting) }
    }
}

impl<V> tonic::server::NamedService for VotingServer<V> {
    const NAME: &'static str = SERVICE_NAME;
}

impl<V, B> tower::Service<http::Request<B>> for VotingServer<V>
where
    V: Voting,
    B: http_body::Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let voting = Arc::clone(&self.voting);
        Box::pin(async move {
            Ok(match Method::from_path(request.uri().path()) {
                Some(Method::Vote(choice)) => match IdempotencyKey::of(request.headers()) {
                    Ok(key) => {
                        let vote = service_fn(|_: Request<VoteRequest>| async {
                            let counted = voting.vote(choice, key.clone()).await;
                            counted.map(|()| Response::new(VoteResponse {}))
                        });
                        grpc().unary(vote, request).await
                    }
                    Err(invalid) => Status::invalid_argument(invalid.to_string()).into_http(),
                },
                Some(Method::Results) => {
                    let results = service_fn(|_: Request<ResultsRequest>| async {
                        voting.results().await.map(Response::new)
                    });
                    grpc().unary(results, request).await
                }
                None => Status::unimplemented("this service has no such method").into_http(),
            })
        })
    }
}

fn grpc<Req, Res>() -> Grpc<SmallCodec<Res, Req>>
where
    Req: prost::Message + Default + Send + 'static,
    Res: prost::Message + Send + 'static,
{
    Grpc::new(SmallCodec::default()).max_decoding_message_size(MAX_REQUEST_BYTES)
}
