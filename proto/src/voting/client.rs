//! The client: a vote goes to the path of its emoji.

use prost::Message;
use tonic::{
    IntoRequest, Response, Status,
    body::Body,
    client::{Grpc, GrpcService},
    codegen::{Body as HttpBody, Bytes, StdError},
};
use tonic_prost::ProstCodec;

use super::{Method, ResultsRequest, ResultsResponse, VoteRequest, VoteResponse};
use crate::Shortcode;

/// Calls `emojivoto.v1.VotingService` over a channel.
#[derive(Debug, Clone)]
pub struct VotingClient<T> {
    grpc: Grpc<T>,
}

impl<T> VotingClient<T>
where
    T: GrpcService<Body>,
    T::Error: Into<StdError>,
    T::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <T::ResponseBody as HttpBody>::Error: Into<StdError> + Send,
{
    /// A client over `channel`.
    pub fn new(channel: T) -> Self {
        Self { grpc: Grpc::new(channel) }
    }

    /// Votes for an emoji. An error is the status that the service, or the way to it, gave.
    pub async fn vote(
        &mut self,
        choice: Shortcode,
        request: impl IntoRequest<VoteRequest>,
    ) -> Result<Response<VoteResponse>, Status> {
        self.unary(Method::Vote(choice), request).await
    }

    /// Votes so far, most first.
    pub async fn results(
        &mut self,
        request: impl IntoRequest<ResultsRequest>,
    ) -> Result<Response<ResultsResponse>, Status> {
        self.unary(Method::Results, request).await
    }

    async fn unary<Req, Res>(
        &mut self,
        method: Method,
        request: impl IntoRequest<Req>,
    ) -> Result<Response<Res>, Status>
    where
        Req: Message + Send + Sync + 'static,
        Res: Message + Default + Send + Sync + 'static,
    {
        self.grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
        let codec = ProstCodec::default();
        self.grpc.unary(request.into_request(), method.path().clone(), codec).await
    }
}
