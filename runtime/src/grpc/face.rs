//! Faults as gRPC tells them.

use std::time::Duration;

use emojivoto_faults::Failure;
use emojivoto_proto::MAX_REQUEST_BYTES;
use emojivoto_telemetry::{Telemetry, grpc::timeout};
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Limited};
use tonic::{Code, Status, body::Body};

use super::in_time::too_late;
use crate::faults::{Face, Injected, Stalled};

/// Writes a line about an RPC, by its path, that a fault made fail.
pub type FaultLine = fn(&str, &Injected);

/// The requests of a gRPC service.
#[derive(Debug, Clone)]
pub(super) struct Grpc {
    pub(super) telemetry: Telemetry,
    pub(super) line: FaultLine,
}

impl Face<Body> for Grpc {
    type Body = Body;

    fn path<'a>(&self, request: &'a Request<Body>) -> Option<&'a str> {
        Some(request.uri().path())
    }

    /// The RPC says it.
    async fn choice(&self, request: Request<Body>) -> (Request<Body>, Option<String>) {
        (request, None)
    }

    fn timeout(&self, request: &Request<Body>) -> Option<Duration> {
        timeout(request.headers())
    }

    fn set_timeout(&self, request: &mut Request<Body>, left: Duration) {
        // Eight digits at most; who waits longer does not count microseconds.
        let (micros, millis) = (left.as_micros(), left.as_millis().min(99_999_999));
        let left = if micros < 100_000_000 { format!("{micros}u") } else { format!("{millis}m") };
        let left = HeaderValue::try_from(left).expect("digits and a letter");
        request.headers_mut().insert("grpc-timeout", left);
    }

    async fn fail(
        &self,
        failure: &Failure,
        request: Request<Body>,
        why: &Injected,
    ) -> Response<Body> {
        if self.telemetry.logs_request(true) {
            (self.line)(request.uri().path(), why);
        }
        // Read as by a service that fails by itself, so that it counts as a message that was received. How it ends makes no
        // difference.
        let _ = Limited::new(request.into_body(), MAX_REQUEST_BYTES).collect().await;
        let code = failure.code.unwrap_or(emojivoto_faults::Code::UNKNOWN);
        let message = failure.message.clone().unwrap_or_else(|| code.name().to_lowercase());
        Status::new(Code::from_i32(code.number()), message).into_http()
    }

    fn too_late(&self) -> Response<Body> {
        too_late()
    }

    fn stalled(&self, half: Stalled<Body>) -> Body {
        Body::new(half)
    }
}

/// The line of a service that has no other to write.
pub(super) fn line(path: &str, why: &Injected) {
    let rpc = path.rsplit('/').next().unwrap_or(path);
    let error = why as &dyn std::error::Error;
    tracing::warn!(target: "grpc", fault = why.rules, error, "{rpc} failed");
}
