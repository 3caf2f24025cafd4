//! The RPCs that there are, read from the descriptors that reflection lists.

use std::{collections::HashMap, sync::Arc};

use prost::Message as _;
use prost_types::{FileDescriptorSet, MethodDescriptorProto};

use crate::telemetry::metrics::{Metrics, Rpc, RpcLabels, RpcSide, http::OTHER};

/// An RPC as it is observed.
#[derive(Debug)]
pub(super) struct Method {
    /// Service and method, `emojivoto.v1.VotingService/VoteJoy`, which is also the name of its spans.
    /// Made once for as long as the process lives, so that no span has to copy it.
    pub(super) name: &'static str,
    /// What is counted of it, if anything is.
    pub(super) rpc: Option<Arc<Rpc>>,
}

/// All RPCs of some services, by path.
#[derive(Debug)]
pub(super) struct Methods {
    by_path: HashMap<String, Arc<Method>>,
    /// Stands for every RPC that there is not, so that nobody can add to the metrics from outside.
    other: Arc<Method>,
}

impl Methods {
    /// The methods of all services in these encoded descriptor sets.
    pub(super) fn new(descriptors: &[&[u8]], metrics: Option<&Metrics>, side: RpcSide) -> Self {
        let method = |name: &str, labels| {
            let rpc = metrics.map(|metrics| metrics.rpcs(side).rpc(labels));
            Arc::new(Method { name: String::leak(name.to_owned()), rpc })
        };
        let mut by_path = HashMap::new();
        for set in descriptors {
            let set =
                FileDescriptorSet::decode(*set).expect("the descriptors of the build are whole");
            for file in &set.file {
                for service in &file.service {
                    let service_name = format!("{}.{}", file.package(), service.name());
                    for rpc in &service.method {
                        let name = format!("{service_name}/{}", rpc.name());
                        let labels = RpcLabels {
                            grpc_type: grpc_type(rpc),
                            grpc_service: service_name.clone(),
                            grpc_method: rpc.name().to_owned(),
                        };
                        by_path.insert(format!("/{name}"), method(&name, labels));
                    }
                }
            }
        }
        let labels = RpcLabels {
            grpc_type: "unary",
            grpc_service: OTHER.to_owned(),
            grpc_method: OTHER.to_owned(),
        };
        Self { by_path, other: method(OTHER, labels) }
    }

    pub(super) fn of(&self, path: &str) -> &Arc<Method> {
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
