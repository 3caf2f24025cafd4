//! Tells clients that do not speak gRPC what this port speaks.

use emojivoto_telemetry::grpc::ObservedBody;
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use http_body_util::Full;
use tonic::body::Body;

/// The answer to what is not gRPC, before it reaches a service that could only misread it.
///
/// The statuses are those of the gRPC over HTTP/2 protocol (`PROTOCOL-HTTP2.md`, "Requests"), and
/// of RFC 9110, 15.6.6, for the wrong HTTP version.
pub(super) fn refusal<B>(request: &Request<B>) -> Option<Response<ObservedBody<Body>>> {
    let (status, text) = if request.version() != Version::HTTP_2 {
        (StatusCode::HTTP_VERSION_NOT_SUPPORTED, "this port speaks gRPC, which needs HTTP/2\n")
    } else if !is_grpc(request.headers().get(header::CONTENT_TYPE)) {
        (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "this port speaks gRPC: expected content-type application/grpc\n",
        )
    } else {
        return None;
    };
    let mut response = Response::new(ObservedBody::unobserved(Body::new(Full::from(text))));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    Some(response)
}

/// `application/grpc`, alone or with a message format (`+proto`) or parameters. gRPC-Web is something else.
fn is_grpc(content_type: Option<&HeaderValue>) -> bool {
    let grpc = content_type.and_then(|value| value.as_bytes().strip_prefix(b"application/grpc"));
    grpc.is_some_and(|rest| matches!(rest, [] | [b'+' | b';' | b' ', ..]))
}
