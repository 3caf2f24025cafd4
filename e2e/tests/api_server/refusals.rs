//! What a cluster has to refuse: each is an object of ours with one thing wrong.

use std::collections::BTreeSet;

use emojivoto_e2e::manifests::{is_foreign, kind, name};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::{RENDERED, pod};

/// What is said of a field that there is not.
const UNDECLARED: &str = "field not declared in schema";

/// A kind, where in the first object of it, what is wrong there, and what is said of it.
fn wrongs() -> Vec<(&'static str, &'static str, Value, &'static str)> {
    vec![
        ("Deployment", "/spec/template/spec/containers/0/readynessProbe", json!({}), UNDECLARED),
        ("Deployment", "/spec/replicas", json!("one"), "expected numeric"),
        ("Service", "/spec/ports/0/appProtocol", json!("kubernetes.io/h2c/2"), "Invalid value"),
        ("NetworkPolicy", "/spec/policyTypes/0", json!("ingress"), "Unsupported value"),
        // Only warned of.
        ("Deployment", "/spec/template/spec/hostNetwork", json!(true), "would violate PodSecurity"),
        (
            "Deployment",
            "/spec/template/spec/nodeSelector",
            json!({"beta.kubernetes.io/os": "linux"}),
            "deprecated since v1.14",
        ),
        // The Gateway API's.
        (
            "GRPCRoute",
            "/spec/rules/0/matches",
            json!([{"method": {"service": "emojivoto.v1/VotingService", "method": "VoteJoy"}}]),
            "service must only contain valid characters",
        ),
        (
            "HTTPRoute",
            "/spec/rules/0/backendRefs/0/weight",
            json!(-1),
            "greater than or equal to 0",
        ),
        ("Gateway", "/spec/listeners/0/port", json!(0), "greater than or equal to 1"),
        // Istio's.
        ("AuthorizationPolicy", "/spec/action", json!("PERMIT"), "Unsupported value"),
        ("PeerAuthentication", "/spec/mtls/mode", json!("STRICTER"), "Unsupported value"),
        ("Telemetry", "/spec/metrics/0/overrides/0/match/mode", json!("BOTH"), "Unsupported value"),
        ("VirtualService", "/spec/http/0/retries/attempts", json!("none"), "expected numeric"),
        // The Prometheus Operator's.
        ("PodMonitor", "/spec/podMetricsEndpoints/0/interval", json!("15 s"), "should match"),
        ("PrometheusRule", "/spec/groups/0/interval", json!("15 s"), "should match"),
        // Those of releases.
        ("AnalysisTemplate", "/spec/metrics/0/failureLimits", json!(1), UNDECLARED),
        ("Canary", "/spec/provider", json!("gatewayapi"), "Unsupported value"),
        ("MetricTemplate", "/spec/provider/type", json!("prometheus2"), "Unsupported value"),
        ("Rollout", "/spec/strategy/canary/steps/0/setWeights", json!(10), UNDECLARED),
    ]
}

pub(crate) fn refuses_what_is_wrong(cluster: &Cluster) {
    let mut kinds = BTreeSet::new();
    for (kind, pointer, wrong, said) in wrongs() {
        refuses(cluster, &with(any(kind), pointer, wrong), said);
        kinds.insert(kind);
    }
    for document in documents().filter(|document| is_foreign(document)) {
        assert!(kinds.contains(kind(document)), "nothing wrong is tried with {}", kind(document));
    }

    // With an account that is there in any case.
    let pod = with(&pod(any("Deployment")), "/spec/serviceAccountName", json!("default"));
    for (pointer, wrong, said) in [
        ("/spec/serviceAccountName", json!("nobody"), r#"serviceaccount "nobody" not found"#),
        ("/spec/hostNetwork", json!(true), r#"violates PodSecurity "restricted"#),
        ("/spec/securityContext/runAsNonRoot", json!(false), r#"violates PodSecurity "restricted"#),
    ] {
        refuses(cluster, &with(&pod, pointer, wrong), said);
    }
}

/// Of the Gateway API of today. Linkerd ignores a route that has one.
pub(crate) fn refuses_rules_with_names(cluster: &Cluster) {
    refuses(cluster, &with_name(), UNDECLARED);
}

pub(crate) fn takes_rules_with_names(cluster: &Cluster) {
    assert_eq!(cluster.takes(&[with_name()]), Ok(()));
}

fn with_name() -> Value {
    with(any("GRPCRoute"), "/spec/rules/0/name", json!("votes"))
}

fn refuses(cluster: &Cluster, object: &Value, because: &str) {
    let what = format!("{} {}", kind(object), name(object));
    let said = cluster.takes(std::slice::from_ref(object)).expect_err(&what);
    assert!(said.contains(because), "{what}: {said}");
}

fn documents() -> impl Iterator<Item = &'static Value> {
    RENDERED.iter().flat_map(|rendered| &rendered.objects)
}

fn any(wanted: &str) -> &'static Value {
    let found = documents().find(|document| kind(document) == wanted);
    found.unwrap_or_else(|| panic!("there is no {wanted}"))
}

/// An object with another value at a place whose parent is there.
pub(crate) fn with(object: &Value, pointer: &str, value: Value) -> Value {
    let mut changed = object.clone();
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    let parent = changed.pointer_mut(parent).unwrap_or_else(|| panic!("no {parent} in {object}"));
    match parent {
        Value::Array(items) => items[key.parse::<usize>().expect("an index")] = value,
        parent => parent[key] = value,
    }
    changed
}
