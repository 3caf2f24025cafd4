//! Export of spans and logs by OTLP, as the `OTEL_*` variables ask for it.
//!
//! The SDK makes spans and log records; what it hands over goes into a bounded [`mod@queue`] without ever
//! waiting, and a task of its own takes batches from there to the collector.

mod counts;
mod exporter;
mod processor;
mod queue;
mod resource;
mod sampler;
mod settings;
#[cfg(test)]
mod tests;
mod transport;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub(crate) use counts::AllCounts;
use exporter::Export;
use futures_util::future::join_all;
use opentelemetry::{InstrumentationScope, trace::TracerProvider as _};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::{
    logs::SdkLoggerProvider,
    trace::{SdkTracer, SdkTracerProvider, TracerProviderBuilder},
};
use processor::Enqueue;
use queue::{Health, Queue, Stop, queue};
use resource::{is_named, resource};
use sampler::sampler;
pub(crate) use settings::Settings;
use tokio::{task::JoinHandle, time::timeout};
use tracing::Subscriber;
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};
use transport::Transport;

use super::propagation::Propagator;

/// How many services a process hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hosted {
    /// It can be renamed with `OTEL_SERVICE_NAME`.
    One,
    /// Each keeps its name.
    Several,
}

/// Everything of a process that exports; clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Otlp(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    hosted: Hosted,
    traces: Option<Route>,
    logs: Option<Route>,
    tracers: Mutex<HashMap<&'static str, SdkTracer>>,
    counts: AllCounts,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    stop: Stop,
}

/// The way that spans or logs take.
#[derive(Debug)]
struct Route {
    what: &'static str,
    signal: settings::Signal,
    timeout: Duration,
    transport: Transport,
    health: Arc<Health>,
}

impl Route {
    fn new(what: &'static str, signal: settings::Signal) -> Result<Self, crate::Error> {
        let timeout = signal.target.timeout.min(signal.batch.timeout);
        let transport = Transport::new(signal.target.clone(), timeout)?;
        let endpoint = &signal.target.endpoint;
        let authority = endpoint.authority().map_or("", http::uri::Authority::as_str);
        let scheme = endpoint.scheme_str().unwrap_or_default();
        // Without a query, which may hold a token.
        let endpoint = format!("{scheme}://{authority}{}", endpoint.path());
        let health = Arc::new(Health::new(what, endpoint));
        Ok(Self { what, signal, timeout, transport, health })
    }
}

impl Otlp {
    /// Connects to nobody yet. To be called inside of a tokio runtime, which the exports need.
    pub(crate) fn new(settings: &Settings, hosted: Hosted) -> Result<Self, crate::Error> {
        let settings = settings.clone();
        let route = |what, signal: &Option<settings::Signal>| {
            signal.clone().map(|signal| Route::new(what, signal)).transpose()
        };
        let (traces, logs) = (route("span", &settings.traces)?, route("log", &settings.logs)?);
        Ok(Self(Arc::new(Inner {
            settings,
            hosted,
            traces,
            logs,
            tracers: Mutex::default(),
            counts: AllCounts::default(),
            tasks: Mutex::default(),
            stop: Stop::default(),
        })))
    }

    /// Says what is exported where. Apart from [`new`](Self::new), because logs, which may be exported
    /// themselves, start after that.
    pub(crate) fn announce(&self) {
        let Inner { settings, hosted, traces, logs, .. } = &*self.0;
        let routes = || [traces, logs].into_iter().flatten();
        for Route { what, health, .. } in routes() {
            tracing::info!("exporting {what}s to {}", health.endpoint());
        }
        if traces.is_some() && settings.sampler.ignores_argument {
            tracing::warn!(
                "OTEL_TRACES_SAMPLER_ARG is ignored: the sampler of OTEL_TRACES_SAMPLER takes none; \
                 a share of the traces is recorded by traceidratio and parentbased_traceidratio"
            );
        }
        if *hosted == Hosted::Several && is_named(settings) && routes().next().is_some() {
            tracing::warn!(
                "the service name of OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES is ignored: \
                 this process hosts several services, and each reports under its own name"
            );
        }
    }

    /// What makes the spans of a service; nothing when no traces are exported.
    pub(crate) fn tracer(&self, service: &'static str) -> Option<SdkTracer> {
        let route = self.0.traces.as_ref()?;
        let mut tracers = self.0.tracers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tracer) = tracers.get(service) {
            return Some(tracer.clone());
        }
        let resource = resource(&self.0.settings, self.0.hosted, service);
        let exporter = route.transport.spans(&resource);
        let exporter = exporter.inspect_err(|error| cannot_export(route, error)).ok()?;
        let queue = self.start(route, service, exporter);
        let tracer = self
            .make_tracer(|made| made.with_resource(resource).with_span_processor(Enqueue(queue)));
        tracers.insert(service, tracer.clone());
        Some(tracer)
    }

    /// What starts traces of which this process keeps nothing: whoever is called may. Nothing when
    /// OpenTelemetry is switched off.
    pub(crate) fn starter(&self) -> Option<SdkTracer> {
        self.0.settings.enabled.then(|| self.make_tracer(|made| made))
    }

    fn make_tracer(
        &self,
        with: impl FnOnce(TracerProviderBuilder) -> TracerProviderBuilder,
    ) -> SdkTracer {
        let provider = SdkTracerProvider::builder().with_sampler(sampler(self.0.settings.sampler));
        let scope = InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
            .with_version(env!("CARGO_PKG_VERSION"))
            .build();
        with(provider).build().tracer_with_scope(scope)
    }

    /// Whether spans are exported, so that their ids lead somewhere.
    pub(crate) fn exports_traces(&self) -> bool {
        self.0.traces.is_some()
    }

    /// Takes what is logged to the collector, with the ids of the current span, as if `service` had
    /// logged it; nothing when no logs are exported.
    ///
    /// Not what the exporters themselves log by the crates that they are made of: each export would
    /// be the reason for another.
    pub(crate) fn log_layer<S>(&self, service: &'static str) -> Option<impl Layer<S> + use<S>>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        const EXPORTERS: [&str; 6] = ["opentelemetry", "h2", "hyper", "tonic", "tower", "rustls"];
        let route = self.0.logs.as_ref()?;
        let resource = resource(&self.0.settings, self.0.hosted, service);
        let exporter = route.transport.logs(&resource);
        let exporter = exporter.inspect_err(|error| cannot_export(route, error)).ok()?;
        let queue = self.start(route, service, exporter);
        let provider = SdkLoggerProvider::builder()
            .with_resource(resource)
            .with_log_processor(Enqueue(queue))
            .build();
        let others = filter_fn(|metadata| {
            !EXPORTERS.iter().any(|exporter| metadata.target().starts_with(exporter))
        });
        Some(OpenTelemetryTracingBridge::new(&provider).with_filter(others))
    }

    /// Reads and writes trace context; in force also when nothing is exported.
    pub(crate) fn propagator(&self) -> Propagator {
        Propagator::new(self.0.settings.formats)
    }

    /// What became of spans and logs, as metrics.
    pub(crate) fn counts(&self) -> AllCounts {
        self.0.counts.clone()
    }

    /// Exports what there is, for at most that long; what ends or is logged from now on is lost. What
    /// is lost is counted.
    pub(crate) async fn shutdown(&self, within: Duration) {
        let tasks = std::mem::take(&mut *self.tasks());
        let mut ended = join_all(tasks);
        self.0.stop.flush.cancel();
        if timeout(within, &mut ended).await.is_err() {
            tracing::warn!("the last spans or logs are lost: no collector took them in {within:?}");
            self.0.stop.leave.cancel();
            ended.await;
        }
    }

    fn start<E: Export>(&self, route: &Route, service: &str, exporter: E) -> Queue<E::Item> {
        let counts = self.0.counts.add(route.what, route.transport.kind(), service);
        let (health, stop) = (Arc::clone(&route.health), self.0.stop.clone());
        let (queue, task) =
            queue(exporter, route.signal.batch, route.timeout, counts, health, stop);
        self.tasks().push(tokio::spawn(task.run()));
        queue
    }

    fn tasks(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cannot_export(route: &Route, error: &opentelemetry_otlp::ExporterBuildError) {
    tracing::error!("cannot export {}s: {error}", route.what);
}
