//! Observes the RPCs of a server, or of a client.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response, StatusCode, Uri};
use tonic::{
    Status,
    body::Body,
    codegen::{Body as HttpBody, Bytes, StdError},
};
use tower::Service;

use super::{
    body::ObservedBody,
    call::{Address, Call},
    descriptors::Rpcs,
    timeout::timeout,
};
use crate::{
    codes::{code_of_failure, code_of_http},
    operation::{Operation, Side},
    service::Telemetry,
    spans::{Spans, is_recorded},
};

/// Counts and traces RPCs. Clones are cheap.
#[derive(Debug, Clone)]
pub struct Observer {
    side: Side,
    rpcs: Arc<Rpcs>,
    spans: Spans,
    /// Who is called, where that is always the same.
    server: Option<Address>,
}

impl Observer {
    /// Observes what comes in. `descriptors` are the encoded descriptor sets of all services that are served.
    pub fn server(telemetry: &Telemetry, descriptors: &[&[u8]]) -> Self {
        let rpcs = Rpcs::new(descriptors, telemetry.metrics.rpcs(Side::Server));
        Self { side: Side::Server, rpcs: rpcs.into(), spans: telemetry.spans.clone(), server: None }
    }

    fn client(telemetry: &Telemetry, descriptors: &[u8], server: &Uri) -> Self {
        let rpcs = Rpcs::new(&[descriptors], telemetry.metrics.rpcs(Side::Client));
        let (side, spans, server) = (Side::Client, telemetry.spans.clone(), Some(server.into()));
        Self { side, rpcs: rpcs.into(), spans, server }
    }

    /// Starts to observe an RPC, with the request as it is to go on.
    pub fn start<B>(&self, mut request: Request<B>) -> (Request<Body>, Operation<Call>)
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<StdError>,
    {
        let rpc = self.rpcs.of(request.uri().path());
        let (context, count) = match self.side {
            Side::Server => {
                (self.spans.server(|| rpc.name, request.headers()), &rpc.counts.received)
            }
            Side::Client => {
                (self.spans.client(|| rpc.name, request.headers_mut()), &rpc.counts.sent)
            }
        };
        let server = match &self.server {
            Some(server) => server.clone(),
            None if is_recorded(&context) => request.uri().into(),
            None => Address::default(),
        };
        rpc.counts.started.inc();
        let timeout = timeout(request.headers());
        let call = Call { side: self.side, rpc, server, timeout, code: None };
        let request = request.map(|body| Body::new(ObservedBody::new(body, count, None)));
        (request, Operation::start(context, call))
    }
}

impl Operation<Call> {
    /// Observes what is answered, until its body has ended.
    pub async fn until_answered<R, E: Into<StdError>>(
        mut self,
        answer: impl Future<Output = Result<Response<R>, E>>,
    ) -> Result<Response<ObservedBody<R>>, StdError> {
        let answer = self.run(answer).await.map_err(Into::into).inspect_err(|error| {
            // It did not get there, or no answer came back: this is where that is known first.
            self.record_error(&**error);
            self.observed.code = Some(code_of_failure(&**error));
        });
        let (head, body) = answer?.into_parts();
        if head.headers.contains_key(Status::GRPC_STATUS) {
            // An error without a message has its status in the headers.
            self.observed.take_status(&head.headers);
        } else if head.status != StatusCode::OK {
            // Not from a gRPC server, but from something on the way.
            self.observed.code = Some(code_of_http(head.status));
        }
        let Call { side, rpc, code, .. } = self.observed;
        let count = match side {
            Side::Server => &rpc.counts.sent,
            Side::Client => &rpc.counts.received,
        };
        let call = code.is_none().then_some(self);
        Ok(Response::from_parts(head, ObservedBody::new(body, count, call)))
    }
}

/// A channel whose calls are observed.
#[derive(Debug, Clone)]
pub struct ObservedChannel<S> {
    channel: S,
    observer: Observer,
}

impl<S> ObservedChannel<S> {
    /// Observes the calls over a channel to `server`, of the services in the encoded `descriptors`.
    pub fn new(channel: S, server: &Uri, descriptors: &[u8], telemetry: &Telemetry) -> Self {
        Self { channel, observer: Observer::client(telemetry, descriptors, server) }
    }
}

impl<S, R> Service<Request<Body>> for ObservedChannel<S>
where
    S: Service<Request<Body>, Response = Response<R>>,
    S::Error: Into<StdError> + 'static,
    S::Future: Send + 'static,
    R: 'static,
{
    type Response = Response<ObservedBody<R>>;
    type Error = StdError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, StdError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StdError>> {
        self.channel.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (request, call) = self.observer.start(request);
        Box::pin(call.until_answered(self.channel.call(request)))
    }
}
