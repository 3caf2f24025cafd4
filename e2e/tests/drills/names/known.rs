//! What drills may name that is in no manifest: kinds, commands, flags, what meshes bring along, RPCs, settings.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{LazyLock, Mutex},
};

use emojivoto_e2e::{
    manifests::{documents, read, render},
    root,
    rpcs::services,
};
use serde_json::Value;

/// Kinds by the names that kubectl knows them by.
pub(super) const KINDS: [(&str, &[&str]); 30] = [
    ("AuthorizationPolicy", &["authorizationpolicy", "authorizationpolicies"]),
    ("Canary", &["canary", "canaries"]),
    ("ConfigMap", &["configmap", "configmaps", "cm"]),
    ("DaemonSet", &["daemonset", "daemonsets", "ds"]),
    ("Deployment", &["deployment", "deployments", "deploy"]),
    ("DestinationRule", &["destinationrule", "destinationrules", "dr"]),
    ("EndpointSlice", &["endpointslice", "endpointslices"]),
    ("Endpoints", &["endpoints", "ep"]),
    ("Gateway", &["gateway", "gateways", "gtw"]),
    ("GRPCRoute", &["grpcroute", "grpcroutes"]),
    ("HTTPLocalRateLimitPolicy", &["httplocalratelimitpolicy", "httplocalratelimitpolicies"]),
    ("HTTPRoute", &["httproute", "httproutes"]),
    ("Ingress", &["ingress", "ingresses", "ing"]),
    ("Job", &["job", "jobs"]),
    ("Link", &["link", "links"]),
    ("MeshTLSAuthentication", &["meshtlsauthentication", "meshtlsauthentications"]),
    ("Namespace", &["namespace", "namespaces", "ns"]),
    ("NetworkAuthentication", &["networkauthentication", "networkauthentications"]),
    ("NetworkPolicy", &["networkpolicy", "networkpolicies", "netpol"]),
    ("PeerAuthentication", &["peerauthentication", "peerauthentications", "pa"]),
    ("Node", &["node", "nodes", "no"]),
    ("Pod", &["pod", "pods", "po"]),
    ("Rollout", &["rollout", "rollouts"]),
    ("Server", &["server", "servers"]),
    ("Service", &["service", "services", "svc"]),
    ("ServiceAccount", &["serviceaccount", "serviceaccounts", "sa"]),
    ("StatefulSet", &["statefulset", "statefulsets", "sts"]),
    ("Telemetry", &["telemetry", "telemetries"]),
    ("Event", &["event", "events", "ev"]),
    ("VirtualService", &["virtualservice", "virtualservices", "vs"]),
];

/// What a mesh brings along and drills look at.
pub(super) const MESHES: [(&str, &str, &str, u64); 6] = [
    ("linkerd-viz", "Service", "prometheus", 9090),
    ("linkerd-viz", "Service", "web", 8084),
    ("linkerd-multicluster", "Deployment", "linkerd-gateway", 0),
    ("linkerd-multicluster", "Service", "linkerd-gateway", 4143),
    ("istio-system", "Deployment", "prometheus", 0),
    ("istio-system", "Service", "prometheus", 9090),
];

pub(super) const LINKERD: [&str; 8] =
    ["authz", "check", "diagnostics", "inject", "install", "uninstall", "viz", "multicluster"];
pub(super) const LINKERD_VIZ: [&str; 10] = [
    "authz",
    "check",
    "dashboard",
    "edges",
    "install",
    "stat",
    "stat-inbound",
    "stat-outbound",
    "tap",
    "top",
];
pub(super) const ISTIOCTL: [&str; 7] =
    ["analyze", "install", "proxy-config", "proxy-status", "uninstall", "version", "waypoint"];

/// Flags with a value that follows them.
pub(super) const WITH_VALUE: [&str; 35] = [
    "--api-server-address",
    "--identity-issuer-certificate-file",
    "--identity-issuer-key-file",
    "--identity-trust-anchors-file",
    "-n",
    "--namespace",
    "-l",
    "--selector",
    "-c",
    "--container",
    "-o",
    "--output",
    "-f",
    "--filename",
    "-k",
    "--kustomize",
    "--context",
    "--for",
    "--timeout",
    "--type",
    "-p",
    "--patch",
    "--replicas",
    "--tail",
    "--since",
    "--image",
    "--to",
    "--from",
    "-t",
    "--time-window",
    "--to-namespace",
    "--set",
    "--cluster-name",
    "--path",
    "--max-rps",
];

pub(super) fn kind_of(alias: &str) -> Option<&'static str> {
    let alias = alias.split('.').next()?.to_lowercase();
    KINDS.iter().find(|(_, aliases)| aliases.contains(&alias.as_str())).map(|(kind, _)| *kind)
}

pub(super) fn is_in_a_namespace(kind: &str) -> bool {
    !["Namespace", "Node"].contains(&kind)
}

/// What kubectl makes of a kustomization, which it takes some time for.
pub(super) fn rendered(folder: &Path) -> Vec<Value> {
    static RENDERED: LazyLock<Mutex<HashMap<PathBuf, Vec<Value>>>> = LazyLock::new(Mutex::default);
    let mut rendered = RENDERED.lock().expect("nobody panicked");
    rendered.entry(folder.to_owned()).or_insert_with(|| documents(&render(folder))).clone()
}

/// The names of all RPCs by that of their service.
pub(super) static RPCS: LazyLock<HashMap<String, Vec<String>>> =
    LazyLock::new(|| services().into_iter().collect());

/// The table of settings.
pub(super) static SETTINGS: LazyLock<String> = LazyLock::new(|| read(&root().join("README.md")));
