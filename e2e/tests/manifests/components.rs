//! What `k8s/components` add to the suite, seen in the variant that uses all of them.

use emojivoto_e2e::root;
use serde_json::{Value, json};

use super::contract::WORKLOADS;
use super::yaml::{at, documents, env_of, find, kind, list, name, read, render};

#[test]
fn every_pod_can_be_found_by_prometheus() {
    let documents = observed();
    let monitor = at(find(&documents, "PodMonitor", "emojivoto"), "/spec");
    let selector = at(monitor, "/selector/matchExpressions/0");
    assert_eq!((&selector["key"], &selector["operator"]), (&json!("app"), &json!("In")));
    assert_eq!(list(&selector["values"]).len(), WORKLOADS.len());
    let endpoint = at(monitor, "/podMetricsEndpoints/0");
    for workload in workloads(&documents) {
        let pod = at(workload, "/spec/template");
        let app = at(pod, "/metadata/labels/app");
        assert!(list(&selector["values"]).contains(app), "the PodMonitor does not select {app}");
        let ports = list(at(pod, "/spec/containers/0/ports"));
        let port = ports.iter().find(|port| port["name"] == endpoint["port"]);
        let port = port.unwrap_or_else(|| panic!("{app} has no port {}", endpoint["port"]));
        let annotations = json!({
            "prometheus.io/scrape": "true",
            "prometheus.io/port": port["containerPort"].to_string(),
            "prometheus.io/path": endpoint["path"],
        });
        assert_eq!(at(pod, "/metadata/annotations"), &annotations, "{app}");
    }
}

#[test]
fn every_pod_sends_traces_to_the_collector_of_the_one_line() {
    let documents = observed();
    let settings = documents.iter().find(|document| kind(document) == "ConfigMap");
    let settings = settings.expect("a ConfigMap");
    let expected = json!({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.observability:4317"});
    assert_eq!(settings["data"], expected);
    for workload in workloads(&documents) {
        let container = at(workload, "/spec/template/spec/containers/0");
        let from = json!([{"configMapRef": {"name": name(settings)}}]);
        assert_eq!(container["envFrom"], from, "{}", name(workload));

        // The kubelet replaces `$(NAME)` only if NAME is defined further up.
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
}

#[test]
fn kubernetes_has_the_same_rules() {
    let file = "observability/prometheus/rules/emojivoto.yml";
    let rules = documents(&read(&root().join(file))).remove(0);
    let documents = observed();
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

/// The documents of the variant with all components.
fn observed() -> Vec<Value> {
    documents(&render(&root().join("k8s/variants/observability")))
}

fn workloads(documents: &[Value]) -> impl Iterator<Item = &Value> {
    documents.iter().filter(|document| !at(document, "/spec/template").is_null())
}
