//! One RPC, from its start to its status.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, Uri, uri::Authority};
use opentelemetry::{Context, KeyValue};
use opentelemetry_semantic_conventions::attribute::{
    ERROR_TYPE, RPC_METHOD, RPC_RESPONSE_STATUS_CODE, RPC_SYSTEM_NAME, SERVER_ADDRESS, SERVER_PORT,
};
use tonic::{Code, Status};

use super::descriptors::ObservedRpc;
use crate::{
    codes,
    failures::{Cause, Why},
    operation::{Observed, Side},
    spans::record_error_in,
};

/// Where an RPC goes to, for its span.
#[derive(Debug, Clone, Default)]
pub(super) struct Address {
    host: Option<Arc<str>>,
    port: Option<u16>,
}

impl From<&Uri> for Address {
    fn from(uri: &Uri) -> Self {
        uri.authority().map(Self::from).unwrap_or_default()
    }
}

impl From<&Authority> for Address {
    fn from(authority: &Authority) -> Self {
        Self { host: Some(authority.host().into()), port: authority.port_u16() }
    }
}

/// An RPC. It was cancelled, unless a status has come before it is dropped.
#[derive(Debug)]
pub struct Call {
    pub(super) side: Side,
    pub(super) rpc: &'static ObservedRpc,
    pub(super) server: Address,
    pub(super) timeout: Option<Duration>,
    /// What the other side, or the way there, said last.
    pub(super) code: Option<Code>,
    /// Why it failed, if it did.
    pub(super) cause: Option<Told>,
    /// The answer has ended without a status.
    pub(super) breaks_off: bool,
    /// The rule that ended it on purpose.
    pub(super) fault: Option<String>,
}

impl Call {
    pub(super) fn new(
        side: Side,
        rpc: &'static ObservedRpc,
        server: Address,
        timeout: Option<Duration>,
    ) -> Self {
        let (code, cause, fault) = (None, None, None);
        Self { side, rpc, server, timeout, code, cause, breaks_off: false, fault }
    }

    /// Takes the status out of trailers, or of the headers that stand for them.
    pub(super) fn take_status(&mut self, trailers: &HeaderMap) {
        let status = trailers.get(Status::GRPC_STATUS);
        let code = status.map_or(Code::Unknown, |status| Code::from_bytes(status.as_bytes()));
        self.code = Some(code);
        if code != Code::Ok {
            self.cause = trailers.get(Status::GRPC_MESSAGE).cloned().map(Told::Message);
        }
    }
}

impl Observed for Call {
    fn ended(&mut self, took: Duration, context: &Context) -> bool {
        let in_time = self.timeout.is_none_or(|timeout| took < timeout);
        let code = match self.code {
            // Clients drop a call at its deadline, and tonic's servers call that cancelled.
            None | Some(Code::Cancelled) if !in_time => Code::DeadlineExceeded,
            None if self.breaks_off => Code::Internal,
            None => Code::Cancelled,
            Some(code) => code,
        };
        if self.code.is_none() && code == Code::DeadlineExceeded {
            let late = TimedOut(took);
            record_error_in(context, &late);
            self.cause = Some(Told::Words(late.to_string()));
        }
        self.code = Some(code);
        let cause = self.cause.as_ref().map(Told::cause);
        let why = Why { cause, fault: self.fault.as_deref() };
        self.rpc.counts.ended(code, took, context, why);
        is_failure(self.side, code)
    }

    fn attributes(&self, failed: bool) -> impl IntoIterator<Item = Option<KeyValue>> {
        let code = codes::specified(self.code.unwrap_or(Code::Cancelled));
        let Address { host, port } = &self.server;
        [
            Some(KeyValue::new(RPC_SYSTEM_NAME, "grpc")),
            Some(KeyValue::new(RPC_METHOD, self.rpc.name)),
            Some(KeyValue::new(RPC_RESPONSE_STATUS_CODE, code)),
            failed.then(|| KeyValue::new(ERROR_TYPE, code)),
            host.clone().map(|host| KeyValue::new(SERVER_ADDRESS, host)),
            port.map(|port| KeyValue::new(SERVER_PORT, i64::from(port))),
        ]
    }
}

/// What is known of why an RPC failed.
#[derive(Debug)]
pub(super) enum Told {
    Message(HeaderValue),
    Words(String),
}

impl Told {
    fn cause(&self) -> Cause<'_> {
        match self {
            Self::Message(message) => Cause::Message(message),
            Self::Words(words) => Cause::Words(words),
        }
    }
}

/// No status came while the caller waited.
#[derive(Debug, thiserror::Error)]
#[error("no status after {0:?}, and nobody waits any longer")]
struct TimedOut(Duration);

/// Which codes make a span red: for a server only those that are its own fault.
fn is_failure(side: Side, code: Code) -> bool {
    match side {
        Side::Client => code != Code::Ok,
        Side::Server => codes::is_failure(code),
    }
}
