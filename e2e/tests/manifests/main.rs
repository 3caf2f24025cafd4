//! The Kubernetes manifests against Kubernetes' own schemas (and the Prometheus Operator's) and against what clusters, tutorials and
//! meshes rely on, and against rules that no schema has; and the other files that have a linter: the `Dockerfile`, `proto/`, workflows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use contract::WORKLOADS;
use emojivoto_e2e::manifests::{
    at, documents, entries, find, group, kind, list, name, pods, read, render, selects,
};
use emojivoto_e2e::{root, run, tool};
use rendered::{RENDERED, kustomizations, temporary};
use serde_json::{Value, json};

mod components;
mod contract;
mod faults;
mod namespace;
mod release;
mod rendered;
mod restricted;
mod routes_per_rpc;
mod rules;
mod stores;
mod types;
mod versions;
mod workflows;

/// The workspace's version, which every tag and label has to name.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The oldest and the newest Kubernetes whose schemas the manifests have to meet.
const KUBERNETES: [&str; 2] = ["1.29", "1.37"];

#[test]
fn every_kustomization_renders_and_is_valid() {
    let rendered: Vec<_> = kustomizations().iter().map(|directory| render(directory)).collect();
    are_valid("rendered", &rendered);
}

/// Holds each object of some YAML against its schema, once in however many texts it is.
fn are_valid(what: &str, texts: &[String]) {
    let mut by_schema = BTreeMap::<_, BTreeSet<_>>::new();
    for document in texts.iter().flat_map(|text| text.trim().split("\n---\n")) {
        by_schema.entry(schema(document)).or_default().insert(document.to_owned());
    }
    for (schema, documents) in by_schema {
        let file = temporary(&format!("{what}-{schema:?}.yml"));
        let documents: Vec<_> = documents.into_iter().collect();
        fs::write(&file, documents.join("\n---\n")).expect("it is writable");
        match schema {
            Schema::Kubernetes => {
                for version in KUBERNETES {
                    let said = run(Command::new(tool("kubernetes-validate"))
                        .args(["--strict", "-k", version])
                        .arg(&file));
                    // It lets pass what it does not know.
                    assert!(!said.contains("Couldn't find schema"), "{said}");
                }
            }
            Schema::Operator => {
                run(Command::new(tool("python3"))
                    .arg(root().join("e2e/checks/schemas.py"))
                    .arg("operator")
                    .arg(&file));
            }
            Schema::Types | Schema::ApiServer => (),
        }
    }
}

/// What knows the schema of an object.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Schema {
    Kubernetes,
    /// The Prometheus Operator's.
    Operator,
    /// The module `types`, which looks at these itself.
    Types,
    /// A real API server, which another kind of test asks.
    ApiServer,
}

fn schema(document: &str) -> Schema {
    let document = &documents(document)[0];
    assert!(document["apiVersion"].is_string(), "kustomize puts out an apiVersion: {document}");
    match group(document) {
        "monitoring.coreos.com" => Schema::Operator,
        "gateway.networking.k8s.io" => Schema::ApiServer,
        group if group.ends_with(".istio.io") => Schema::ApiServer,
        _ if types::checked(document).is_some() => Schema::Types,
        _ => Schema::Kubernetes,
    }
}

#[test]
fn the_namespace_comes_first_and_lets_a_mesh_inject() {
    for (directory, documents) in &*RENDERED {
        assert_eq!(
            (kind(&documents[0]), name(&documents[0])),
            ("Namespace", "emojivoto"),
            "{directory:?}"
        );
        for label in at(&documents[0], "/metadata/labels").as_object().into_iter().flatten() {
            assert_ne!(
                label.0, "pod-security.kubernetes.io/enforce",
                "{directory:?}: linkerd-init needs NET_ADMIN"
            );
        }
    }
}

#[test]
fn selectors_find_exactly_the_pods_they_mean() {
    for (directory, documents) in &*RENDERED {
        let workloads: Vec<_> = pods(documents).collect();
        for workload in &workloads {
            let selector = at(workload, "/spec/selector/matchLabels");
            if kind(workload) == "Job" {
                assert!(selector.is_null(), "{directory:?}: the cluster makes a Job's selector");
            } else {
                assert!(
                    selects(selector, workload),
                    "{directory:?}: {} does not find its pods",
                    name(workload)
                );
            }
        }
        for service in documents.iter().filter(|document| kind(document) == "Service") {
            let selected: Vec<_> = workloads
                .iter()
                .filter(|workload| selects(at(service, "/spec/selector"), workload))
                .collect();
            assert_eq!(
                selected.len(),
                1,
                "{directory:?}: {} selects not one workload",
                name(service)
            );
            for port in list(at(service, "/spec/ports")) {
                let container_ports =
                    list(at(selected[0], "/spec/template/spec/containers/0/ports"));
                assert!(
                    container_ports
                        .iter()
                        .any(|p| p["containerPort"] == port["targetPort"]
                            && p["name"] == port["name"]),
                    "{directory:?}: {} port {port} leads nowhere",
                    name(service)
                );
            }
        }
    }
}

#[test]
fn pods_meet_the_restricted_standard_by_themselves() {
    for (directory, documents) in &*RENDERED {
        for workload in pods(documents) {
            let pod = at(workload, "/spec/template/spec");
            assert_eq!(restricted::violations(pod), [""; 0], "{directory:?}: {}", name(workload));
            // Not part of the standard, but promised.
            assert!(
                at(pod, "/securityContext/runAsUser").as_u64() > Some(0),
                "the user is not numeric"
            );
            assert_eq!(at(pod, "/containers/0/securityContext/readOnlyRootFilesystem"), true);
            assert_eq!(pod["automountServiceAccountToken"], false, "nothing here calls the API");
        }
    }
}

#[test]
fn pods_are_probed_on_the_admin_port() {
    for (directory, documents) in &*RENDERED {
        for workload in workloads(documents) {
            let container = at(workload, "/spec/template/spec/containers/0");
            for (probe, path) in [
                ("startupProbe", "/live"),
                ("livenessProbe", "/live"),
                ("readinessProbe", "/ready"),
            ] {
                let expected = json!({"path": path, "port": "prom"});
                assert_eq!(
                    container[probe]["httpGet"],
                    expected,
                    "{directory:?}: {} {probe}",
                    name(workload)
                );
            }
        }
    }
}

#[test]
fn pods_are_bounded() {
    for (directory, documents) in &*RENDERED {
        for workload in pods(documents) {
            let container = at(workload, "/spec/template/spec/containers/0");
            for pointer in [
                "/resources/requests/cpu",
                "/resources/requests/memory",
                "/resources/limits/memory",
            ] {
                assert!(
                    at(container, pointer).is_string(),
                    "{directory:?}: {} lacks {pointer}",
                    name(workload)
                );
            }
        }
    }
}

#[test]
fn the_suite_is_the_base_and_nothing_more() {
    let suite = root().join("k8s");
    // What `k8s` alone had, the variants would lack.
    assert_eq!(render(&suite), render(&suite.join("base")));
    assert_eq!(manifests(&suite), BTreeSet::new(), "manifests belong into the base");
}

#[test]
fn every_file_can_be_applied_alone() {
    let directory = root().join("k8s/base");
    let listed: BTreeSet<String> = list(&kustomization(&directory)["resources"])
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let present = manifests(&directory);
    assert_eq!(present, listed, "files and `resources` of k8s/base/kustomization.yaml differ");

    for file in &listed {
        let documents = documents(&read(&directory.join(file)));
        for document in &documents {
            let expected =
                if kind(document) == "Namespace" { Value::Null } else { json!("emojivoto") };
            assert_eq!(
                at(document, "/metadata/namespace"),
                &expected,
                "{file}: {}",
                name(document)
            );
        }
        // A workload finds all it needs in its own file: the account it runs as and the Service that leads to it.
        for deployment in documents.iter().filter(|document| kind(document) == "Deployment") {
            let pod = at(deployment, "/spec/template/spec");
            if let Some(account) = pod["serviceAccountName"].as_str() {
                find(&documents, "ServiceAccount", account);
                find(
                    &documents,
                    "Service",
                    at(pod, "/containers/0/name").as_str().unwrap_or_default(),
                );
            }
            let image = at(pod, "/containers/0/image").as_str().unwrap_or_default();
            assert!(
                !image.contains([':', '/', '@']),
                "{file}: `{image}`: kustomization.yaml names and tags the images"
            );
        }
    }
}

#[test]
fn every_image_is_tagged_with_the_version_in_one_place() {
    let mut naming = kustomizations();
    naming.retain(|directory| !kustomization(directory)["images"].is_null());
    let base = root().join("k8s/base");
    assert_eq!(naming, [base.as_path()], "images are named in more than one place");
    let kustomization = kustomization(&base);
    let images: BTreeSet<_> = list(&kustomization["images"])
        .iter()
        .map(|i| (i["name"].as_str(), i["newTag"].as_str()))
        .collect();
    assert_eq!(images, WORKLOADS.iter().map(|w| (Some(w.image), Some(VERSION))).collect());

    for (directory, documents) in &*RENDERED {
        for workload in workloads(documents) {
            let image =
                at(workload, "/spec/template/spec/containers/0/image").as_str().unwrap_or_default();
            assert!(image.ends_with(&format!(":{VERSION}")), "{directory:?}: {image}");
            let version = if name(workload) == CANARY { "canary" } else { VERSION };
            assert_eq!(
                at(workload, "/spec/template/metadata/labels/version"),
                version,
                "{directory:?}"
            );
        }
        for document in documents {
            let labels = at(document, "/metadata/labels");
            assert_eq!(
                labels["app.kubernetes.io/part-of"],
                "emojivoto",
                "{directory:?}: {}",
                name(document)
            );
            // A store has the version of its own program.
            if kind(document) != "Namespace" && labels["app.kubernetes.io/component"] != "store" {
                assert_eq!(
                    labels["app.kubernetes.io/version"],
                    VERSION,
                    "{directory:?}: {}",
                    name(document)
                );
            }
        }
    }
    assert!(read(&root().join("Dockerfile")).contains(&format!("\nARG VERSION={VERSION}\n")));
    let compose = read(&root().join("docker-compose.yml"));
    for workload in &WORKLOADS {
        let image = format!("image: {}:${{EMOJIVOTO_TAG:-{VERSION}}}\n", workload.image);
        assert!(compose.contains(&image), "docker-compose.yml lacks `{}`", image.trim());
    }
}

#[test]
fn the_dockerfile_has_no_lint() {
    run(Command::new(tool("hadolint")).arg(root().join("Dockerfile")));
}

/// Cargo wants to see every member, and all that a manifest names, before it compiles any of them.
#[test]
fn the_dockerfile_has_a_stub_of_all_that_manifests_name() {
    let dockerfile = read(&root().join("Dockerfile"));
    let workspace = read(&root().join("Cargo.toml"));
    let members = workspace.lines().find_map(|line| line.strip_prefix("members = ["));
    let members: Vec<_> = members.expect("members").split('"').skip(1).step_by(2).collect();
    assert!(members.len() > 10 && members.contains(&"e2e"), "{members:?}");
    for member in members {
        let copy = format!("\nCOPY {member}/Cargo.toml {member}/\n");
        assert!(dockerfile.contains(&copy), "{}", copy.trim());
        let manifest = read(&root().join(member).join("Cargo.toml"));
        for (section, folder) in
            [("[[test]]\nname = \"", "tests"), ("[[bench]]\nname = \"", "benches")]
        {
            for part in manifest.split(section).skip(1) {
                let name = part.split('"').next().unwrap_or_default();
                let stub = format!(" {member}/{folder}/{name}.rs");
                assert!(dockerfile.contains(&stub), "nothing makes{stub}");
            }
        }
    }
}

#[test]
fn the_protocol_has_no_lint() {
    run(Command::new(tool("buf")).arg("lint").arg(root().join("proto")));
}

/// Where Windows or an archive knows no links, a file with a path in it takes the place of one.
#[test]
fn no_manifest_is_a_symbolic_link() {
    let mut paths = entries(&root().join("k8s"));
    let mut seen = 0;
    while let Some(path) = paths.pop() {
        let metadata = fs::symlink_metadata(&path).expect("it is there");
        assert!(!metadata.is_symlink(), "{}", path.display());
        if metadata.is_dir() {
            paths.extend(entries(&path));
        }
        seen += 1;
    }
    assert!(seen > 20, "{seen} files and folders below k8s");
}

fn kustomization(directory: &Path) -> Value {
    documents(&read(&directory.join("kustomization.yaml"))).remove(0)
}

/// The names of the manifests that lie in a directory.
fn manifests(directory: &Path) -> BTreeSet<String> {
    entries(directory)
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "yml"))
        .map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned())
        .collect()
}

/// A second web, which has another version.
const CANARY: &str = "web-canary";

/// The four of the suite, and a second web where there is one. Whatever else makes pods is a store, and `stores` looks at it.
fn workloads(documents: &[Value]) -> Vec<&Value> {
    let (workloads, others): (Vec<_>, Vec<_>) = pods(documents).partition(|document| {
        let name = name(document);
        WORKLOADS.iter().any(|workload| workload.name == name) || name == CANARY
    });
    let canaries = workloads.iter().filter(|workload| name(workload) == CANARY).count();
    assert_eq!(workloads.len(), WORKLOADS.len() + canaries);
    for other in others {
        let component = &at(other, "/metadata/labels")["app.kubernetes.io/component"];
        assert_eq!(component, "store", "{}", name(other));
    }
    workloads
}
