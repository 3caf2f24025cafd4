//! Serves a gRPC service, with health checking and reflection beside it, until told to stop.

mod grpc_only;

use std::{convert::Infallible, io};

use axum::response::IntoResponse;
use futures_util::{StreamExt as _, stream};
use grpc_only::GrpcOnlyLayer;
use http_body_util::{BodyStream, StreamBody};
use tokio::net::TcpListener;
use tonic::{body::Body, server::NamedService, service::LayerExt as _, transport::Server};
use tonic_health::{ServingStatus, pb::FILE_DESCRIPTOR_SET as HEALTH_DESCRIPTORS};
use tonic_reflection::{
    pb::{
        v1::FILE_DESCRIPTOR_SET as REFLECTION_V1,
        v1alpha::FILE_DESCRIPTOR_SET as REFLECTION_V1ALPHA,
    },
    server::Builder as Reflection,
};
use tower::{Service, util::MapRequestLayer};

use crate::{
    Error, Lifecycle, Telemetry,
    accept::accept,
    limits::{KEEPALIVE, MAX_HEAD_BYTES, MAX_STREAMS},
    telemetry::grpc::ServerLayer,
};

/// Serves `service` on `listener` until told to stop; returns when every RPC in flight has been
/// answered. `descriptors` is the encoded descriptor set that reflection lists, and whose RPCs are
/// told apart by `telemetry`.
pub async fn serve<S>(
    listener: TcpListener,
    service: S,
    descriptors: &'static [u8],
    telemetry: Telemetry,
    lifecycle: Lifecycle,
) -> Result<(), Error>
where
    S: Service<http::Request<Body>, Error = Infallible>
        + NamedService
        + Clone
        + Send
        + Sync
        + 'static,
    S::Response: IntoResponse,
    S::Future: Send + 'static,
{
    let (mut health, health_server) = tonic_health::server::health_reporter();
    health.set_serving::<S>().await;
    let reflection = || {
        Reflection::configure()
            .register_encoded_file_descriptor_set(descriptors)
            .register_encoded_file_descriptor_set(HEALTH_DESCRIPTORS)
    };
    // Tools such as grpcui keep their stream of questions open. It ends when the service stops, or the
    // drain would wait for it.
    let stop = lifecycle.clone();
    let until_shutdown = MapRequestLayer::new(move |request: http::Request<Body>| {
        let shutdown = stop.shutdown();
        request.map(|body| Body::new(StreamBody::new(BodyStream::new(body).take_until(shutdown))))
    });
    let connections = stream::unfold(listener, async |listener| {
        let (connection, _) = accept(&listener).await;
        Some((Ok::<_, io::Error>(connection), listener))
    });
    let observed = [descriptors, HEALTH_DESCRIPTORS, REFLECTION_V1, REFLECTION_V1ALPHA];
    let server = Server::builder()
        // HTTP/1 is let in only to be told, in words it understands, what this port speaks.
        .accept_http1(true)
        .max_concurrent_streams(MAX_STREAMS)
        .http2_max_header_list_size(MAX_HEAD_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .layer(GrpcOnlyLayer)
        // Inside of it, so that only RPCs are counted and traced.
        .layer(ServerLayer::new(&telemetry, &observed))
        .add_service(service)
        .add_service(health_server)
        .add_service(until_shutdown.named_layer(reflection().build_v1()?))
        // What older tools ask.
        .add_service(until_shutdown.named_layer(reflection().build_v1alpha()?))
        .serve_with_incoming_shutdown(connections, lifecycle.shutdown());
    lifecycle.ready();
    let draining = async {
        lifecycle.draining().await;
        for name in ["", S::NAME] {
            health.set_service_status(name, ServingStatus::NotServing).await;
        }
        lifecycle.shutdown().await;
        // Ends the streams of those who watch, for whom the drain would wait otherwise.
        for name in ["", S::NAME] {
            health.clear_service_status(name).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        result = server => Ok(result?),
        () = draining => unreachable!("it pends once it has told the health service"),
    }
}
