//! Tells clients that do not speak gRPC what this port speaks.

use std::{
    future::{Ready, ready},
    task::{Context, Poll},
};

use futures_util::{
    TryFutureExt as _,
    future::{Either, MapOk},
};
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use tonic::{
    body::Body,
    codegen::{Body as HttpBody, Bytes, StdError},
};
use tower::{Layer, Service};

/// Refuses what is not gRPC before it reaches a service that could only misread it.
#[derive(Debug, Clone, Copy)]
pub(super) struct GrpcOnlyLayer;

impl<S> Layer<S> for GrpcOnlyLayer {
    type Service = GrpcOnly<S>;

    fn layer(&self, inner: S) -> GrpcOnly<S> {
        GrpcOnly { inner }
    }
}

#[derive(Debug, Clone)]
pub(super) struct GrpcOnly<S> {
    inner: S,
}

impl<S, B, R> Service<Request<B>> for GrpcOnly<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: HttpBody<Data = Bytes> + Send + 'static,
    R::Error: Into<StdError>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<
        Ready<Result<Response<Body>, S::Error>>,
        MapOk<S::Future, fn(Response<R>) -> Response<Body>>,
    >;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match refusal(&request) {
            Some(response) => Either::Left(ready(Ok(response))),
            None => Either::Right(self.inner.call(request).map_ok(|answer| answer.map(Body::new))),
        }
    }
}

/// The statuses are those of the gRPC over HTTP/2 protocol (`PROTOCOL-HTTP2.md`, "Requests"), and
/// of RFC 9110, 15.6.6, for the wrong HTTP version.
fn refusal<B>(request: &Request<B>) -> Option<Response<Body>> {
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
    let mut response = Response::new(Body::new(text.to_owned()));
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
