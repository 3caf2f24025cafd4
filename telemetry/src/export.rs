//! Export of spans and logs by OTLP, as the `OTEL_*` variables ask for it.
//!
//! The SDK makes spans and log records and collects them into batches, without ever making anybody wait; a thread of
//! its own (one a service) hands those to an [`mod@exporter`], which sends them to the collector by a [`mod@transport`].

mod counts;
mod env;
mod exporter;
mod processor;
mod resource;
mod sampler;
mod settings;
#[cfg(test)]
mod tests;
mod transport;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub use env::InvalidSetting;
use exporter::{Exporter, Route};
use futures_util::future::join_all;
use opentelemetry::{InstrumentationScope, trace::TracerProvider as _};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    logs::{self, BatchLogProcessor, LogProcessor as _, SdkLoggerProvider},
    trace::{self, BatchSpanProcessor, SdkTracer, SdkTracerProvider, SpanProcessor as _},
};
use processor::Counted;
use resource::Resources;
use sampler::sampler;
pub use settings::Settings;
use tokio::{task::spawn_blocking, time::timeout};
use tracing::Subscriber;
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};

use crate::{metrics::Metrics, propagation::Propagator};

/// How many services a process hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hosted {
    /// It can be renamed with `OTEL_SERVICE_NAME`.
    One,
    /// Each keeps its name.
    Several,
}

/// Everything of a process that exports; clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Exports(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    sampler: settings::Sampler,
    /// Not switched off as a whole.
    enabled: bool,
    propagator: Propagator,
    resources: Resources,
    traces: Option<Arc<Route>>,
    logs: Option<Arc<Route>>,
    tracers: Mutex<HashMap<&'static str, SdkTracer>>,
    pipelines: Mutex<Vec<Pipeline>>,
}

/// The last part of the way of a service's spans or logs, to be ended.
struct Pipeline {
    exporter: Exporter,
    /// Ends the SDK's part of it; blocks until all is exported.
    shutdown: Box<dyn FnOnce() -> OTelSdkResult + Send>,
}

impl Exports {
    /// Connects to nobody yet. To be called inside of a tokio runtime, which the exports need.
    pub(crate) fn new(
        settings: Settings,
        hosted: Hosted,
        metrics: &Metrics,
    ) -> Result<Self, rustls::Error> {
        let resources = Resources::new(&settings, hosted);
        let route = |name, signal: Option<settings::Signal>| {
            signal.map(|signal| Route::new(name, signal, metrics).map(Arc::new)).transpose()
        };
        Ok(Self(Arc::new(Inner {
            sampler: settings.sampler,
            enabled: settings.enabled,
            propagator: settings.propagator,
            resources,
            traces: route("span", settings.traces)?,
            logs: route("log", settings.logs)?,
            tracers: Mutex::default(),
            pipelines: Mutex::default(),
        })))
    }

    /// Says what is exported where. Apart from [`new`](Self::new), because logs, which may be exported
    /// themselves, start after that.
    pub(crate) fn announce(&self) {
        let Inner { sampler, resources, traces, logs, .. } = &*self.0;
        for route in [traces, logs].into_iter().flatten() {
            route.announce();
        }
        if traces.is_some() && sampler.ignores_argument {
            tracing::warn!(
                "OTEL_TRACES_SAMPLER_ARG is ignored: the sampler of OTEL_TRACES_SAMPLER takes none; \
                 a share of the traces is recorded by traceidratio and parentbased_traceidratio"
            );
        }
        if traces.as_ref().or(logs.as_ref()).is_some() && resources.ignore_a_name() {
            tracing::warn!(
                "the service name of OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES is ignored: \
                 this process hosts several services, and each reports under its own name"
            );
        }
    }

    /// What makes the spans of a service; nothing when no traces are exported.
    pub(crate) fn tracer(&self, service: &'static str) -> Option<SdkTracer> {
        let Inner { sampler, resources, traces, tracers, .. } = &*self.0;
        let route = traces.as_ref()?;
        let mut tracers = tracers.lock().unwrap_or_else(PoisonError::into_inner);
        let tracer = tracers.entry(service).or_insert_with(|| {
            let exporter = Exporter::new(route, service, &resources.of(service));
            let batch = trace::BatchConfigBuilder::default()
                .with_max_queue_size(route.batch.queue)
                .with_max_export_batch_size(route.batch.size)
                .with_scheduled_delay(route.batch.delay)
                .build();
            let processor = Arc::new(BatchSpanProcessor::new(exporter.clone(), batch));
            let counted = Counted::new(&processor, &exporter);
            self.add(exporter, move || processor.shutdown_with_timeout(Duration::MAX));
            tracer(provider(*sampler).with_span_processor(counted))
        });
        Some(tracer.clone())
    }

    /// What starts traces of which this process keeps nothing: whoever is called may. Nothing when
    /// OpenTelemetry is switched off.
    pub(crate) fn starter(&self) -> Option<SdkTracer> {
        let Inner { sampler, enabled, .. } = &*self.0;
        enabled.then(|| tracer(provider(*sampler)))
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
        let exporter = Exporter::new(route, service, &self.0.resources.of(service));
        let batch = logs::BatchConfigBuilder::default()
            .with_max_queue_size(route.batch.queue)
            .with_max_export_batch_size(route.batch.size)
            .with_scheduled_delay(route.batch.delay)
            .build();
        let processor =
            BatchLogProcessor::builder(exporter.clone()).with_batch_config(batch).build();
        let processor = Arc::new(processor);
        let counted = Counted::new(&processor, &exporter);
        self.add(exporter, move || processor.shutdown_with_timeout(Duration::MAX));
        let provider = SdkLoggerProvider::builder().with_log_processor(counted).build();
        let others = filter_fn(|metadata| {
            !EXPORTERS.iter().any(|exporter| metadata.target().starts_with(exporter))
        });
        Some(OpenTelemetryTracingBridge::new(&provider).with_filter(others))
    }

    /// Reads and writes trace context; in force also when nothing is exported.
    pub(crate) fn propagator(&self) -> Propagator {
        self.0.propagator
    }

    /// Exports what there is, for at most that long; what ends or is logged from now on is lost. What
    /// is lost is counted.
    pub(crate) async fn shutdown(&self, within: Duration) {
        let pipelines = std::mem::take(&mut *self.pipelines());
        join_all(pipelines.into_iter().map(|pipeline| pipeline.end(within))).await;
    }

    fn add(&self, exporter: Exporter, shutdown: impl FnOnce() -> OTelSdkResult + Send + 'static) {
        self.pipelines().push(Pipeline { exporter, shutdown: Box::new(shutdown) });
    }

    fn pipelines(&self) -> MutexGuard<'_, Vec<Pipeline>> {
        self.0.pipelines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pipeline {
    async fn end(self, within: Duration) {
        self.exporter.end();
        // Apart, because it blocks until the exports are done, which need this thread.
        let mut ended = spawn_blocking(self.shutdown);
        if timeout(within, &mut ended).await.is_err() {
            self.exporter.give_up(within);
            let _ = ended.await; // soon, since nothing is exported any more
        }
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("exporter", &self.exporter).finish_non_exhaustive()
    }
}

fn provider(sampled: settings::Sampler) -> trace::TracerProviderBuilder {
    SdkTracerProvider::builder().with_sampler(sampler(sampled))
}

fn tracer(provider: trace::TracerProviderBuilder) -> SdkTracer {
    let scope = InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
        .with_version(env!("CARGO_PKG_VERSION"))
        .build();
    provider.build().tracer_with_scope(scope)
}
