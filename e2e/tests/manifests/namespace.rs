//! A second copy of the suite, in a namespace of another name, has nothing to do with the first.

use std::path::Path;

use serde_json::{Value, json};

use super::rendered::{kustomizations, temporary};
use super::rules::violations;
use emojivoto_e2e::manifests::{at, documents, kind, name, own_kustomization, render};

#[test]
fn a_copy_in_another_namespace_has_no_trace_of_the_first() {
    for directory in kustomizations() {
        let copy = documents(&elsewhere(&directory));
        assert_eq!(kind(&copy[0]), "Namespace", "{directory:?}");
        for document in &copy {
            let namespace = if kind(document) == "Namespace" {
                "/metadata/name"
            } else {
                "/metadata/namespace"
            };
            let what = format!("{directory:?}: {} {}", kind(document), name(document));
            assert_eq!(at(document, namespace), "elsewhere", "{what}");
            assert_eq!(traces(document), [""; 0], "{what}");
        }
        assert_eq!(violations(&copy), [""; 0], "{directory:?}");
    }
}

#[test]
fn the_check_itself_finds_traces() {
    let good = json!({
        "kind": "PodMonitor",
        "metadata": {"name": "emojivoto", "labels": {"app.kubernetes.io/part-of": "emojivoto"}},
        "spec": {"expr": "rate(grpc_server_handled_total{grpc_service=\"emojivoto.v1.VotingService\"}[5m])"},
    });
    assert_eq!(traces(&good), [""; 0]);

    for (place, key, value) in [
        ("", "kind", json!("Namespace")),
        ("/metadata", "namespace", json!("emojivoto")),
        ("/spec", "host", json!("emoji-svc.emojivoto:8080")),
        ("/spec", "url", json!("http://web-svc.emojivoto.svc.cluster.local")),
        (
            "/spec",
            "subjects",
            json!([{"kind": "ServiceAccount", "name": "web", "namespace": "emojivoto"}]),
        ),
        ("/spec", "matchNames", json!(["emojivoto"])),
        ("/spec", "principal", json!("cluster.local/ns/emojivoto/sa/web")),
        ("/spec", "expr", json!("up{namespace=\"emojivoto\"}")),
    ] {
        let mut bad = good.clone();
        bad.pointer_mut(place).expect("the place exists")[key] = value;
        assert_eq!(traces(&bad).len(), 1, "{place}/{key}: {:?}", traces(&bad));
    }
}

/// Where a document speaks of the namespace `emojivoto`, as a name of its own, in a host, in an
/// identity or in a query. Labels, and objects that have the name of the suite, do not.
fn traces(document: &Value) -> Vec<String> {
    fn visit(value: &Value, place: &str, namespace: bool, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    visit(value, &format!("{place}/{key}"), namespace, found);
                }
            }
            Value::Array(items) => {
                for (index, value) in items.iter().enumerate() {
                    visit(value, &format!("{place}/{index}"), namespace, found);
                }
            }
            Value::String(text) => {
                let own_name = place == "/metadata/name" && !namespace;
                let named = text == "emojivoto" && !own_name && !place.contains("/labels/");
                let spoken_of = [".emojivoto", "/emojivoto/", "\"emojivoto\""];
                if named || spoken_of.iter().any(|trace| text.contains(trace)) {
                    found.push(format!("{place}: {text}"));
                }
            }
            _ => (),
        }
    }
    let mut found = Vec::new();
    visit(document, "", kind(document) == "Namespace", &mut found);
    found
}

/// Renders a kustomization as the only resource of one that has a namespace of its own.
fn elsewhere(directory: &Path) -> String {
    render(&own_kustomization(&temporary("elsewhere"), "namespace: elsewhere\n", directory, &[]))
}
