//! Serves a gRPC service, with health checking and reflection beside it, until told to stop.

mod grpc_only;

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use axum::response::IntoResponse;
use emojivoto_telemetry::{Telemetry, grpc::Observer, record_error};
use futures_util::StreamExt as _;
use grpc_only::refusal;
use http::{Request, Response};
use http_body_util::{BodyStream, Either, StreamBody};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tonic::{
    Status,
    body::Body,
    server::NamedService,
    service::{LayerExt as _, Routes, RoutesBuilder},
};
use tonic_health::{
    ServingStatus, pb::FILE_DESCRIPTOR_SET as HEALTH_DESCRIPTORS, server::HealthReporter,
};
use tonic_reflection::{
    pb::{
        v1::FILE_DESCRIPTOR_SET as REFLECTION_V1,
        v1alpha::FILE_DESCRIPTOR_SET as REFLECTION_V1ALPHA,
    },
    server::Builder as Reflection,
};
use tower::{Service, service_fn, util::MapRequestLayer};

use crate::{Error, Lifecycle, http as server};

/// A gRPC service, with health checking and reflection beside it.
pub struct Server<S> {
    service: S,
    descriptors: &'static [u8],
    observer: Observer,
}

impl<S> Server<S>
where
    S: Service<Request<Body>, Error = Infallible> + NamedService + Clone + Send + Sync + 'static,
    S::Response: IntoResponse,
    S::Future: Send + 'static,
{
    /// `descriptors` is the encoded descriptor set that reflection lists. `telemetry` has metrics of each of its RPCs from
    /// here on: who waits with "ready" until then is never scraped without them.
    pub fn new(service: S, descriptors: &'static [u8], telemetry: &Telemetry) -> Self {
        let all = [descriptors, HEALTH_DESCRIPTORS, REFLECTION_V1, REFLECTION_V1ALPHA];
        Self { service, descriptors, observer: Observer::server(telemetry, &all) }
    }

    /// Serves on `listener` until told to stop; returns when every RPC in flight has been answered. Whether the service is
    /// ready, its owner says by `lifecycle`.
    pub async fn serve(self, listener: TcpListener, lifecycle: Lifecycle) -> Result<(), Error> {
        let Self { service, descriptors, observer } = self;
        let observer = Arc::new(observer);
        let (mut health, health_server) = tonic_health::server::health_reporter();
        let reflection = || {
            Reflection::configure()
                .register_encoded_file_descriptor_set(descriptors)
                .register_encoded_file_descriptor_set(HEALTH_DESCRIPTORS)
        };
        // Tools such as grpcui keep their stream of questions open. It ends when the service stops, or the
        // drain would wait for it.
        let stop = lifecycle.clone();
        let until_shutdown = MapRequestLayer::new(move |request: Request<Body>| {
            let shutdown = stop.shutdown();
            request
                .map(|body| Body::new(StreamBody::new(BodyStream::new(body).take_until(shutdown))))
        });
        let mut routes = RoutesBuilder::default();
        routes
            .add_service(service)
            .add_service(health_server)
            .add_service(until_shutdown.named_layer(reflection().build_v1()?))
            // What older tools ask.
            .add_service(until_shutdown.named_layer(reflection().build_v1alpha()?));
        let routes = routes.routes().prepare();
        let app = service_fn(move |request: Request<Incoming>| {
            let (observer, routes) = (Arc::clone(&observer), routes.clone());
            async move {
                // First, so that only RPCs are counted and traced.
                if let Some(refusal) = refusal(&request) {
                    return Ok(refusal.map(Either::Left));
                }
                let (request, call) = observer.start(request);
                let answer = answer(routes, request, call.observed.timeout());
                let answer = call.until_answered(answer).await?;
                Ok::<_, Error>(answer.map(Either::Right))
            }
        });
        let health = async {
            let mut readiness = lifecycle.readiness();
            let mut draining = pin!(lifecycle.draining());
            loop {
                let ready = *readiness.borrow_and_update();
                set(&mut health, S::NAME, ready).await;
                tokio::select! {
                    Ok(()) = readiness.changed() => {}
                    () = &mut draining => break,
                }
            }
            set(&mut health, S::NAME, false).await;
            lifecycle.shutdown().await;
            // Ends the streams of those who watch, for whom the drain would wait otherwise.
            for name in ["", S::NAME] {
                health.clear_service_status(name).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            served = server::serve(listener, app, &lifecycle) => Ok(served?),
            () = health => unreachable!("it pends once the service has ended"),
        }
    }
}

/// Tells those who ask for the health of the process, or of its service.
async fn set(health: &mut HealthReporter, service: &str, ready: bool) {
    let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
    for name in ["", service] {
        health.set_service_status(name, status).await;
    }
}

/// What the services answer, or that they have not in the time that the caller gives them. tonic's own servers would
/// say then that the call was cancelled.
async fn answer(
    mut routes: Routes,
    request: Request<Body>,
    limit: Option<Duration>,
) -> Result<Response<Body>, Infallible> {
    let answer = routes.call(request);
    let Some(limit) = limit else { return answer.await };
    tokio::time::timeout(limit, answer).await.unwrap_or_else(|elapsed| {
        record_error(&elapsed);
        Ok(Status::deadline_exceeded("no answer in time").into_http())
    })
}
