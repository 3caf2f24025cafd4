//! Observes the RPCs of a server.

use std::{future::Future, sync::Arc};

use http::{Request, Response};
use tonic::{
    Code, Status,
    body::Body,
    codegen::{Body as HttpBody, Bytes, StdError},
};

use super::{
    body::ObservedBody,
    call::{Address, Call, Told},
    descriptors::Rpcs,
    timeout::timeout,
};
use crate::{
    causes,
    failures::Injected,
    operation::{Operation, Side},
    service::Telemetry,
    spans::{Spans, is_recorded},
};

/// Counts and traces the RPCs that a service answers. Clones are cheap.
#[derive(Debug, Clone)]
pub struct Observer {
    rpcs: Arc<Rpcs>,
    spans: Spans,
}

impl Observer {
    /// Observes what comes in. `descriptors` are the encoded descriptor sets of all services that are served.
    pub fn server(telemetry: &Telemetry, descriptors: &[&[u8]]) -> Self {
        let rpcs = Rpcs::new(descriptors, telemetry.metrics.rpcs(Side::Server));
        Self { rpcs: rpcs.into(), spans: telemetry.spans.clone() }
    }

    /// Starts to observe an RPC, with the request as it is to go on.
    pub fn start<B>(&self, request: Request<B>) -> (Request<Body>, Operation<Call>)
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<StdError>,
    {
        let rpc = self.rpcs.of(request.uri().path());
        let context = self.spans.server(|| rpc.name, request.headers());
        let server = if is_recorded(&context) { request.uri().into() } else { Address::default() };
        rpc.counts.started.inc();
        let timeout = timeout(request.headers());
        let call = Call::new(Side::Server, rpc, server, timeout);
        let count = &rpc.counts.received;
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
        let answer = self.run(answer).await;
        let answer = answer.map_err(|error| {
            let error = error.into();
            // The stream is reset, which is what clients make of it (`PROTOCOL-HTTP2.md`, "Errors").
            self.observed.code = Some(Code::Internal);
            self.observed.cause = Some(Told::Words(causes(&*error)));
            let fault = error.source().and_then(|source| source.downcast_ref::<Injected>());
            self.observed.fault = fault.and_then(Injected::by).map(ToOwned::to_owned);
            error
        });
        let (head, body) = answer?.into_parts();
        let fault = head.extensions.get::<Injected>().and_then(Injected::by);
        self.observed.fault = fault.map(ToOwned::to_owned);
        if head.headers.contains_key(Status::GRPC_STATUS) {
            // An error without a message has its status in the headers.
            self.observed.take_status(&head.headers);
        }
        let Call { rpc, code, .. } = &self.observed;
        let (rpc, code) = (*rpc, *code);
        let call = code.is_none().then_some(self);
        Ok(Response::from_parts(head, ObservedBody::new(body, &rpc.counts.sent, call)))
    }
}
