//! The files of a release, as `make` writes them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use emojivoto_e2e::manifests::{at, documents, kind, list, name, pods, read, render};
use emojivoto_e2e::{names, refusal, root, run, tool};
use serde_json::{Value, json};

use super::contract::WORKLOADS;
use super::rendered::temporary;
use super::{VERSION, are_valid};

/// The files that a cluster takes, and what they are made of.
const MANIFESTS: [(&str, &str); 3] = [
    ("emojivoto-linkerd.yml", "k8s/variants/linkerd"),
    ("emojivoto-redis.yml", "k8s/variants/redis-votes"),
    ("emojivoto.yml", "k8s"),
];

/// With a port and everything else that a registry allows.
const PREFIX: &str = "registry.example:5000/some-body/emoji_voto";

#[test]
fn manifests_are_what_kustomize_renders_with_published_images() {
    let folder = fresh("release-manifests");
    run(make("release-manifests", &folder).arg(format!("IMAGES={PREFIX}")));
    assert_eq!(names(&folder), MANIFESTS.map(|(file, _)| file));

    let texts = MANIFESTS.map(|(file, _)| read(&folder.join(file)));
    are_valid("release", &texts);
    for ((file, source), text) in MANIFESTS.iter().zip(&texts) {
        assert!(text.starts_with(&format!("# emojivoto {VERSION}. ")), "{file}: {text}");
        assert!(text.contains(&format!("\n#     kubectl apply -f {file}\n")), "{file}: {text}");

        let released = documents(text);
        assert_eq!((kind(&released[0]), name(&released[0])), ("Namespace", "emojivoto"), "{file}");
        let mut expected = documents(&render(&root().join(source)));
        expected.iter_mut().for_each(publish);
        assert_eq!(released, expected, "{file}");
        for workload in &WORKLOADS {
            let image = format!("{PREFIX}/{}:{VERSION}", workload.image);
            let container = pods(&released)
                .map(|pod| at(pod, "/spec/template/spec/containers/0"))
                .find(|container| container["image"] == image)
                .unwrap_or_else(|| panic!("{file}: nobody runs {image}"));
            // What a tag with a version names does not change.
            assert_eq!(container["imagePullPolicy"], "IfNotPresent", "{file}: {image}");
        }
        assert!(images(&released).all(|image| !image.starts_with("emojivoto-")), "{file}");
    }
    let redis = documents(&texts[1]);
    assert!(images(&redis).any(|image| image.starts_with("valkey/valkey:")), "it is not ours");
}

#[test]
fn manifests_need_to_know_where_images_are_published() {
    let folder = fresh("release-refused");
    for prefix in [
        "",
        "Registry.example/emojivoto",
        "https://registry.example/emojivoto",
        "registry.example/emojivoto/",
        "registry.example//emojivoto",
        "registry.example/emojivoto:12.0.0",
        "registry.example/emoji voto",
        "registry.example/emoji|voto",
        "registry.example/emoji&voto",
        "registry.example/emoji'voto",
        "registry.example/`id`",
        "registry.example\nregistry.example",
    ] {
        let said = refusal(make("release-manifests", &folder).arg(format!("IMAGES={prefix}")));
        assert!(said.contains("IMAGES=registry.example/emojivoto"), "{prefix:?}: {said}");
    }
    let said = refusal(&mut make("release-manifests", &folder));
    assert!(said.contains("IMAGES=registry.example/emojivoto"), "{said}");
    assert!(!folder.exists(), "nothing is written");
}

#[test]
fn dashboards_and_rules_fit_into_what_others_have() {
    let folder = fresh("release-dashboards");
    run(make("release-dashboards", &folder).arg("SOURCE=https://code.example/emojivoto"));
    assert_eq!(names(&folder), ["emojivoto-dashboard.json", "emojivoto-rules.yml"]);

    let text = read(&folder.join("emojivoto-dashboard.json"));
    let dashboard: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    assert!(dashboard["id"].is_null(), "another Grafana has another number for it");
    let [variable] = list(at(&dashboard, "/templating/list")) else { panic!("{text}") };
    assert_eq!(
        (&variable["name"], &variable["type"], &variable["query"], &variable["current"]["value"]),
        (&json!("datasource"), &json!("datasource"), &json!("prometheus"), &json!("default"))
    );
    let source = json!({"type": "prometheus", "uid": "${datasource}"});
    let panels = list(&dashboard["panels"]);
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        assert_eq!(panel["datasource"], source, "{}", panel["title"]);
    }
    // Nothing in a panel names a data source in another way: not a query, and not a link.
    assert!(panels.len() > 20, "{text}");
    let mut uids = Vec::new();
    for panel in panels {
        values_of("uid", panel, &mut uids);
    }
    assert!(uids.iter().all(|uid| *uid == &source["uid"]), "{uids:?}");

    let rules = folder.join("emojivoto-rules.yml");
    let text = read(&rules);
    let runbooks: Vec<_> = text.lines().filter(|line| line.contains("runbook")).collect();
    assert!(runbooks.len() > 5, "{text}");
    let address =
        format!("runbook_url: https://code.example/emojivoto/blob/v{VERSION}/docs/drills/");
    assert!(runbooks.iter().all(|line| line.trim().starts_with(&address)), "{runbooks:#?}");
    run(Command::new(tool("promtool"))
        .args(["check", "rules", "--lint=all", "--lint-fatal"])
        .arg(rules));
}

/// A folder that is not there, whatever a former run left; `make` makes it.
fn fresh(name: &str) -> PathBuf {
    let folder = temporary(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("it is ours");
    }
    folder
}

fn make(target: &str, out: &Path) -> Command {
    let mut make = emojivoto_e2e::make(target);
    make.arg(format!("OUT={}", out.display())).env_remove("IMAGES");
    make
}

/// Has an object pull our images from where they are published.
fn publish(object: &mut Value) {
    let containers = object.pointer_mut("/spec/template/spec/containers");
    for container in containers.and_then(Value::as_array_mut).into_iter().flatten() {
        let image = container["image"].as_str().unwrap_or_default();
        if image.starts_with("emojivoto-") {
            container["image"] = json!(format!("{PREFIX}/{image}"));
        }
    }
}

/// The images of all containers, also of those that come before the others.
fn images(objects: &[Value]) -> impl Iterator<Item = &str> {
    let containers = pods(objects).flat_map(|object| {
        let pod = at(object, "/spec/template/spec");
        list(&pod["initContainers"]).iter().chain(list(&pod["containers"]))
    });
    containers.filter_map(|container| container["image"].as_str())
}

/// What stands at this key, however deep.
fn values_of<'a>(key: &str, value: &'a Value, found: &mut Vec<&'a Value>) {
    if let Some(object) = value.as_object() {
        found.extend(object.get(key));
    }
    let inner = value.as_object().into_iter().flat_map(|object| object.values());
    for value in inner.chain(list(value)) {
        values_of(key, value, found);
    }
}
