//! Numbers, for Prometheus: one registry a process, and how it is written down.

mod durations;
mod exposition;
mod figures;
mod http;
mod process;
mod rpc;

use std::sync::{Mutex, PoisonError};

pub use exposition::{Format, takes_gzip};
pub use figures::{Counts, Figures, Place};
use prometheus_client::{
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

pub use self::http::{CANCELLED, HttpMetrics, HttpRequest, OTHER, Outcome, known};
pub(crate) use self::rpc::{Rpc, RpcLabels, RpcMetrics};
use crate::{REVISION, failures::Failures, operation::Side};

/// What a process counts.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// Locked when something is registered and when a scraper asks, never to count.
    registry: Mutex<Registry>,
    // By side, and one of each a process, whichever of its services count there, because a metric may be
    // described only once. Those that nothing is counted in are not written down.
    grpc: [RpcMetrics; 2],
    http: [HttpMetrics; 2],
    pub(crate) failures: Failures,
}

impl Default for Metrics {
    /// Of which nothing is registered: nobody reads it.
    fn default() -> Self {
        let failures = Failures::default();
        let sides = [Side::Server, Side::Client];
        Self {
            registry: Mutex::default(),
            grpc: sides.map(|side| RpcMetrics::new(side, failures.clone())),
            http: sides.map(|side| HttpMetrics::new(side, failures.clone())),
            failures,
        }
    }
}

impl Metrics {
    /// With what is known of every process from its start.
    pub(crate) fn of_process() -> Self {
        let metrics = Self::default();
        metrics.registry(|registry| {
            registry.register_collector(Box::new(process::Process));
            for side in [Side::Server, Side::Client] {
                metrics.rpcs(side).register(registry);
                metrics.http(side).register(registry);
            }
            // In the manner of Prometheus' own `prometheus_build_info`.
            let build = Family::<[(&str, &str); 2], Gauge>::default();
            let version = ("version", env!("CARGO_PKG_VERSION"));
            build.get_or_create(&[version, ("revision", REVISION)]).set(1);
            let help = "Version and git commit of this build";
            registry.register("emojivoto_build_info", help, build);
        });
        metrics
    }

    /// Adds to what a scraper gets.
    pub(crate) fn registry(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The RPCs that the process serves, or calls.
    pub(crate) fn rpcs(&self, side: Side) -> &RpcMetrics {
        &self.grpc[side as usize]
    }

    /// The HTTP requests that the process answers, or makes.
    pub(crate) fn http(&self, side: Side) -> &HttpMetrics {
        &self.http[side as usize]
    }

    /// What is counted of places now.
    pub(crate) fn counts(&self, figures: &mut Figures) -> Vec<Counts> {
        figures.read(&self.registry.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// All of it, as a scraper reads it.
    pub(crate) fn render(&self, format: Format) -> String {
        format.render(&self.registry.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
