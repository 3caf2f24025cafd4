//! Serves a gRPC service, with health checking and reflection beside it, until told to stop.

mod face;
mod grpc_only;
mod in_time;
mod punctual;

use std::{convert::Infallible, future::ready, pin::pin, sync::Arc};

use emojivoto_telemetry::{
    Telemetry,
    grpc::{ObservedBody, Observer},
};
pub use face::FaultLine;
use face::Grpc;
use futures_util::{FutureExt as _, StreamExt as _, TryFutureExt as _, future};
use grpc_only::refusal;
use http::{Request, Response};
use http_body_util::{BodyStream, StreamBody};
use hyper::body::Incoming;
use in_time::InTime;
use punctual::Punctual;
use tokio::net::TcpListener;
use tonic::{
    Status,
    body::Body,
    server::NamedService,
    service::{LayerExt as _, RoutesBuilder},
};
use tonic_health::{
    ServingStatus,
    pb::{FILE_DESCRIPTOR_SET as HEALTH_DESCRIPTORS, health_server::SERVICE_NAME as HEALTH},
    server::HealthReporter,
};
use tonic_reflection::{
    pb::{
        v1::{FILE_DESCRIPTOR_SET as REFLECTION_V1, server_reflection_server::SERVICE_NAME as V1},
        v1alpha::{
            FILE_DESCRIPTOR_SET as REFLECTION_V1ALPHA,
            server_reflection_server::SERVICE_NAME as V1ALPHA,
        },
    },
    server::Builder as Reflection,
};
use tower::{Service, service_fn, util::MapRequestLayer};

use crate::{
    Error, Lifecycle,
    faults::{Injecting, Place, Working},
    http::{self as server, LongLived, Refusal},
};

/// RPCs that may take for ever, of which there may be so many at a time: who watches, and who explores.
const MAX_LONG_LIVED: usize = 256;

/// A gRPC service, with health checking and reflection beside it.
pub struct Server<S> {
    service: S,
    descriptors: &'static [u8],
    observer: Observer,
    face: Grpc,
}

impl<S> Server<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + NamedService
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    /// `descriptors` is the encoded descriptor set that reflection lists. `telemetry` has metrics of each of its RPCs from
    /// here on: who waits with "ready" until then is never scraped without them.
    pub fn new(service: S, descriptors: &'static [u8], telemetry: &Telemetry) -> Self {
        let all = [descriptors, HEALTH_DESCRIPTORS, REFLECTION_V1, REFLECTION_V1ALPHA];
        let face = Grpc { telemetry: telemetry.clone(), line: face::line };
        Self { service, descriptors, observer: Observer::server(telemetry, &all), face }
    }

    /// With another line in the log for each RPC that a fault made fail.
    #[must_use]
    pub fn with_fault_line(mut self, line: FaultLine) -> Self {
        self.face.line = line;
        self
    }

    /// Serves on `listener` until told to stop; returns when every RPC in flight has been answered. Whether the service is
    /// ready, its owner says by `lifecycle`.
    pub async fn serve(self, listener: TcpListener, lifecycle: Lifecycle) -> Result<(), Error> {
        let Self { service, descriptors, observer, face } = self;
        let is_served =
            |place: &Place| matches!(place, Place::Rpc { service, .. } if *service == S::NAME);
        let places = lifecycle.faults().rules().places().iter().map(|(place, _)| place);
        lifecycle.faults().serves(places.filter(is_served).collect(), |_| None);
        // Faults outermost: what they hold up is nothing that has been begun.
        let service = InTime(Working::new(service, &lifecycle));
        let service = Injecting::new(service, face, &lifecycle);
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
            .add_service(health_server)
            .add_service(until_shutdown.named_layer(reflection().build_v1()?))
            // What older tools ask.
            .add_service(until_shutdown.named_layer(reflection().build_v1alpha()?));
        let routes = InTime(routes.routes().prepare());
        let long_lived = lifecycle.budget("streams", MAX_LONG_LIVED, "no setting");
        let refusal_observer = Arc::clone(&observer);
        let overload = Refusal {
            connection: None, // gRPC has no answer but to a request
            request: move |request| refuse(&refusal_observer, request),
            never: is_of::<Health>,
        };
        let app = service_fn(move |request: Request<Incoming>| {
            let (observer, mut service) = (Arc::clone(&observer), service.clone());
            // Past the router, whose boxes cost as much as a vote does.
            let mut others = (!is_of::<S>(request.uri().path())).then(|| routes.clone());
            let long_lived = Arc::clone(&long_lived);
            async move {
                // First, so that only RPCs are counted and traced.
                if let Some(refusal) = refusal(&request) {
                    return Ok(refusal);
                }
                let kind = Kind::of(request.uri().path());
                let stream = match kind {
                    Kind::Unary => None,
                    Kind::Watch | Kind::Dialogue => match long_lived.try_take() {
                        None => return Ok(refuse(&observer, request)),
                        permit => permit.map(Arc::new),
                    },
                };
                let request =
                    request.map(|body| Punctual::new(body, matches!(kind, Kind::Dialogue)));
                let (request, call) = observer.start(request);
                let answer = match &mut others {
                    None => future::Either::Left(service.call(request)),
                    Some(others) => {
                        future::Either::Right(others.call(request).map_err(Error::from))
                    }
                };
                let mut answer = call.until_answered(answer).await?;
                if let Some(permit) = stream {
                    answer.extensions_mut().insert(LongLived);
                    answer.extensions_mut().insert(permit);
                }
                Ok::<_, Error>(answer)
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
            served = server::serve_or_refuse(listener, app, overload, &lifecycle) => Ok(served?),
            () = health => unreachable!("it pends once the service has ended"),
        }
    }
}

/// Health checking.
struct Health;

impl NamedService for Health {
    const NAME: &'static str = HEALTH;
}

/// How long an RPC may take.
enum Kind {
    /// Until it is answered. So are all of our own services.
    Unary,
    /// As long as the client wants to hear more.
    Watch,
    /// As long as the client asks more.
    Dialogue,
}

impl Kind {
    fn of(path: &str) -> Self {
        match path.trim_start_matches('/').split_once('/') {
            Some((HEALTH, "Watch")) => Self::Watch,
            Some((V1 | V1ALPHA, _)) => Self::Dialogue,
            _ => Self::Unary,
        }
    }
}

/// Tells that there is too much to do, as gRPC tells it.
fn refuse(observer: &Observer, request: Request<Incoming>) -> Response<ObservedBody<Body>> {
    if let Some(refusal) = refusal(&request) {
        return refusal;
    }
    let (_, call) = observer.start(request);
    let status = Status::resource_exhausted("there is too much to do at the moment");
    let answer = call.until_answered(ready(Ok::<_, Infallible>(status.into_http())));
    answer.now_or_never().and_then(Result::ok).expect("it waits for nothing")
}

/// Tells those who ask for the health of the process, or of its service.
async fn set(health: &mut HealthReporter, service: &str, ready: bool) {
    let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
    for name in ["", service] {
        health.set_service_status(name, status).await;
    }
}

/// Whether a path is that of an RPC of the service.
fn is_of<S: NamedService>(path: &str) -> bool {
    let rest = path.strip_prefix('/').and_then(|path| path.strip_prefix(S::NAME));
    rest.is_some_and(|rest| rest.starts_with('/'))
}
