//! What clients are told when web has too much to do: an error like the others of web, in JSON.

use std::time::Duration;

use axum::body::{Body, Bytes};
use emojivoto_runtime::http::{Refusal, unavailable};
use emojivoto_telemetry::{
    Cause, Context, Side, Telemetry, Why,
    metrics::{OTHER, Outcome},
};
use http::{HeaderValue, Request, Response, StatusCode, Version, header};

use crate::routes::route;

const MESSAGE: &str = "web has too much to do at the moment";

/// Refuses connections and requests. These are counted as any other, but get no line in the log: they may be many.
pub(crate) fn refusal<B>(
    telemetry: &Telemetry,
) -> Refusal<impl Fn(Request<B>) -> Response<Body> + Send + Sync + use<B>> {
    let metrics = telemetry.http(Side::Server);
    let body = format!("{{\"error\":\"{MESSAGE}\"}}");
    let connection = format!(
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n\
         cache-control: no-store\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let body = Bytes::from(body);
    let request = move |request: Request<B>| {
        let route = route(request.uri().path()).unwrap_or(OTHER);
        let counted = metrics.start(request.method(), route);
        let status = Outcome::Status(StatusCode::SERVICE_UNAVAILABLE);
        let why = Why { cause: Some(Cause::Words(MESSAGE)), fault: None };
        counted.ended(status, Duration::ZERO, &Context::new(), why);
        let mut response = unavailable(Body::empty());
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // A client of HTTP/2 could leave a body untaken.
        if request.version() != Version::HTTP_2 {
            let json = HeaderValue::from_static("application/json");
            headers.insert(header::CONTENT_TYPE, json);
            *response.body_mut() = Body::from(body.clone());
        }
        response
    };
    Refusal { connection: Some(connection), request, never: |_| false }
}
