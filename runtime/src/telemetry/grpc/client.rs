//! Around a client.

use std::{
    error::Error,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response, StatusCode, Uri};
use pin_project_lite::pin_project;
use tonic::{Code, Status, TimeoutExpired, body::Body, codegen::StdError};
use tower::Service;

use super::{
    body::{Direction, RequestBody, ResponseBody},
    call::{self, Call, Server},
    methods::Methods,
};
use crate::telemetry::{
    Telemetry,
    metrics::{Rpc, RpcSide},
    spans::{self, Spans},
};

/// Counts and traces every RPC that goes out over a channel.
#[derive(Debug, Clone)]
pub struct Client<S> {
    channel: S,
    methods: Arc<Methods>,
    spans: Spans,
    server: Server,
}

impl<S> Client<S> {
    /// Around a channel to `server`, for calls of the services in the encoded `descriptors`.
    pub fn new(channel: S, server: &Uri, descriptors: &[u8], telemetry: &Telemetry) -> Self {
        let methods = Methods::new(&[descriptors], telemetry.metrics.as_ref(), RpcSide::Client);
        Self {
            channel,
            methods: methods.into(),
            spans: telemetry.spans.clone(),
            server: Server::of(server),
        }
    }
}

/// Why there is no status from the other side: `DeadlineExceeded` if that is because time was up,
/// `Unavailable` for everything else that can happen on the way.
pub fn code_of_failure(error: &(dyn Error + 'static)) -> Code {
    if error.is::<TimeoutExpired>() {
        return Code::DeadlineExceeded;
    }
    error.source().map_or(Code::Unavailable, code_of_failure)
}

/// See <https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>.
fn code_of_http(status: StatusCode) -> Code {
    match status.as_u16() {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502 | 503 | 504 => Code::Unavailable,
        _ => Code::Unknown,
    }
}

impl<S, B> Service<Request<Body>> for Client<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<StdError>,
{
    type Response = Response<ResponseBody<B>>;
    type Error = StdError;
    type Future = Calling<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StdError>> {
        self.channel.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let method = Arc::clone(self.methods.of(request.uri().path()));
        let context = self.spans.client(|| method.name, request.headers_mut());
        let rpc = method.rpc.clone();
        let call = (context.is_some() || rpc.is_some()).then(|| {
            let (server, timeout) = (self.server.clone(), call::timeout(request.headers()));
            Call::start(RpcSide::Client, &method, context, server, timeout)
        });
        let request = if rpc.is_some() {
            request.map(|body| Body::new(RequestBody::new(body, rpc.clone(), Direction::Out)))
        } else {
            request
        };
        Calling { answer: self.channel.call(request), call, rpc }
    }
}

pin_project! {
    /// An RPC that waits for its answer.
    pub struct Calling<F> {
        #[pin]
        answer: F,
        call: Option<Call>,
        rpc: Option<Arc<Rpc>>,
    }
}

impl<F, B, E> Future for Calling<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: Into<StdError>,
{
    type Output = Result<Response<ResponseBody<B>>, StdError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.answer.poll(cx)).map_err(Into::into);
        let mut call = this.call.take();
        match answer {
            Ok(response) => {
                // Not from a gRPC server, but from something on the way.
                if response.status() != StatusCode::OK
                    && !response.headers().contains_key(Status::GRPC_STATUS)
                    && let Some(call) = call.take()
                {
                    call.end(code_of_http(response.status()));
                }
                let rpc = this.rpc.take();
                Poll::Ready(Ok(ResponseBody::of(response, call, rpc, Direction::In)))
            }
            Err(error) => {
                if let Some(call) = call {
                    // It did not get there, or no answer came back: this is where that is known first.
                    if let Some(context) = call.context() {
                        spans::record_error_in(context, &*error);
                    }
                    call.end(code_of_failure(&*error));
                }
                Poll::Ready(Err(error))
            }
        }
    }
}
