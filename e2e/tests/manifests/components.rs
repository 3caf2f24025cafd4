//! What `k8s/components` add to the suite, seen in the variants that use them.

use std::collections::BTreeSet;

use emojivoto_e2e::root;
use serde_json::{Value, json};

use super::contract::WORKLOADS;
use super::rendered::{RENDERED, combined};
use emojivoto_e2e::manifests::{
    at, documents, entries, env_of, find, is_foreign, kind, kustomizations, list, name, pods, read,
    render,
};

/// The variants with traces and metrics: for any cluster, and for one with the Prometheus Operator.
const OBSERVED: [&str; 2] = ["observability", "observability-operator"];

/// What the cluster has to know besides Kubernetes' own kinds, by the end of the kustomization's path; where nothing is said,
/// nothing.
const NEEDS: [(&str, &[&str]); 22] = [
    ("variants/observability-operator", &["PodMonitor", "PrometheusRule"]),
    ("variants/linkerd", &["GRPCRoute"]),
    ("variants/linkerd-operator", &["GRPCRoute", "PodMonitor", "PrometheusRule"]),
    ("variants/linkerd-policy", &["AuthorizationPolicy", "NetworkAuthentication", "Server"]),
    ("variants/linkerd-resilience", &["HTTPLocalRateLimitPolicy", "HTTPRoute", "Server"]),
    ("variants/istio", &["PeerAuthentication", "Telemetry", "VirtualService"]),
    ("variants/istio-faults", &["PeerAuthentication", "Telemetry", "VirtualService"]),
    (
        "variants/istio-policy",
        &["AuthorizationPolicy", "PeerAuthentication", "Telemetry", "VirtualService"],
    ),
    ("variants/istio-ambient", &["Gateway", "PeerAuthentication", "Telemetry", "VirtualService"]),
    (
        "variants/istio-ambient-policy",
        &["AuthorizationPolicy", "Gateway", "PeerAuthentication", "Telemetry", "VirtualService"],
    ),
    ("variants/gateway", &["Gateway", "HTTPRoute"]),
    ("variants/canary", &["HTTPRoute"]),
    ("variants/canary-gateway", &["Gateway", "HTTPRoute"]),
    ("canary/flagger", &["Canary", "MetricTemplate"]),
    ("canary/argo-rollouts", &["AnalysisTemplate", "HTTPRoute", "Rollout"]),
    (
        "all-of-linkerd",
        &[
            "AuthorizationPolicy",
            "GRPCRoute",
            "HTTPLocalRateLimitPolicy",
            "HTTPRoute",
            "NetworkAuthentication",
            "PodMonitor",
            "PrometheusRule",
            "Server",
        ],
    ),
    (
        "all-of-istio",
        &[
            "AuthorizationPolicy",
            "Gateway",
            "HTTPRoute",
            "PeerAuthentication",
            "Telemetry",
            "VirtualService",
        ],
    ),
    (
        "all-of-istio-ambient",
        &[
            "AuthorizationPolicy",
            "Gateway",
            "HTTPRoute",
            "PeerAuthentication",
            "Telemetry",
            "VirtualService",
        ],
    ),
    (
        "canary-of-linkerd",
        &[
            "AuthorizationPolicy",
            "GRPCRoute",
            "Gateway",
            "HTTPRoute",
            "NetworkAuthentication",
            "Server",
        ],
    ),
    ("daemonsets-of-linkerd", &["AuthorizationPolicy", "NetworkAuthentication", "Server"]),
    (
        "statefulsets-of-istio",
        &["AuthorizationPolicy", "PeerAuthentication", "Telemetry", "VirtualService"],
    ),
    ("job-of-linkerd", &["GRPCRoute"]),
];

/// Components that no variant shows: one that does nothing until somebody writes rules, and an example that needs others.
const UNSHOWN: [&str; 2] = ["faults", "voting-autoscaler"];

#[test]
fn nothing_needs_more_of_a_cluster_than_it_says() {
    let mut seen = BTreeSet::<&str>::new();
    for (directory, documents) in &*RENDERED {
        let foreign = documents.iter().filter(|document| is_foreign(document));
        let foreign: BTreeSet<_> = foreign.map(kind).collect();
        let needs = NEEDS.iter().find(|(end, _)| directory.ends_with(end));
        let (end, kinds) = needs.unwrap_or(&("", &[]));
        assert_eq!(foreign, kinds.iter().copied().collect(), "{directory:?}");
        seen.extend(needs.map(|_| end));
    }
    assert_eq!(seen.len(), NEEDS.len(), "{NEEDS:?}, and only {seen:?} are there");
}

#[test]
fn every_component_is_shown_by_a_variant() {
    let components: BTreeSet<_> = entries(&root().join("k8s/components"))
        .iter()
        .filter_map(|path| path.file_name()?.to_str().map(str::to_owned))
        .collect();
    let mut shown = BTreeSet::new();
    let mut open: Vec<_> = kustomizations();
    while let Some(directory) = open.pop() {
        let file = directory.join("kustomization.yaml");
        for used in list(&documents(&read(&file))[0]["components"]) {
            let used = directory.join(used.as_str().expect("a path"));
            let used = used.canonicalize().unwrap_or_else(|e| panic!("{}: {e}", used.display()));
            let called = used.file_name().expect("a name").to_string_lossy().into_owned();
            if shown.insert(called) {
                open.push(used); // a component can have components
            }
        }
    }
    let unshown: BTreeSet<_> = components.difference(&shown).map(String::as_str).collect();
    assert_eq!(unshown, BTreeSet::from(UNSHOWN));
    assert!(unshown.is_subset(&combined()), "these are not even rendered");
}

#[test]
fn prometheus_finds_every_pod_by_its_annotations() {
    let documents = variant("observability");
    for workload in pods(&documents) {
        let pod = at(workload, "/spec/template");
        let annotations = json!({
            "prometheus.io/scrape": "true",
            "prometheus.io/port": port(pod, "prom").to_string(),
            "prometheus.io/path": "/metrics",
        });
        assert_eq!(at(pod, "/metadata/annotations"), &annotations, "{}", name(workload));
    }
}

#[test]
fn the_operator_finds_every_pod_and_no_other_prometheus_does() {
    let documents = variant("observability-operator");
    let monitor = at(find(&documents, "PodMonitor", "emojivoto"), "/spec");
    let selector = at(monitor, "/selector/matchExpressions/0");
    assert_eq!((&selector["key"], &selector["operator"]), (&json!("app"), &json!("In")));
    assert_eq!(list(&selector["values"]).len(), WORKLOADS.len());
    let endpoints = list(at(monitor, "/podMetricsEndpoints"));
    assert_eq!(endpoints.len(), 1, "each more counts everything again");
    assert_eq!(endpoints[0]["path"], "/metrics");
    for workload in pods(&documents) {
        let pod = at(workload, "/spec/template");
        let app = at(pod, "/metadata/labels/app");
        assert!(list(&selector["values"]).contains(app), "the PodMonitor does not select {app}");
        port(pod, endpoints[0]["port"].as_str().unwrap_or_default());
        assert_eq!(at(pod, "/metadata/annotations"), &Value::Null, "{app} would count twice");
    }
}

#[test]
fn every_pod_sends_traces_to_the_collector_of_the_one_line() {
    for documents in OBSERVED.map(variant) {
        let settings = documents.iter().find(|document| kind(document) == "ConfigMap");
        let settings = settings.expect("a ConfigMap");
        let expected =
            json!({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.observability:4317"});
        assert_eq!(settings["data"], expected);
        for workload in pods(&documents) {
            let container = at(workload, "/spec/template/spec/containers/0");
            let from = json!([{"configMapRef": {"name": name(settings)}}]);
            assert_eq!(container["envFrom"], from, "{}", name(workload));
            names_its_pod(workload);
        }
    }
}

#[test]
fn nobody_asks_a_store_what_only_the_suite_answers() {
    let mut stores = 0;
    for (directory, documents) in &*RENDERED {
        for store in pods(documents)
            .filter(|pod| at(pod, "/metadata/labels")["app.kubernetes.io/component"] == "store")
        {
            let pod = at(store, "/spec/template");
            assert_eq!(at(pod, "/metadata/annotations"), &Value::Null, "{directory:?}");
            assert_eq!(at(pod, "/spec/containers/0/envFrom"), &Value::Null, "{directory:?}");
            stores += 1;
        }
    }
    assert!(stores >= 2, "with metrics and traces, and without");
}

#[test]
fn kubernetes_has_the_same_rules() {
    let file = "observability/prometheus/rules/emojivoto.yml";
    let rules = documents(&read(&root().join(file))).remove(0);
    let documents = variant("observability-operator");
    let copy = at(find(&documents, "PrometheusRule", "emojivoto"), "/spec/groups");
    assert_eq!(copy, &rules["groups"], "{file} was changed: run `make rules`");

    let all = list(&rules["groups"]).iter().flat_map(|group| list(&group["rules"]));
    let alerts: Vec<_> = all.filter(|rule| !rule["alert"].is_null()).collect();
    assert!(!alerts.is_empty());
    for alert in alerts {
        for pointer in ["/labels/severity", "/annotations/summary", "/annotations/description"] {
            assert!(at(alert, pointer).is_string(), "{alert} lacks {pointer}");
        }
        let runbook = at(alert, "/annotations/runbook").as_str().unwrap_or("none");
        assert!(root().join(runbook).is_file(), "{alert}: {runbook} is no file");
    }
}

fn variant(name: &str) -> Vec<Value> {
    documents(&render(&root().join("k8s/variants").join(name)))
}

/// The number of the port that a pod's container gives this name.
fn port<'a>(pod: &'a Value, called: &str) -> &'a Value {
    let mut ports = list(at(pod, "/spec/containers/0/ports")).iter();
    let port = ports.find(|port| port["name"] == called);
    &port.unwrap_or_else(|| panic!("no port {called} in {pod}"))["containerPort"]
}

/// The kubelet replaces `$(NAME)` only if NAME is defined further up.
fn names_its_pod(workload: &Value) {
    let env = env_of(workload);
    let place = |wanted: &str| {
        let place = env.iter().position(|(name, _)| name == wanted);
        place.unwrap_or_else(|| panic!("{}: no {wanted}", name(workload)))
    };
    let attributes = place("OTEL_RESOURCE_ATTRIBUTES");
    let value = env[attributes].1.as_str().expect("a value");
    let used: Vec<_> = value.split("$(").skip(1).filter_map(|s| s.split(')').next()).collect();
    assert_eq!(used.len(), value.split(',').count(), "{value}");
    for variable in used {
        assert!(place(variable) < attributes, "{variable} comes too late");
    }
}
