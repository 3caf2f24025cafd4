//! One RPC, from its start to its status.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderMap, Uri};
use opentelemetry::{Context, KeyValue};
use opentelemetry_semantic_conventions::attribute::{
    ERROR_TYPE, RPC_METHOD, RPC_RESPONSE_STATUS_CODE, RPC_SYSTEM_NAME, SERVER_ADDRESS, SERVER_PORT,
};
use tonic::{Code, Status};

use super::methods::Method;
use crate::telemetry::{codes, metrics::RpcSide, spans};

/// Where an RPC goes to, for its span.
#[derive(Debug, Clone, Default)]
pub(super) struct Server {
    pub(super) address: Option<Arc<str>>,
    pub(super) port: Option<u16>,
}

impl Server {
    pub(super) fn of(uri: &Uri) -> Self {
        Self { address: uri.host().map(Arc::from), port: uri.port_u16() }
    }
}

/// An RPC that has not ended. It ends when this is dropped: cancelled, unless a status has come.
#[derive(Debug)]
pub(super) struct Call {
    side: RpcSide,
    method: Arc<Method>,
    start: Instant,
    context: Option<Context>,
    server: Server,
    /// How long the caller waits, as `grpc-timeout` says.
    timeout: Option<Duration>,
    /// What the other side, or the way there, said last.
    code: Option<Code>,
}

impl Call {
    pub(super) fn start(
        side: RpcSide,
        method: &Arc<Method>,
        context: Option<Context>,
        server: Server,
        timeout: Option<Duration>,
    ) -> Self {
        if let Some(rpc) = &method.rpc {
            rpc.start();
        }
        let (method, start) = (Arc::clone(method), Instant::now());
        Self { side, method, start, context, server, timeout, code: None }
    }

    pub(super) fn context(&self) -> Option<&Context> {
        self.context.as_ref()
    }

    /// Ends it with a code.
    pub(super) fn end(mut self, code: Code) {
        self.code = Some(code);
    }

    /// Ends it with the status in trailers, or in the headers that stand for them.
    pub(super) fn end_with(self, trailers: &HeaderMap) {
        let status = trailers.get(Status::GRPC_STATUS);
        let code = status.map_or(Code::Unknown, |status| Code::from_bytes(status.as_bytes()));
        self.end(code);
    }

    /// Ends it where no status will come any more.
    pub(super) fn end_without_status(self) {
        match self.side {
            RpcSide::Server => drop(self), // the client went away
            RpcSide::Client => self.end(Code::Unavailable),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let (took, context) = (self.start.elapsed(), self.context.as_ref());
        let in_time = self.timeout.is_none_or(|timeout| took < timeout);
        let code = match self.code {
            // Servers and clients drop a call at its deadline, and tonic's servers call that cancelled.
            None | Some(Code::Cancelled) if !in_time => Code::DeadlineExceeded,
            None => Code::Cancelled,
            Some(code) => code,
        };
        if let Some(rpc) = &self.method.rpc {
            rpc.end(code, took, context);
        }
        let Some(context) = context else { return };
        if self.code.is_none() && code == Code::DeadlineExceeded {
            spans::record_error_in(context, &TimedOut(took));
        }
        let (failed, name) = (is_failure(self.side, code), codes::specified(code));
        spans::end_span(context, failed, || {
            [
                Some(KeyValue::new(RPC_SYSTEM_NAME, "grpc")),
                Some(KeyValue::new(RPC_METHOD, self.method.name)),
                Some(KeyValue::new(RPC_RESPONSE_STATUS_CODE, name)),
                failed.then(|| KeyValue::new(ERROR_TYPE, name)),
                self.server.address.clone().map(|address| KeyValue::new(SERVER_ADDRESS, address)),
                self.server.port.map(|port| KeyValue::new(SERVER_PORT, i64::from(port))),
            ]
        });
    }
}

/// No status came while the caller waited.
#[derive(Debug, thiserror::Error)]
#[error("no status after {0:?}, and nobody waits any longer")]
struct TimedOut(Duration);

/// The value of `grpc-timeout`: up to eight digits and a unit (gRPC over HTTP/2, "Requests").
pub(super) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("grpc-timeout")?.to_str().ok()?;
    let (number, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    let number: u32 = number.parse().ok()?;
    let unit = match unit {
        "H" => Duration::from_hours(1),
        "M" => Duration::from_mins(1),
        "S" => Duration::from_secs(1),
        "m" => Duration::from_millis(1),
        "u" => Duration::from_micros(1),
        "n" => Duration::from_nanos(1),
        _ => return None,
    };
    unit.checked_mul(number)
}

/// Which codes make a span red: for a server only those that are its own fault.
/// See <https://opentelemetry.io/docs/specs/semconv/rpc/grpc/>.
fn is_failure(side: RpcSide, code: Code) -> bool {
    match side {
        RpcSide::Client => code != Code::Ok,
        RpcSide::Server => matches!(
            code,
            Code::Unknown
                | Code::DeadlineExceeded
                | Code::Unimplemented
                | Code::Internal
                | Code::Unavailable
                | Code::DataLoss
        ),
    }
}
