//! Observes the RPCs that a service calls.

use std::time::Duration;

use http::{HeaderMap, uri::Authority};
use tonic::Code;

use super::{
    call::{Address, Call},
    descriptors::{ObservedRpc, Rpcs},
};
use crate::{
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

impl CalledRpc {
    /// How often a call of it was started.
    pub fn started(&self) -> u64 {
        self.0.counts.started.get()
    }
}

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
        let (side, server, timeout) = (Side::Client, self.server.clone(), Some(timeout));
        Operation::start(context, Call { side, rpc, server, timeout, code: None })
    }
}

impl Call {
    /// Counts the message that came back.
    pub fn received(&self) {
        self.rpc.counts.received.inc();
    }

    /// Says how it ended.
    pub fn ended_with(&mut self, code: Code) {
        self.code = Some(code);
    }
}
