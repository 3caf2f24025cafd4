//! Rendering the kustomizations, and finding things in what comes out.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{root, run, tool};

/// Every directory below `k8s/` that can be deployed. A component cannot, only what uses it.
pub fn kustomizations() -> Vec<PathBuf> {
    fn visit(directory: &Path, found: &mut Vec<PathBuf>) {
        for path in entries(directory) {
            if path.is_dir() && !path.ends_with("components") {
                visit(&path, found);
            } else if path.ends_with("kustomization.yaml") {
                found.push(directory.to_owned());
            }
        }
    }
    let mut found = Vec::new();
    visit(&root().join("k8s"), &mut found);
    assert!(found.len() >= 4, "only {found:?} found");
    found
}

/// Writes a kustomization into a folder outside of the repository, of another folder and of components of ours.
pub fn own_kustomization(
    folder: &Path,
    head: &str,
    resource: &Path,
    components: &[&str],
) -> PathBuf {
    fs::create_dir_all(folder).expect("it is writable");
    let folder = folder.canonicalize().expect("it exists");
    // Resources are named relative to the kustomization: here by way of the root of the file system.
    let up = "../".repeat(folder.components().count() - 1);
    let item = |path: &Path| {
        let path = path.canonicalize().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let down = path.strip_prefix("/").expect("it is absolute");
        format!("  - {up}{}\n", down.display())
    };
    let mut text = format!("{head}resources:\n{}", item(resource));
    if !components.is_empty() {
        text += "components:\n";
    }
    text.extend(components.iter().map(|name| item(&root().join("k8s/components").join(name))));
    fs::write(folder.join("kustomization.yaml"), text).expect("it is writable");
    folder
}

/// What kubectl makes of a kustomization.
pub fn render(directory: &Path) -> String {
    run(Command::new(tool("kubectl")).arg("kustomize").arg(directory))
}

/// The documents of a YAML file.
pub fn documents(yaml: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(yaml).unwrap_or_else(|e| panic!("{e}\n{yaml}"))
}

/// The object of a kind and a name.
pub fn find<'a>(documents: &'a [Value], wanted: &str, called: &str) -> &'a Value {
    documents
        .iter()
        .find(|document| kind(document) == wanted && name(document) == called)
        .unwrap_or_else(|| panic!("no {wanted} {called}"))
}

/// The kind of an object.
pub fn kind(document: &Value) -> &str {
    document["kind"].as_str().unwrap_or_default()
}

/// The name of an object.
pub fn name(document: &Value) -> &str {
    at(document, "/metadata/name").as_str().unwrap_or_default()
}

/// The API group of an object, or of what a reference names by `apiVersion`; the core of Kubernetes has none.
pub fn group(document: &Value) -> &str {
    let version = document["apiVersion"].as_str().unwrap_or_default();
    version.split_once('/').map_or("", |(group, _)| group)
}

/// Whether an object is of a kind that a cluster knows by a CRD only.
pub fn is_foreign(document: &Value) -> bool {
    let group = group(document);
    // Kubernetes' own have no dot, but for those that end like this; the Gateway API's does, too.
    group == "gateway.networking.k8s.io" || group.contains('.') && !group.ends_with(".k8s.io")
}

/// Changes an object where a patch, without `null`, differs.
pub fn merge(into: &mut Value, patch: &Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(into.entry(key.as_str()).or_insert(Value::Null), value);
            }
        }
        (into, patch) => *into = patch.clone(),
    }
}

/// What lies at a JSON pointer; `null` if there is nothing.
pub fn at<'a>(document: &'a Value, pointer: &str) -> &'a Value {
    document.pointer(pointer).unwrap_or(&Value::Null)
}

/// The items of a list; none if it is something else.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Everything that makes pods.
pub fn pods(documents: &[Value]) -> impl Iterator<Item = &Value> {
    documents.iter().filter(|document| !at(document, "/spec/template").is_null())
}

/// The names and values of the variables of a workload's first container.
pub fn env_of(workload: &Value) -> Vec<(String, Value)> {
    list(at(workload, "/spec/template/spec/containers/0/env"))
        .iter()
        .map(|variable| {
            (variable["name"].as_str().unwrap_or_default().to_owned(), variable["value"].clone())
        })
        .collect()
}

/// Whether a selector names labels, all of which the workload's pods carry.
pub fn selects(selector: &Value, workload: &Value) -> bool {
    let labels = at(workload, "/spec/template/metadata/labels");
    selector.as_object().is_some_and(|selector| {
        !selector.is_empty() && selector.iter().all(|(key, value)| &labels[key] == value)
    })
}

/// The text of a file.
pub fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// What is in a folder, by name.
pub fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    let mut paths: Vec<_> =
        entries.map(|entry| entry.expect("the directory is readable").path()).collect();
    paths.sort();
    paths
}
