//! Around a server.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tonic::body::Body;
use tower::{Layer, Service};

use super::{
    body::{Direction, RequestBody, ResponseBody},
    call::{self, Call, Server},
    methods::Methods,
};
use crate::telemetry::{
    Telemetry,
    metrics::{Rpc, RpcSide},
    spans::{self, InContext, Spans},
};

/// Counts and traces every RPC that comes in.
#[derive(Debug, Clone)]
pub(crate) struct ServerLayer {
    methods: Arc<Methods>,
    spans: Spans,
}

impl ServerLayer {
    /// `descriptors` are the encoded descriptor sets of all services behind it.
    pub(crate) fn new(telemetry: &Telemetry, descriptors: &[&[u8]]) -> Self {
        let methods = Methods::new(descriptors, telemetry.metrics.as_ref(), RpcSide::Server);
        Self { methods: methods.into(), spans: telemetry.spans.clone() }
    }
}

impl<S> Layer<S> for ServerLayer {
    type Service = ServerService<S>;

    fn layer(&self, inner: S) -> ServerService<S> {
        ServerService { inner, layer: self.clone() }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct ServerService<S> {
    inner: S,
    layer: ServerLayer,
}

impl<S, B> Service<Request<Body>> for ServerService<S>
where
    S: Service<Request<RequestBody<Body>>, Response = Response<B>>,
{
    type Response = Response<ResponseBody<B>>;
    type Error = S::Error;
    type Future = Answering<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let ServerLayer { methods, spans: starter } = &self.layer;
        let method = methods.of(request.uri().path());
        let context = starter.server(|| method.name, request.headers());
        let timeout = call::timeout(request.headers());
        let observed = context.is_some() || method.rpc.is_some();
        let call = observed.then(|| {
            let server = if spans::is_recorded(context.as_ref()) {
                Server::of(request.uri())
            } else {
                Server::default()
            };
            Call::start(RpcSide::Server, method, context.clone(), server, timeout)
        });
        let rpc = method.rpc.clone();
        let request = request.map(|body| RequestBody::new(body, rpc.clone(), Direction::In));
        Answering { answer: InContext::new(self.inner.call(request), context), call, rpc }
    }
}

pin_project! {
    /// An RPC whose handler has not answered yet.
    pub(crate) struct Answering<F> {
        #[pin]
        answer: InContext<F>,
        call: Option<Call>,
        rpc: Option<Arc<Rpc>>,
    }
}

impl<F, B, E> Future for Answering<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.answer.poll(cx))?;
        let (call, rpc) = (this.call.take(), this.rpc.take());
        Poll::Ready(Ok(ResponseBody::of(response, call, rpc, Direction::Out)))
    }
}
