//! The RPCs that there are, read from the descriptors that reflection lists.

use std::collections::HashMap;

use prost::Message as _;
use prost_types::{FileDescriptorSet, MethodDescriptorProto};

use crate::metrics::{OTHER, Rpc, RpcLabels, RpcMetrics};

/// An RPC as it is observed. Made once for as long as the process lives, so that no call has to copy it.
#[derive(Debug)]
pub(super) struct ObservedRpc {
    /// Service and method, `emojivoto.v1.VotingService/VoteJoy`, which is also the name of its spans.
    pub(super) name: &'static str,
    /// What is counted of it.
    pub(super) counts: Rpc,
}

/// All RPCs of some services, by path.
#[derive(Debug)]
pub(super) struct Rpcs {
    by_path: HashMap<String, &'static ObservedRpc>,
    /// Stands for every RPC that there is not, so that nobody can add to the metrics from outside.
    other: &'static ObservedRpc,
}

impl Rpcs {
    /// The RPCs of all services in these encoded descriptor sets.
    pub(super) fn new(descriptors: &[&[u8]], metrics: &RpcMetrics) -> Self {
        let observed = |name: String, labels| -> &'static ObservedRpc {
            Box::leak(Box::new(ObservedRpc { name: name.leak(), counts: metrics.rpc(labels) }))
        };
        let mut by_path = HashMap::new();
        for set in descriptors {
            let set =
                FileDescriptorSet::decode(*set).expect("the descriptors of the build are whole");
            for file in &set.file {
                for service in &file.service {
                    let grpc_service: &str =
                        format!("{}.{}", file.package(), service.name()).leak();
                    for rpc in &service.method {
                        let name = format!("{grpc_service}/{}", rpc.name());
                        let grpc_method = rpc.name().to_owned().leak();
                        let grpc_type = grpc_type(rpc);
                        let labels = RpcLabels { grpc_type, grpc_service, grpc_method };
                        by_path.insert(format!("/{name}"), observed(name, labels));
                    }
                }
            }
        }
        let other = RpcLabels { grpc_type: "unary", grpc_service: OTHER, grpc_method: OTHER };
        Self { by_path, other: observed(OTHER.to_owned(), other) }
    }

    pub(super) fn of(&self, path: &str) -> &'static ObservedRpc {
        self.by_path.get(path).unwrap_or(&self.other)
    }
}

fn grpc_type(method: &MethodDescriptorProto) -> &'static str {
    match (method.client_streaming(), method.server_streaming()) {
        (false, false) => "unary",
        (true, false) => "client_stream",
        (false, true) => "server_stream",
        (true, true) => "bidi_stream",
    }
}
