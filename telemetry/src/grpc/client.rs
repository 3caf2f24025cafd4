//! Observes the RPCs that a service calls.

use std::time::Duration;

use http::{HeaderMap, uri::Authority};
use tonic::Code;

use super::{
    call::{Address, Call, Told},
    descriptors::{ObservedRpc, Rpcs},
};
use crate::{
    failures::last_of,
    operation::{Operation, Side},
    service::Telemetry,
    spans::Spans,
};

/// Counts and traces the calls to one server.
#[derive(Debug)]
pub struct Calls {
    rpcs: Rpcs,
    spans: Spans,
    server: Address,
}

/// An RPC that is called.
#[derive(Debug, Clone, Copy)]
pub struct CalledRpc(&'static ObservedRpc);

impl Calls {
    /// Observes the calls to `server`, of the services in the encoded `descriptors`.
    pub fn new(telemetry: &Telemetry, descriptors: &[u8], server: &Authority) -> Self {
        let rpcs = Rpcs::new(&[descriptors], telemetry.metrics.rpcs(Side::Client));
        Self { rpcs, spans: telemetry.spans.clone(), server: server.into() }
    }

    /// The RPC with this path. To be looked up once, not for each call.
    pub fn rpc(&self, path: &str) -> CalledRpc {
        CalledRpc(self.rpcs.of(path))
    }

    /// Starts to observe a call of one message, whose headers get to know what it is a part of, and whose answer is waited
    /// for so long. It was cancelled, unless it is said how it ended.
    pub fn start(
        &self,
        CalledRpc(rpc): CalledRpc,
        headers: &mut HeaderMap,
        timeout: Duration,
    ) -> Operation<Call> {
        let context = self.spans.client(|| rpc.name, headers);
        rpc.counts.started.inc();
        rpc.counts.sent.inc();
        let call = Call::new(Side::Client, rpc, self.server.clone(), Some(timeout));
        Operation::start(context, call)
    }
}

impl Call {
    /// Counts the message that came back.
    pub fn received(&self) {
        self.rpc.counts.received.inc();
    }

    /// Says that it succeeded.
    pub fn succeeded(&mut self) {
        self.code = Some(Code::Ok);
    }

    /// Says how it failed, and why, in words and by the rules that struck it on purpose.
    pub fn failed(&mut self, code: Code, cause: String, fault: Option<&str>) {
        self.fault = fault.and_then(last_of).map(ToOwned::to_owned);
        (self.code, self.cause) = (Some(code), Some(Told::Words(cause)));
    }
}
