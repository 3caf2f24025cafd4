//! Rendering the kustomizations, and finding things in what comes out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use emojivoto_e2e::{root, run, tool};
use serde_json::Value;

/// Components together, as far as they go together, in a kustomization that somebody may have.
static COMBINED: LazyLock<[PathBuf; 2]> = LazyLock::new(|| {
    let base = root().join("k8s/base");
    let shared = ["redis-votes", "client-balancing", "voting-autoscaler", "tracing", "prometheus"];
    [
        own_kustomization("shared-votes", "", &base, &shared),
        own_kustomization("durable-votes", "", &base, &["prometheus", "tracing", "durable-votes"]),
    ]
});

/// Every directory below `k8s/` that can be built, and some more. A `Component` cannot, only what uses it.
pub(super) fn kustomizations() -> Vec<PathBuf> {
    fn visit(directory: &Path, found: &mut Vec<PathBuf>) {
        for path in entries(directory) {
            if path.is_dir() {
                visit(&path, found);
            } else if path.ends_with("kustomization.yaml")
                && !read(&path).contains("\nkind: Component\n")
            {
                found.push(directory.to_owned());
            }
        }
    }
    let mut found = Vec::new();
    visit(&root().join("k8s"), &mut found);
    assert!(found.len() >= 4, "only {found:?} found");
    found.extend(COMBINED.clone());
    found
}

/// What they all render, for it is asked often.
pub(super) static RENDERED: LazyLock<Vec<(PathBuf, Vec<Value>)>> = LazyLock::new(|| {
    let rendered = |directory: PathBuf| {
        let documents = documents(&render(&directory));
        (directory, documents)
    };
    kustomizations().into_iter().map(rendered).collect()
});

/// Writes a kustomization outside of the repository, of a folder and of components of ours.
pub(super) fn own_kustomization(
    called: &str,
    head: &str,
    resource: &Path,
    components: &[&str],
) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(called);
    fs::create_dir_all(&folder).expect("it is writable");
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

pub(super) fn render(directory: &Path) -> String {
    run(Command::new(tool("kubectl")).arg("kustomize").arg(directory))
}

pub(super) fn documents(yaml: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(yaml).unwrap_or_else(|e| panic!("{e}\n{yaml}"))
}

pub(super) fn find<'a>(documents: &'a [Value], wanted: &str, called: &str) -> &'a Value {
    documents
        .iter()
        .find(|document| kind(document) == wanted && name(document) == called)
        .unwrap_or_else(|| panic!("no {wanted} {called}"))
}

pub(super) fn kind(document: &Value) -> &str {
    document["kind"].as_str().unwrap_or_default()
}

pub(super) fn name(document: &Value) -> &str {
    at(document, "/metadata/name").as_str().unwrap_or_default()
}

/// What lies at a JSON pointer; `null` if there is nothing.
pub(super) fn at<'a>(document: &'a Value, pointer: &str) -> &'a Value {
    document.pointer(pointer).unwrap_or(&Value::Null)
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Everything that makes pods.
pub(super) fn pods(documents: &[Value]) -> impl Iterator<Item = &Value> {
    documents.iter().filter(|document| !at(document, "/spec/template").is_null())
}

pub(super) fn env_of(workload: &Value) -> Vec<(String, Value)> {
    list(at(workload, "/spec/template/spec/containers/0/env"))
        .iter()
        .map(|variable| {
            (variable["name"].as_str().unwrap_or_default().to_owned(), variable["value"].clone())
        })
        .collect()
}

/// Whether a selector names labels, all of which the workload's pods carry.
pub(super) fn selects(selector: &Value, workload: &Value) -> bool {
    let labels = at(workload, "/spec/template/metadata/labels");
    selector.as_object().is_some_and(|selector| {
        !selector.is_empty() && selector.iter().all(|(key, value)| &labels[key] == value)
    })
}

pub(super) fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

pub(super) fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    let mut paths: Vec<_> =
        entries.map(|entry| entry.expect("the directory is readable").path()).collect();
    paths.sort();
    paths
}
