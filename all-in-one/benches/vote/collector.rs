//! Who receives the traces, and forgets them.

use ::http::{HeaderMap, HeaderValue};
use axum::{
    Router,
    body::{Body, Bytes},
    response::Response,
};
use emojivoto_runtime::{Lifecycle, http};
use http_body_util::{BodyExt as _, Full};
use tokio::{net::TcpListener, runtime};

/// An empty message of gRPC: not compressed, no byte long.
const EMPTY: &[u8] = &[0; 5];

/// Takes whatever is sent by gRPC and never ends. Says where it listens.
pub(crate) fn run() {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("listening on {}", listener.local_addr().expect("an address"));
        let (lifecycle, _stop) = Lifecycle::new();
        let app = Router::new().fallback(async |_: Bytes| taken());
        http::serve(listener, app, &lifecycle).await.expect("it serves until it is killed");
    });
}

fn taken() -> Response {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body =
        Full::new(Bytes::from_static(EMPTY)).with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut response = Response::new(Body::new(body));
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", grpc);
    response
}
