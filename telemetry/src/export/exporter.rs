//! What stands between the SDK's batches and a collector: what becomes of them, and the end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use opentelemetry_proto::{
    tonic::collector::{logs::v1::ExportLogsServiceRequest, trace::v1::ExportTraceServiceRequest},
    transform::{
        common::tonic::ResourceAttributesWithSchema, logs::tonic::group_logs_by_resource_and_scope,
        trace::tonic::group_spans_by_resource_and_scope,
    },
};
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    logs::{LogBatch, LogExporter},
    trace::{SpanData, SpanExporter},
};
use prost::Message;
use tokio::{runtime::Handle, select};
use tokio_util::sync::CancellationToken;

use super::{
    counts::{Counts, Fate, ServiceCounts},
    settings::{Batch, Signal},
    transport::{Failure, Transport},
};
use crate::{causes::causes, metrics::Metrics};

/// The way that the spans, or the logs, of all services of a process take.
#[derive(Debug)]
pub(super) struct Route {
    /// `span` or `log`.
    signal: &'static str,
    pub(super) batch: Batch,
    /// How long an export may take, with everything that is tried again.
    timeout: Duration,
    transport: Transport,
    counts: Counts,
    /// Whether the last export failed.
    failing: AtomicBool,
    /// The SDK exports on threads of its own, the connections are of this runtime.
    runtime: Handle,
}

impl Route {
    /// To be called inside of a tokio runtime.
    pub(super) fn new(
        signal: &'static str,
        Signal { target, batch }: Signal,
        metrics: &Metrics,
    ) -> Result<Self, rustls::Error> {
        let timeout = target.timeout.min(batch.timeout);
        let transport = Transport::new(target)?;
        let counts = Counts::new(signal, transport.kind(), metrics);
        let (failing, runtime) = (AtomicBool::default(), Handle::current());
        Ok(Self { signal, batch, timeout, transport, counts, failing, runtime })
    }

    /// Says what is exported where.
    pub(super) fn announce(&self) {
        tracing::info!("exporting {}s to {}", self.signal, self.transport.endpoint());
    }

    /// Says whether exports succeed, once when that changes.
    fn report(&self, failure: Option<&Failure>) {
        let Self { signal, transport, failing, .. } = self;
        let failed_before = failing.swap(failure.is_some(), Relaxed);
        match failure {
            Some(Failure { cause, .. }) if !failed_before => {
                let endpoint = transport.endpoint();
                tracing::warn!("cannot export {signal}s to {endpoint}, they are lost: {cause}");
            }
            None if failed_before => {
                tracing::info!("exporting {signal}s to {} again", transport.endpoint());
            }
            _ => {}
        }
    }
}

/// Exports the spans, or the logs, of a service. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Exporter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    route: Arc<Route>,
    service: &'static str,
    resource: ResourceAttributesWithSchema,
    counts: ServiceCounts,
    /// Room for further ones in the queue of the SDK, which does not tell how many it drops.
    room: AtomicUsize,
    /// Set when the process ends: nothing more is taken.
    ending: AtomicBool,
    /// Cancelled when nothing more is tried.
    given_up: CancellationToken,
}

impl Exporter {
    pub(super) fn new(route: &Arc<Route>, service: &'static str, resource: &Resource) -> Self {
        Self(Arc::new(Inner {
            service,
            counts: route.counts.of(service),
            resource: resource.into(),
            room: AtomicUsize::new(route.batch.queue),
            route: Arc::clone(route),
            ending: AtomicBool::default(),
            given_up: CancellationToken::new(),
        }))
    }

    /// Whether there is room for one more, which is lost otherwise.
    pub(super) fn takes_one(&self) -> bool {
        let Inner { counts, room, ending, .. } = &*self.0;
        let lost = if ending.load(Relaxed) {
            Fate::Shutdown
        } else if room.fetch_update(Relaxed, Relaxed, |room| room.checked_sub(1)).is_err() {
            Fate::QueueFull
        } else {
            return true;
        };
        counts.processed.add(lost, 1);
        false
    }

    /// Takes nothing more. What is left is still exported, until an export fails.
    pub(super) fn end(&self) {
        self.0.ending.store(true, Relaxed);
    }

    /// Exports nothing more, and says so.
    pub(super) fn give_up(&self, after: Duration) {
        let Inner { route, service, given_up, .. } = &*self.0;
        let signal = route.signal;
        tracing::warn!(
            "the last {signal}s of {service} are lost: no collector took them in {after:?}"
        );
        given_up.cancel();
    }

    /// Exports a request that holds so many.
    async fn export_request(
        &self,
        number: usize,
        path: &'static str,
        request: impl Message + 'static,
    ) -> OTelSdkResult {
        let Inner { route, counts, room, ending, given_up, .. } = &*self.0;
        room.fetch_add(number, Relaxed);
        if given_up.is_cancelled() {
            counts.processed.add(Fate::Shutdown, number);
            return Err(OTelSdkError::AlreadyShutdown);
        }
        counts.processed.add(Fate::Success, number);
        let this = self.clone();
        let sending = route.runtime.spawn(async move {
            let Inner { route, given_up, .. } = &*this.0;
            let sent = select! {
                biased;
                () = given_up.cancelled() => return Err(Failure::new(Fate::Shutdown, String::new())),
                sent = route.transport.send(path, &request, route.timeout) => sent,
            };
            route.report(sent.as_ref().err());
            sent
        });
        // It is only cancelled when the runtime is gone.
        let gone = |error| Err(Failure::new(Fate::Shutdown, causes(&error)));
        let sent = sending.await.unwrap_or_else(gone);
        let fate = sent.as_ref().err().map_or(Fate::Success, |failure| failure.fate);
        counts.exported.add(fate, number);
        if sent.is_err() && ending.load(Relaxed) {
            given_up.cancel();
        }
        sent.map_err(|failure| OTelSdkError::InternalFailure(failure.cause))
    }
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let number = batch.len();
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.0.resource);
        let request = ExportTraceServiceRequest { resource_spans };
        let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
        self.export_request(number, path, request).await
    }
}

impl LogExporter for Exporter {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let resource_logs = group_logs_by_resource_and_scope(&batch, &self.0.resource);
        let request = ExportLogsServiceRequest { resource_logs };
        let path = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
        self.export_request(batch.iter().count(), path, request).await
    }
}
