//! The manifests in front of a real Kubernetes API server, which knows the real CRDs of the Gateway API, Istio, the Prometheus
//! Operator, Flagger and Argo Rollouts; and what istioctl thinks of those for Istio.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use cluster::{Cluster, NAMESPACE};
use emojivoto_e2e::manifests::{
    at, documents, entries, group, kind, kustomizations, list, name, own_kustomization, pods, read,
    render,
};
use emojivoto_e2e::root;
use serde_json::{Value, json};

mod cluster;
mod istio;
mod refusals;

/// Linkerd's kinds, whose CRDs no package has. All that is used of them is here, so that nothing else is left out.
const LINKERD: [&str; 4] =
    ["AuthorizationPolicy", "HTTPLocalRateLimitPolicy", "NetworkAuthentication", "Server"];

/// The oldest Kubernetes that this API server can be, and the Gateway API that Linkerd asks for.
#[tokio::test]
async fn an_older_cluster_takes_everything_and_refuses_what_is_wrong() {
    let cluster = Cluster::start("1.31", "gateway-api-1.2").await;
    refusals::refuses_what_is_wrong(&cluster);
    takes_everything(&cluster);
    refusals::refuses_rules_with_names(&cluster);
}

#[tokio::test]
async fn a_newer_cluster_takes_everything_and_refuses_what_is_wrong() {
    let cluster = Cluster::start("1.34", "gateway-api-1.6").await;
    refusals::refuses_what_is_wrong(&cluster);
    takes_everything(&cluster);
    refusals::takes_rules_with_names(&cluster);
    istio::finds_nothing_wrong(&cluster);
    istio::finds_what_is_wrong(&cluster);
}

#[test]
fn of_linkerds_kinds_only_those_are_left_out() {
    let left_out = RENDERED.iter().flat_map(|rendered| &rendered.left_out);
    let kinds: BTreeSet<_> = left_out.map(kind).collect();
    assert_eq!(kinds, LINKERD.into());
}

fn takes_everything(cluster: &Cluster) {
    let mut taken = BTreeSet::new();
    for Rendered { directory, objects, .. } in &*RENDERED {
        // What is in all of them is asked once, but for the accounts, which pods need.
        let new =
            |object: &&Value| kind(object) == "ServiceAccount" || taken.insert(object.to_string());
        let new = objects.iter().filter(new).cloned();
        let new: Vec<_> = new.chain(pods(objects).map(pod)).collect();
        let taken = cluster.takes(&new);
        taken.unwrap_or_else(|said| panic!("{}: {said}", directory.display()));
    }
}

/// What a kustomization makes.
struct Rendered {
    directory: PathBuf,
    objects: Vec<Value>,
    /// What a cluster without Linkerd does not know.
    left_out: Vec<Value>,
}

/// What there is to be deployed: all kustomizations, and the base with each component that none of them shows.
static RENDERED: LazyLock<Vec<Rendered>> = LazyLock::new(|| {
    let mut directories = kustomizations();
    let lines = lines(&root().join("k8s"));
    for component in entries(&root().join("k8s/components")) {
        let component = component.file_name().and_then(|name| name.to_str()).expect("a name");
        if !lines.iter().any(|line| line.ends_with(&format!("/{component}"))) {
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(component);
            let base = root().join("k8s/base");
            directories.push(own_kustomization(&folder, "", &base, &[component]));
        }
    }
    let rendered = |directory: PathBuf| {
        let documents = documents(&render(&directory)).into_iter();
        let (left_out, objects) = documents.partition(|document| {
            group(document) == "policy.linkerd.io" && LINKERD.contains(&kind(document))
        });
        Rendered { directory, objects, left_out }
    };
    directories.into_iter().map(rendered).collect()
});

/// The lines of all kustomizations, without their comments.
fn lines(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for path in entries(directory) {
        if path.is_dir() {
            found.extend(lines(&path));
        } else if path.ends_with("kustomization.yaml") {
            let text = read(&path);
            found.extend(text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned));
        }
    }
    found
}

/// A pod as a controller would make it.
fn pod(workload: &Value) -> Value {
    let mut pod = at(workload, "/spec/template").clone();
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!(name(workload));
    pod["metadata"]["namespace"] = json!(NAMESPACE);
    let claims = list(at(workload, "/spec/volumeClaimTemplates")).iter().map(
        |claim| json!({"name": name(claim), "persistentVolumeClaim": {"claimName": name(claim)}}),
    );
    let volumes: Vec<_> =
        list(at(workload, "/spec/template/spec/volumes")).iter().cloned().chain(claims).collect();
    pod["spec"]["volumes"] = json!(volumes);
    pod
}

/// A file of objects. JSON is YAML, and kubectl believes it if the first line says so.
fn yaml(objects: &[Value]) -> String {
    objects
        .iter()
        .flat_map(|object| ["---\n".to_owned(), object.to_string(), "\n".to_owned()])
        .collect()
}
