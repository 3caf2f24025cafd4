//! RPCs, by the names that go-grpc-prometheus gave them and that dashboards know: every RPC that
//! exists is there from the start.
//!
//! See `docs/decisions/0004-metrics-of-a-hundred-rpcs.md` for what is written when.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use opentelemetry::Context;
use prometheus_client::{
    collector::Collector,
    encoding::{
        DescriptorEncoder, EncodeLabel as _, EncodeLabelSet, EncodeMetric as _, LabelSetEncoder,
    },
    metrics::{MetricType, counter::ConstCounter},
    registry::Unit,
};
use tonic::Code;

use super::Durations;
use crate::telemetry::codes;

/// Seconds. From what a vote in memory takes to what nobody waits for, few because there are a
/// hundred of each.
const BOUNDS: [f64; 7] = [0.0001, 0.001, 0.005, 0.025, 0.1, 0.5, 2.5];

/// Who counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Server,
    Client,
}

/// Which RPC is counted. None of it comes from outside.
#[expect(clippy::struct_field_names, reason = "they are the names of the labels")]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub(crate) struct RpcLabels {
    /// `unary`, `client_stream`, `server_stream` or `bidi_stream`.
    pub(crate) grpc_type: &'static str,
    pub(crate) grpc_service: String,
    pub(crate) grpc_method: String,
}

/// The labels of an RPC, and how it ended.
#[derive(Debug)]
struct HandledLabels<'a>(&'a RpcLabels, &'static str);

impl EncodeLabelSet for HandledLabels<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> std::fmt::Result {
        self.0.encode(encoder)?;
        ("grpc_code", self.1).encode(encoder.encode_label())
    }
}

/// What is counted of an RPC.
#[derive(Debug)]
pub(crate) struct Rpc {
    labels: RpcLabels,
    started: AtomicU64,
    handled: [AtomicU64; codes::COUNT],
    received: AtomicU64,
    sent: AtomicU64,
    handling: OnceLock<Durations>,
}

impl Rpc {
    fn new(labels: RpcLabels) -> Self {
        Self {
            labels,
            started: AtomicU64::default(),
            handled: Default::default(),
            received: AtomicU64::default(),
            sent: AtomicU64::default(),
            handling: OnceLock::new(),
        }
    }

    pub(crate) fn start(&self) {
        self.started.fetch_add(1, Relaxed);
    }

    pub(crate) fn message_received(&self) {
        self.received.fetch_add(1, Relaxed);
    }

    pub(crate) fn message_sent(&self) {
        self.sent.fetch_add(1, Relaxed);
    }

    pub(crate) fn end(&self, code: Code, took: Duration, context: Option<&Context>) {
        self.handled[code as usize].fetch_add(1, Relaxed);
        self.handling.get_or_init(|| Durations::new(&BOUNDS)).observe(took, context);
    }
}

/// The RPCs of a process, on one side.
#[derive(Debug)]
pub(crate) struct RpcMetrics {
    side: Side,
    /// Locked at start and when a scraper asks.
    rpcs: Mutex<BTreeMap<RpcLabels, Arc<Rpc>>>,
}

impl RpcMetrics {
    pub(super) fn new(side: Side) -> Self {
        Self { side, rpcs: Mutex::default() }
    }

    /// What is counted of an RPC; looked up once, at start.
    pub(crate) fn rpc(&self, labels: RpcLabels) -> Arc<Rpc> {
        let mut rpcs = self.rpcs.lock().unwrap_or_else(PoisonError::into_inner);
        let rpc = rpcs.entry(labels).or_insert_with_key(|labels| Rpc::new(labels.clone()).into());
        Arc::clone(rpc)
    }
}

impl Collector for RpcMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let rpcs = self.rpcs.lock().unwrap_or_else(PoisonError::into_inner);
        let (prefix, place, started, handled) = match self.side {
            Side::Server => ("grpc_server", "by the server", "received", "answered"),
            Side::Client => ("grpc_client", "by the client", "called", "that ended"),
        };
        let mut counters = |name: &str, help: String, count: fn(&Rpc) -> &AtomicU64| {
            let name = format!("{prefix}_{name}");
            let mut family = encoder.encode_descriptor(&name, &help, None, MetricType::Counter)?;
            rpcs.values()
                .try_for_each(|rpc| counter(count(rpc)).encode(family.encode_family(&rpc.labels)?))
        };
        counters("started", format!("RPCs {started}"), |rpc| &rpc.started)?;
        counters("msg_received", format!("Messages received {place}"), |rpc| &rpc.received)?;
        counters("msg_sent", format!("Messages sent {place}"), |rpc| &rpc.sent)?;

        let (name, help) = (format!("{prefix}_handled"), format!("RPCs {handled}, by status code"));
        let mut family = encoder.encode_descriptor(&name, &help, None, MetricType::Counter)?;
        for rpc in rpcs.values() {
            for (grpc_code, count) in codes::in_go().zip(&rpc.handled) {
                // Other codes than OK appear when they are seen.
                if grpc_code == "OK" || count.load(Relaxed) > 0 {
                    let labels = HandledLabels(&rpc.labels, grpc_code);
                    counter(count).encode(family.encode_family(&labels)?)?;
                }
            }
        }

        let (name, help) =
            (format!("{prefix}_handling"), "Time from the start of an RPC to its end");
        let seconds = Some(&Unit::Seconds);
        let mut family = encoder.encode_descriptor(&name, help, seconds, MetricType::Histogram)?;
        for rpc in rpcs.values() {
            if let Some(handling) = rpc.handling.get() {
                handling.encode(family.encode_family(&rpc.labels)?)?;
            }
        }
        Ok(())
    }
}

fn counter(count: &AtomicU64) -> ConstCounter<u64> {
    ConstCounter::new(count.load(Relaxed))
}
