//! Numbers, for Prometheus: one registry a process, and how it is written down.

mod build;
mod durations;
mod exposition;
pub(super) mod http;
mod process;
mod rpc;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

pub(crate) use durations::Durations;
pub(crate) use exposition::Format;
use prometheus_client::{collector::Collector, registry::Registry};
use rpc::RpcMetrics;
pub(crate) use rpc::{Rpc, RpcLabels, Side as RpcSide};

/// What a process counts. Clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Locked when something is registered and when a scraper asks, never to count.
    registry: Mutex<Registry>,
    // One of each a process, whichever of its services count there, because a metric may be
    // described only once.
    grpc_server: OnceLock<Arc<RpcMetrics>>,
    grpc_client: OnceLock<Arc<RpcMetrics>>,
}

impl Metrics {
    /// With what is known of every process from its start.
    pub(crate) fn of_process() -> Self {
        let metrics = Self::default();
        metrics.register(build::Build);
        metrics.register(process::Process);
        metrics
    }

    /// Adds what `collector` collects to what a scraper gets.
    pub(crate) fn register(&self, collector: impl Collector) {
        let mut registry = self.0.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register_collector(Box::new(collector));
    }

    /// The RPCs that the process serves, or calls.
    pub(crate) fn rpcs(&self, side: RpcSide) -> &RpcMetrics {
        let metrics = match side {
            RpcSide::Server => &self.0.grpc_server,
            RpcSide::Client => &self.0.grpc_client,
        };
        metrics.get_or_init(|| {
            let metrics = Arc::new(RpcMetrics::new(side));
            self.register(Arc::clone(&metrics));
            metrics
        })
    }

    /// All of it, as a scraper reads it.
    pub(crate) fn render(&self, format: Format) -> String {
        format.render(&self.0.registry.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
