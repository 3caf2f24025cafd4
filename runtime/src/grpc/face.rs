//! Faults as gRPC tells them.

use std::time::Duration;

use emojivoto_faults::Failure;
use emojivoto_proto::MAX_REQUEST_BYTES;
use emojivoto_telemetry::{Telemetry, grpc::timeout};
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Limited};
use tokio::time;
use tonic::{Code, Status, body::Body};

use super::{in_time::too_late, punctual::IN_TIME};
use crate::faults::{Face, Injected, Stalled};

/// Writes a line about an RPC, by its path, that a fault ends badly.
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

    fn line(&self, request: &Request<Body>, why: &Injected) {
        if self.telemetry.logs_request(true) {
            (self.line)(request.uri().path(), why);
        }
    }

    async fn fail(
        &self,
        failure: &Failure,
        request: Request<Body>,
        _: &Injected,
    ) -> Response<Body> {
        let patience = timeout(request.headers()).unwrap_or(IN_TIME);
        // Read as by a service that fails by itself, so that it counts as a message that was received. How it ends makes no
        // difference.
        let message = Limited::new(request.into_body(), MAX_REQUEST_BYTES).collect();
        if time::timeout(patience, message).await.is_err() {
            return too_late();
        }
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body::Frame;
    use http_body_util::StreamBody;
    use hyper::body::Bytes;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_message_that_does_not_come_is_waited_for_as_long_as_the_caller_does() {
        let face = Grpc { telemetry: Telemetry::off(), line };
        let silent =
            || StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, Infallible>>());
        for (timeout, patience) in [(Some("50m"), Duration::from_millis(50)), (None, IN_TIME)] {
            let mut request = Request::new(Body::new(silent()));
            if let Some(timeout) = timeout {
                request.headers_mut().insert("grpc-timeout", HeaderValue::from_static(timeout));
            }
            let failure = Failure { code: None, status: None, message: None };
            let (why, start) = (Injected { rules: "away".to_owned(), ended: true }, Instant::now());
            let answer = face.fail(&failure, request, &why).await;
            assert_eq!(
                answer.headers().get(Status::GRPC_STATUS),
                Some(&HeaderValue::from_static("4"))
            );
            assert!(start.elapsed().abs_diff(patience) < Duration::from_millis(5), "{timeout:?}");
        }
    }
}
