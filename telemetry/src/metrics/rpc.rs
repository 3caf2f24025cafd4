//! RPCs, by the names that go-grpc-prometheus gave them and that dashboards know: every RPC that
//! exists is there from the start.
//!
//! See `docs/decisions/0004-metrics-of-a-hundred-rpcs.md` for what is written when.

use std::{sync::OnceLock, time::Duration};

use opentelemetry::Context;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::{Registry, Unit},
};
use tonic::Code;

use super::{
    Place,
    durations::{Durations, DurationsBy, observe},
};
use crate::{
    codes,
    failures::{Ended, Failures, Why},
    operation::Side,
};

/// Seconds. From what a vote in memory takes to what nobody waits for, few because there are a
/// hundred of each.
pub(super) const BOUNDS: [f64; 7] = [0.0001, 0.001, 0.005, 0.025, 0.1, 0.5, 2.5];

/// Which RPC is counted. None of it comes from outside.
#[expect(clippy::struct_field_names, reason = "they are the names of the labels")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RpcLabels {
    /// `unary`, `client_stream`, `server_stream` or `bidi_stream`.
    pub(crate) grpc_type: &'static str,
    pub(crate) grpc_service: &'static str,
    pub(crate) grpc_method: &'static str,
}

/// The labels of an RPC, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HandledLabels {
    #[prometheus(flatten)]
    rpc: RpcLabels,
    grpc_code: &'static str,
}

/// The RPCs of a process, on one side.
#[derive(Debug)]
pub(crate) struct RpcMetrics {
    started: Family<RpcLabels, Counter>,
    received: Family<RpcLabels, Counter>,
    sent: Family<RpcLabels, Counter>,
    handled: Family<HandledLabels, Counter>,
    handling: DurationsBy<RpcLabels>,
    side: Side,
    failures: Failures,
}

impl RpcMetrics {
    pub(super) fn new(side: Side, failures: Failures) -> Self {
        Self {
            side,
            failures,
            started: Family::default(),
            received: Family::default(),
            sent: Family::default(),
            handled: Family::default(),
            handling: Family::new_with_constructor(|| Durations::new(BOUNDS.into_iter())),
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let (registry, by, started, handled) = match self.side {
            Side::Server => {
                (registry.sub_registry_with_prefix("grpc_server"), "server", "received", "answered")
            }
            Side::Client => {
                (registry.sub_registry_with_prefix("grpc_client"), "client", "called", "that ended")
            }
        };
        let (received, sent) =
            (format!("Messages received by the {by}"), format!("Messages sent by the {by}"));
        registry.register("started", format!("RPCs {started}"), self.started.clone());
        registry.register("msg_received", received, self.received.clone());
        registry.register("msg_sent", sent, self.sent.clone());
        let help = format!("RPCs {handled}, by status code");
        registry.register("handled", help, self.handled.clone());
        let help = "Time from the start of an RPC to its end";
        registry.register_with_unit("handling", help, Unit::Seconds, self.handling.clone());
    }

    /// What is counted of an RPC; looked up once, at start.
    pub(crate) fn rpc(&self, labels: RpcLabels) -> Rpc {
        Rpc {
            labels,
            started: self.started.get_or_create_owned(&labels),
            received: self.received.get_or_create_owned(&labels),
            sent: self.sent.get_or_create_owned(&labels),
            ok: self.handled.get_or_create_owned(&handled(labels, Code::Ok)),
            handled: self.handled.clone(),
            handling: OnceLock::new(),
            all_handling: self.handling.clone(),
            side: self.side,
            failures: self.failures.clone(),
        }
    }
}

fn handled(rpc: RpcLabels, code: Code) -> HandledLabels {
    HandledLabels { rpc, grpc_code: codes::in_go(code) }
}

/// What is counted of an RPC.
#[derive(Debug)]
pub(crate) struct Rpc {
    labels: RpcLabels,
    pub(crate) started: Counter,
    pub(crate) received: Counter,
    pub(crate) sent: Counter,
    ok: Counter,
    /// For the other codes, which appear when they are seen.
    handled: Family<HandledLabels, Counter>,
    /// From the first that ends.
    handling: OnceLock<Durations>,
    all_handling: DurationsBy<RpcLabels>,
    side: Side,
    failures: Failures,
}

impl Rpc {
    /// Counts how it ended. If it failed, `why` says why.
    pub(crate) fn ended(&self, code: Code, took: Duration, context: &Context, why: Why<'_>) {
        if code == Code::Ok {
            self.ok.inc();
        } else {
            self.handled.get_or_create(&handled(self.labels, code)).inc();
        }
        // A caller who goes away has not been failed, nor has one that did something wrong.
        if codes::is_failure(code) {
            let RpcLabels { grpc_service, grpc_method, .. } = self.labels;
            let place = Place::Rpc { grpc_service, grpc_method };
            self.failures.keep((self.side, place, Ended::Code(codes::in_go(code))), why, context);
        }
        let of_this = || self.all_handling.get_or_create_owned(&self.labels);
        observe(self.handling.get_or_init(of_this), took, context);
    }
}
