//! Rendered manifests as a configuration of Envoy: what the proxies of a mesh would make of them.
//!
//! Each call between two services passes two listeners, as it passes two sidecars on a cluster:
//!
//! - *outbound*, one for each client and Service that it calls, on a port of its own: routes, weights, retries, timeouts,
//!   faults, and which endpoints are left out;
//! - *inbound*, one for each pod, on a path: who may call what, and how often. Between the two is mutual TLS, so that
//!   whoever calls is known by a certificate.
//!
//! The proxy is real, and so is what happens; the control plane is this module. It is strict: what it does not
//! understand is an error. Where Envoy's way is not that of a mesh, a comment says so.

mod failures;
mod inbound;
mod matches;
mod outbound;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use serde_json::{Value, json};

use crate::{
    identity::Authority,
    objects::{Object, Objects, Service, ServicePort, Workload, selects},
};

/// Whose rules hold where the objects say nothing.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Mesh {
    Linkerd,
    Istio,
}

/// The pods of each workload.
pub(crate) type Pods = BTreeMap<&'static str, Vec<SocketAddr>>;

struct Translation<'a> {
    mesh: Mesh,
    objects: Objects,
    pods: &'a Pods,
    authority: Authority,
}

/// An Envoy that is all the proxies of these pods and of those who call them. A call is a workload and a Service.
pub(crate) fn envoy(
    mesh: Mesh,
    documents: &[Value],
    pods: &Pods,
    calls: &[(&str, &str)],
) -> Result<Value, String> {
    let objects = Objects::read(documents)?;
    let of_the_other = match mesh {
        Mesh::Linkerd => {
            objects.virtual_services.len()
                + objects.destination_rules.len()
                + objects.istio_policies.len()
        }
        Mesh::Istio => {
            objects.servers.len() + objects.linkerd_policies.len() + objects.rate_limits.len()
        }
    };
    if of_the_other > 0 {
        return Err("objects of two meshes".to_owned());
    }
    let hosts = objects.virtual_services.iter().flat_map(|object| &object.spec.hosts);
    let mut hosts = hosts.chain(objects.destination_rules.iter().map(|object| &object.spec.host));
    if let Some(host) = hosts.find(|host| !objects.services.iter().any(|it| is(host, it.name()))) {
        return Err(format!("no Service {host}"));
    }
    let translation = Translation { mesh, objects, pods, authority: Authority::new() };
    let (mut listeners, mut clusters) = (Vec::new(), Vec::new());
    for (client, service) in calls {
        listeners.push(translation.outbound(client, service)?);
    }
    let clients: BTreeSet<_> = calls.iter().map(|(client, _)| *client).collect();
    for client in clients {
        for service in &translation.objects.services {
            clusters.extend(translation.cluster(client, service)?);
        }
    }
    for (workload, addresses) in pods {
        let workload = translation.objects.workload(workload)?;
        for (number, address) in addresses.iter().enumerate() {
            listeners.push(translation.inbound(workload, number)?);
            clusters.push(translation.application(workload, number, *address)?);
        }
    }
    Ok(bootstrap(&listeners, &clusters))
}

/// An address that leads to the pods of a Service by connections, as kube-proxy does where there is no mesh.
pub(crate) fn without_a_mesh(pods: &[SocketAddr]) -> Value {
    let proxy = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "service",
        "cluster": "pods",
    });
    let listener = listener(
        "service",
        &json!({"socket_address": {"address": "127.0.0.1", "port_value": 0}}),
        &json!({"filters": [{"name": "tcp", "typed_config": proxy}]}),
    );
    let endpoints: Vec<_> = pods.iter().map(|address| endpoint(&tcp(*address))).collect();
    bootstrap(
        &[listener],
        &[json!({
            "name": "pods",
            "load_assignment": {"cluster_name": "pods", "endpoints": [{"lb_endpoints": endpoints}]},
        })],
    )
}

fn bootstrap(listeners: &[Value], clusters: &[Value]) -> Value {
    json!({
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}},
        "static_resources": {"listeners": listeners, "clusters": clusters},
    })
}

fn listener(name: &str, address: &Value, chain: &Value) -> Value {
    json!({"name": name, "address": address, "filter_chains": [chain]})
}

fn tcp(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}})
}

fn endpoint(address: &Value) -> Value {
    json!({"endpoint": {"address": address}})
}

/// Where the proxy of a pod listens.
fn sidecar(workload: &Workload, number: usize) -> Value {
    json!({"pipe": {"path": format!("{}-{number}.sock", workload.name)}})
}

/// Handles requests, and counts each with labels.
fn http_manager(name: &str, labels: &[(&str, &str)], routes: &[Value], filters: &[Value]) -> Value {
    let tags: Vec<_> = labels
        .iter()
        .map(|(label, format)| json!({"name": label, "value_format": format}))
        .collect();
    let requests = json!({
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.stats.v3.Config",
        "stats_scope": {"prefix": "mesh"},
        "counters": [{"stat": {"name": "requests", "tags": tags}, "value_fixed": 1}],
    });
    let mut filters = filters.to_vec();
    filters.push(filter("router", "router.v3.Router", json!({})));
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "access_log": [{"name": "requests", "typed_config": requests}],
        "http_filters": filters,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "stream_idle_timeout": "0s",
    });
    json!({"name": "http", "typed_config": manager})
}

/// A filter of requests: `type` is below `envoy.extensions.filters.http`.
fn filter(name: &str, kind: &str, mut config: Value) -> Value {
    config["@type"] = format!("type.googleapis.com/envoy.extensions.filters.http.{kind}").into();
    json!({"name": name, "typed_config": config})
}

/// HTTP/2 for gRPC, HTTP/1.1 for all else.
fn protocol(port: &str) -> Result<Value, String> {
    let options = match port {
        "grpc" => json!({"http2_protocol_options": {}}),
        "http" => json!({"http_protocol_options": {}}),
        _ => return Err(format!("a port called {port}")),
    };
    Ok(json!({"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": options,
    }}))
}

/// Whether a host of an object of Istio's is this Service of our namespace.
fn is(host: &str, service: &str) -> bool {
    host.strip_prefix(service).is_some_and(|rest| {
        ["", ".emojivoto", ".emojivoto.svc", ".emojivoto.svc.cluster.local"].contains(&rest)
    })
}

impl Translation<'_> {
    /// The workloads behind a Service, and those of them that have pods here.
    fn behind(&self, service: &Object<Service>) -> Vec<&Workload> {
        let behind = |workload: &&Workload| {
            selects(&service.spec.selector, &workload.labels)
                && self.pods.contains_key(workload.name.as_str())
        };
        self.objects.workloads.iter().filter(behind).collect()
    }

    /// What the application listens on: the one port that is not for metrics.
    fn port_of(service: &Object<Service>) -> Result<&ServicePort, String> {
        let mut ports = service.spec.ports.iter().filter(|port| port.name != "prom");
        match (ports.next(), ports.next()) {
            (Some(port), None) => Ok(port),
            _ => Err(format!("Service {}: one port is expected besides prom", service.name())),
        }
    }
}
