//! What the suite promises by name: to clusters, tutorials and meshes that were built around it.

use std::collections::BTreeSet;

use emojivoto_e2e::root;
use serde_json::{Value, json};

use super::VERSION;
use emojivoto_e2e::manifests::{at, documents, env_of, find, kind, name, render};

/// What each workload looks like from outside.
pub(super) struct Workload {
    pub(super) name: &'static str,
    app: &'static str,
    pub(super) image: &'static str,
    service_account: Option<&'static str>,
    ports: &'static [(&'static str, u16)],
    env: &'static [(&'static str, &'static str)],
}

pub(super) const WORKLOADS: [Workload; 4] = [
    Workload {
        name: "web",
        app: "web-svc",
        image: "emojivoto-web",
        service_account: Some("web"),
        ports: &[("http", 8080), ("prom", 8801)],
        env: &[
            ("WEB_PORT", "8080"),
            ("PROM_PORT", "8801"),
            ("EMOJISVC_HOST", "emoji-svc:8080"),
            ("VOTINGSVC_HOST", "voting-svc:8080"),
        ],
    },
    Workload {
        name: "emoji",
        app: "emoji-svc",
        image: "emojivoto-emoji-svc",
        service_account: Some("emoji"),
        ports: &[("grpc", 8080), ("prom", 8801)],
        env: &[("GRPC_PORT", "8080"), ("PROM_PORT", "8801")],
    },
    Workload {
        name: "voting",
        app: "voting-svc",
        image: "emojivoto-voting-svc",
        service_account: Some("voting"),
        ports: &[("grpc", 8080), ("prom", 8801)],
        env: &[("GRPC_PORT", "8080"), ("PROM_PORT", "8801")],
    },
    Workload {
        name: "vote-bot",
        app: "vote-bot",
        image: "emojivoto-vote-bot",
        service_account: None, // the namespace's default
        ports: &[("prom", 8801)],
        env: &[("WEB_HOST", "web-svc:80"), ("PROM_PORT", "8801")],
    },
];

#[test]
fn the_suite_is_complete_and_nothing_more() {
    let mut expected = BTreeSet::from([
        ("Namespace", "emojivoto"),
        ("Service", "web-svc"),
        ("Service", "emoji-svc"),
        ("Service", "voting-svc"),
        ("Ingress", "web-ingress"),
    ]);
    for workload in &WORKLOADS {
        expected.insert(("Deployment", workload.name));
        expected.extend(workload.service_account.map(|name| ("ServiceAccount", name)));
    }
    let suite = suite();
    assert_eq!(
        suite.iter().map(|document| (kind(document), name(document))).collect::<BTreeSet<_>>(),
        expected
    );
    assert_eq!(suite.len(), expected.len(), "something is there twice");
}

#[test]
fn the_variants_change_the_kinds_they_promise() {
    let kinds = |variant: &str| -> Vec<(String, String)> {
        let documents = documents(&render(&root().join("k8s/variants").join(variant)));
        let workloads =
            documents.iter().filter(|document| !at(document, "/spec/template").is_null());
        let mut kinds: Vec<_> =
            workloads.map(|w| (name(w).to_owned(), kind(w).to_owned())).collect();
        kinds.sort();
        kinds
    };
    let all = |emoji: &str, vote_bot: &str| {
        [("emoji", emoji), ("vote-bot", vote_bot), ("voting", emoji), ("web", emoji)]
            .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
    };
    assert_eq!(kinds("daemonset"), all("DaemonSet", "DaemonSet"));
    assert_eq!(kinds("statefulset"), all("StatefulSet", "StatefulSet"));
    assert_eq!(kinds("vote-bot-job"), all("Deployment", "Job"));

    let job = documents(&render(&root().join("k8s/variants/vote-bot-job")));
    let job = find(&job, "Job", "vote-bot");
    assert!(env_of(job).iter().any(|(name, _)| name == "TTL"), "the Job never ends");
}

#[test]
fn workloads_have_the_names_ports_labels_and_settings_that_others_rely_on() {
    let suite = suite();
    for workload in &WORKLOADS {
        let deployment = find(&suite, "Deployment", workload.name);
        let labels = at(deployment, "/metadata/labels");
        assert_eq!(labels["app.kubernetes.io/name"], workload.name);
        assert_eq!(at(deployment, "/spec/template/metadata/labels/app"), workload.app);

        let pod = at(deployment, "/spec/template/spec");
        assert_eq!(pod["serviceAccountName"], json!(workload.service_account), "{}", workload.name);
        assert_eq!(pod["automountServiceAccountToken"], false, "{}", workload.name);
        assert_eq!(at(pod, "/containers/0/name"), workload.app);
        assert_eq!(at(pod, "/containers/0/image"), &format!("{}:{VERSION}", workload.image));
        assert_eq!(at(pod, "/containers/0/imagePullPolicy"), "IfNotPresent");

        let ports: Vec<Value> = workload
            .ports
            .iter()
            .map(|(name, port)| json!({"name": name, "containerPort": port}))
            .collect();
        assert_eq!(at(pod, "/containers/0/ports"), &json!(ports), "{}", workload.name);

        let env = env_of(deployment);
        for (name, value) in workload.env {
            assert!(
                env.contains(&((*name).to_owned(), json!(value))),
                "{}: {name} is not {value}",
                workload.name
            );
        }
    }
}

#[test]
fn services_have_the_ports_that_others_rely_on() {
    let port = |name: &str, port: u16, protocol: &str| json!({"name": name, "port": port, "targetPort": if port == 80 { 8080 } else { port }, "appProtocol": protocol});
    let grpc = json!([port("grpc", 8080, "kubernetes.io/h2c"), port("prom", 8801, "http")]);
    let suite = suite();
    for (service, ports) in [
        ("web-svc", json!([port("http", 80, "http")])),
        ("emoji-svc", grpc.clone()),
        ("voting-svc", grpc),
    ] {
        let spec = at(find(&suite, "Service", service), "/spec");
        assert_eq!(spec["type"], "ClusterIP");
        assert_eq!(spec["selector"], json!({"app": service}));
        assert_eq!(spec["ports"], ports, "{service}");
    }
}

#[test]
fn the_ingress_leads_every_path_of_any_host_to_web() {
    let suite = suite();
    assert_eq!(
        at(find(&suite, "Ingress", "web-ingress"), "/spec"),
        &json!({"rules": [{"http": {"paths": [{
            "path": "/",
            "pathType": "Prefix",
            "backend": {"service": {"name": "web-svc", "port": {"number": 80}}},
        }]}}]})
    );
}

/// The documents of `kubectl apply -k k8s`.
fn suite() -> Vec<Value> {
    documents(&render(&root().join("k8s")))
}
