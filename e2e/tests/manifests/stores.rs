//! Where votes are kept, and what it takes that several voting pods count together.

use std::collections::BTreeSet;

use emojivoto_e2e::root;
use serde_json::{Value, json};

use super::rendered::RENDERED;
use emojivoto_e2e::manifests::{
    at, documents, env_of, find, kind, list, name, pods, read, selects,
};

/// The kustomizations that keep votes, by what their `VOTES_STORE` begins with.
const KEEPING: [(&str, &str); 8] = [
    ("variants/redis-votes", "redis://"),
    ("variants/durable-votes", "file:"),
    ("shared-votes", "redis://"),
    ("durable-votes", "file:"),
    ("all-of-linkerd", "redis://"),
    ("all-of-istio", "redis://"),
    ("all-of-istio-ambient", "redis://"),
    ("canary-of-linkerd", "file:"),
];

#[test]
fn votes_are_kept_where_the_name_of_the_variant_says() {
    let mut seen = BTreeSet::new();
    for (directory, documents) in &*RENDERED {
        let store = store(documents);
        let promised = KEEPING.iter().find(|(name, _)| directory.ends_with(name));
        match (promised, store) {
            (Some((name, scheme)), Some(store)) => {
                assert!(store.starts_with(scheme), "{directory:?}: {store}");
                seen.insert(name);
            }
            (None, None) => (),
            (_, store) => panic!("{directory:?}: {store:?}"),
        }
    }
    assert_eq!(seen.len(), KEEPING.len());
}

#[test]
fn a_store_on_the_network_is_a_service_that_leads_to_a_pod() {
    for documents in stored_in("redis://") {
        let (host, port) = address(&store(documents).expect("a store"));
        let service = find(documents, "Service", &host);
        let ports = list(at(service, "/spec/ports"));
        assert!(ports.iter().any(|p| p["port"] == port), "{host} has no port {port}");
        assert!(pods(documents).any(|pod| selects(at(service, "/spec/selector"), pod)));
    }
}

/// Otherwise it ends with the container, or cannot be written at all.
#[test]
fn a_store_in_a_file_lies_on_a_claimed_volume_of_one_process_at_a_time() {
    for documents in stored_in("file:") {
        let store = store(documents).expect("a store");
        let file = store.strip_prefix("file:").expect("a file");
        let voting = find(documents, "Deployment", "voting");
        let pod = at(voting, "/spec/template/spec");
        let mut mounts = list(at(pod, "/containers/0/volumeMounts")).iter();
        let mount = mounts.find(|mount| {
            let path = mount["mountPath"].as_str().expect("a path");
            file.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'))
        });
        let mount = mount.unwrap_or_else(|| panic!("{file} lies on no volume"));
        assert_ne!(mount["readOnly"], true);
        let mut volumes = list(&pod["volumes"]).iter();
        let volume = volumes.find(|volume| volume["name"] == mount["name"]).expect("its volume");
        assert!(volume["persistentVolumeClaim"]["claimName"].is_string(), "{volume}");
        assert_eq!(at(pod, "/securityContext/fsGroup"), at(pod, "/securityContext/runAsGroup"));

        assert_eq!(at(voting, "/spec/replicas"), 1);
        assert_eq!(at(voting, "/spec/strategy"), &json!({"type": "Recreate"}));
    }
}

#[test]
fn what_pods_mount_is_there_and_what_is_there_is_mounted() {
    for (directory, documents) in &*RENDERED {
        let mut claimed = BTreeSet::new();
        for workload in pods(documents) {
            let pod = at(workload, "/spec/template/spec");
            let templates = list(at(workload, "/spec/volumeClaimTemplates"));
            let volumes: BTreeSet<_> = list(&pod["volumes"])
                .iter()
                .map(|volume| &volume["name"])
                .chain(templates.iter().map(|template| at(template, "/metadata/name")))
                .map(Value::to_string)
                .collect();
            let mounted = list(at(pod, "/containers/0/volumeMounts")).iter();
            let mounted: BTreeSet<_> = mounted.map(|mount| mount["name"].to_string()).collect();
            assert_eq!(mounted, volumes, "{directory:?}: {}", name(workload));
            for volume in list(&pod["volumes"]) {
                claimed.extend(at(volume, "/persistentVolumeClaim/claimName").as_str());
            }
            // Nobody writes to a ConfigMap.
            let is_kept = |volume: &Value| volume["configMap"].is_null();
            if !templates.is_empty() || list(&pod["volumes"]).iter().any(is_kept) {
                let group = at(pod, "/securityContext/fsGroup").as_u64();
                assert!(group > Some(0), "{directory:?}: {} cannot write", name(workload));
            }
            // They cannot be changed, and a version would.
            for template in templates {
                assert_eq!(at(template, "/metadata/labels"), &Value::Null);
            }
        }
        let claims = documents.iter().filter(|document| kind(document) == "PersistentVolumeClaim");
        assert_eq!(claims.map(name).collect::<BTreeSet<_>>(), claimed, "{directory:?}");
    }
}

#[test]
fn several_voting_pods_share_their_votes() {
    let (mut scaled, mut by_load) = (0, 0);
    for (directory, documents) in &*RENDERED {
        let voting = pods(documents).find(|pod| name(pod) == "voting").expect("voting");
        // A DaemonSet says of itself that its pods count apart.
        if kind(voting) == "DaemonSet" || at(voting, "/spec/replicas") == 1 {
            continue;
        }
        let store = store(documents).unwrap_or_default();
        assert!(store.starts_with("redis://"), "{directory:?}: {store}");
        scaled += 1;
        by_load += usize::from(at(voting, "/spec/replicas").is_null());
    }
    assert_eq!(scaled, stored_in("redis://").len(), "all that can");
    assert_eq!(by_load, 1, "one has an autoscaler");
}

#[test]
fn a_budget_is_of_one_workload_and_lets_a_node_be_drained() {
    let mut found = 0;
    for (_, documents) in &*RENDERED {
        for budget in documents.iter().filter(|document| kind(document) == "PodDisruptionBudget") {
            let selector = at(budget, "/spec/selector/matchLabels");
            let selected: Vec<_> = pods(documents).filter(|pod| selects(selector, pod)).collect();
            let [workload] = selected[..] else { panic!("{budget} is not of one workload") };
            assert_ne!(at(workload, "/spec/replicas"), 1, "{}: one pod", name(workload));
            assert!(at(budget, "/spec/maxUnavailable").as_u64() > Some(0), "{budget}");
            found += 1;
        }
    }
    assert_eq!(found, stored_in("redis://").len());
}

#[test]
fn pods_are_spread_among_their_own_kind() {
    let mut found = 0;
    for (_, documents) in &*RENDERED {
        for workload in pods(documents) {
            let constraints = list(at(workload, "/spec/template/spec/topologySpreadConstraints"));
            for constraint in constraints {
                let selector = at(constraint, "/labelSelector/matchLabels");
                assert!(selects(selector, workload), "{}: {selector}", name(workload));
            }
            found += constraints.len();
        }
    }
    assert_eq!(found, 2 * stored_in("redis://").len(), "nodes and zones");
}

#[test]
fn an_autoscaler_has_a_workload_of_its_own_to_scale() {
    let mut found = 0;
    for (_, documents) in &*RENDERED {
        for scaler in documents.iter().filter(|d| kind(d) == "HorizontalPodAutoscaler") {
            let target = at(scaler, "/spec/scaleTargetRef");
            let called = ["kind", "name"].map(|key| target[key].as_str().expect("a text"));
            let workload = find(documents, called[0], called[1]);
            assert_eq!(workload["apiVersion"], target["apiVersion"]);
            assert_eq!(
                at(workload, "/spec/replicas"),
                &Value::Null,
                "an apply would undo its work"
            );
            for metric in list(at(scaler, "/spec/metrics")) {
                let containers = list(at(workload, "/spec/template/spec/containers"));
                let measured = at(metric, "/containerResource/container");
                assert!(containers.iter().any(|container| &container["name"] == measured));
                let percent = at(metric, "/containerResource/target/averageUtilization");
                assert_eq!(percent, &Value::Null, "of a request that is next to nothing");
            }
            found += 1;
        }
    }
    assert_eq!(found, 1);
}

/// A name with one address for many pods leaves nothing to choose from; one with many, to a client that takes the first,
/// gives all calls to one pod.
#[test]
fn web_chooses_among_pods_exactly_where_a_name_has_several_addresses() {
    let mut choosing = 0;
    for (directory, documents) in &*RENDERED {
        let web = pods(documents).find(|pod| name(pod) == "web").expect("web");
        let (host, port) = address(&setting(web, "VOTINGSVC_HOST").expect("it is required"));
        let service = find(documents, "Service", &host);
        assert!(list(at(service, "/spec/ports")).iter().any(|p| p["port"] == port), "{host}");
        let voting = pods(documents).find(|pod| name(pod) == "voting").expect("voting");
        assert!(selects(at(service, "/spec/selector"), voting), "{host} is not voting");
        let policy = setting(web, "GRPC_LB_POLICY");
        let headless = at(service, "/spec/clusterIP") == "None";
        assert_eq!(policy.as_deref(), headless.then_some("least_request"), "{directory:?}: {host}");
        choosing += usize::from(headless);
    }
    assert_eq!(choosing, 2);
}

#[test]
fn redis_keeps_what_it_has_answered_and_has_room_for_it() {
    for documents in stored_in("redis://") {
        let redis = find(documents, "StatefulSet", "redis");
        assert_eq!(at(redis, "/spec/replicas"), 1, "two would be two stores");
        let container = at(redis, "/spec/template/spec/containers/0");
        assert_eq!(argument(container, "--appendonly"), "yes");
        assert_eq!(argument(container, "--appendfsync"), "always");
        assert_eq!(argument(container, "--maxmemory-policy"), "noeviction");
        let most = argument(container, "--maxmemory");
        let most: u64 = most.strip_suffix("mb").and_then(|n| n.parse().ok()).expect("megabytes");
        let limit = at(container, "/resources/limits/memory").as_str().expect("a limit");
        let limit: u64 = limit.strip_suffix("Mi").and_then(|n| n.parse().ok()).expect("Mi");
        assert!(
            2 * most < limit,
            "{most} twice, while a file is rewritten, and no more than {limit}"
        );
        // The image's working directory, where it writes.
        assert_eq!(at(container, "/volumeMounts/0/mountPath"), "/data");
    }
}

/// `valkey-cli` fails by itself if nobody answers, but upon an error only with `-e`.
#[test]
fn redis_is_not_ready_upon_an_error_but_lives() {
    for documents in stored_in("redis://") {
        let redis = find(documents, "StatefulSet", "redis");
        let container = at(redis, "/spec/template/spec/containers/0");
        for (probe, command) in [
            ("startupProbe", json!(["valkey-cli", "ping"])),
            ("livenessProbe", json!(["valkey-cli", "ping"])),
            ("readinessProbe", json!(["valkey-cli", "-e", "ping"])),
        ] {
            assert_eq!(container[probe]["exec"]["command"], command, "{probe}");
        }
    }
}

#[test]
fn redis_is_one_image_of_one_version_everywhere() {
    for documents in stored_in("redis://") {
        let redis = find(documents, "StatefulSet", "redis");
        let image = at(redis, "/spec/template/spec/containers/0/image").as_str().expect("an image");
        let tag = image.split_once(':').map_or("latest", |(_, tag)| tag);
        let version = tag.split('-').next().expect("a first part");
        let numbers: Vec<_> = version.split('.').map(str::parse::<u16>).collect();
        assert!(numbers.len() == 3 && numbers.iter().all(Result::is_ok), "{image} is not pinned");
        assert_eq!(at(redis, "/spec/template/metadata/labels/version"), version);
        for document in documents {
            let labels = at(document, "/metadata/labels");
            if labels["app.kubernetes.io/component"] != "store" {
                continue;
            }
            assert_eq!(labels["app.kubernetes.io/version"], version, "{}", kind(document));
        }
        let compose = documents_of("redis/compose.yml").remove(0);
        assert_eq!(at(&compose, "/services/redis/image"), image, "Compose has another one");
        // The settings that matter are the same, too.
        let arguments = at(redis, "/spec/template/spec/containers/0/args");
        assert_eq!(at(&compose, "/services/redis/command"), arguments);
    }
}

/// Where voting keeps its votes, if not in its memory.
fn store(documents: &[Value]) -> Option<String> {
    setting(pods(documents).find(|pod| name(pod) == "voting").expect("voting"), "VOTES_STORE")
}

fn setting(workload: &Value, wanted: &str) -> Option<String> {
    let (_, value) = env_of(workload).into_iter().find(|(name, _)| name == wanted)?;
    Some(value.as_str().expect("a text").to_owned())
}

/// What the kustomizations render that keep their votes in such a store.
fn stored_in(scheme: &str) -> Vec<&'static [Value]> {
    let mut found = RENDERED.iter().map(|(_, documents)| documents.as_slice()).collect::<Vec<_>>();
    found.retain(|d| store(d).is_some_and(|store| store.starts_with(scheme)));
    assert!(!found.is_empty(), "nothing in {scheme}");
    found
}

/// Host and port of `host:port`, or of a URL.
fn address(of: &str) -> (String, u16) {
    let rest = of.split_once("://").map_or(of, |(_, rest)| rest);
    let (host, port) = rest.rsplit_once(':').unwrap_or_else(|| panic!("{of}: no port"));
    (host.to_owned(), port.parse().unwrap_or_else(|_| panic!("{of}: no number")))
}

/// What follows a flag.
fn argument<'a>(container: &'a Value, flag: &str) -> &'a str {
    let arguments = list(&container["args"]);
    let place = arguments.iter().position(|argument| argument == flag);
    let value = place.and_then(|place| arguments.get(place + 1)).and_then(Value::as_str);
    value.unwrap_or_else(|| panic!("no {flag} in {arguments:?}"))
}

fn documents_of(file: &str) -> Vec<Value> {
    documents(&read(&root().join(file)))
}
