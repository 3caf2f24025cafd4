//! What schemas do not see: references that lead nowhere, names that are not there, policies that shut out those who have to
//! come in, and values and combinations that one of the meshes takes for something else.
//!
//! A rule looks at all that one kustomization renders, and says what breaks it. Each is seen to refuse something bad, which
//! stands beside it.

use std::collections::{BTreeMap, BTreeSet};

use emojivoto_e2e::drills::drills;
use emojivoto_e2e::manifests::{at, documents, group, kind, list, merge, name, pods, render};
use emojivoto_e2e::root;
use serde_json::Value;

use super::rendered::RENDERED;

mod calls;
mod istio;
mod linkerd;
mod policies;
mod references;
mod releases;
mod routes;

/// The API groups of the kinds that the rules are about.
const GATEWAY: &str = "gateway.networking.k8s.io";
const LINKERD: &str = "policy.linkerd.io";
const ISTIO_NETWORKING: &str = "networking.istio.io";
const ISTIO_SECURITY: &str = "security.istio.io";
const ISTIO_TELEMETRY: &str = "telemetry.istio.io";

/// A rule: its name, what it finds, and what it has to find in a suite that these manifests were added to.
pub(super) struct Rule {
    name: &'static str,
    check: fn(&Suite) -> Vec<String>,
    refuses: &'static [Bad],
}

/// Something bad, added to the suite, and a part of what a rule says of it.
struct Bad {
    manifests: &'static str,
    says: &'static str,
}

fn rules() -> impl Iterator<Item = &'static Rule> {
    let all: [&[Rule]; 6] = [
        references::RULES,
        routes::RULES,
        calls::RULES,
        linkerd::RULES,
        istio::RULES,
        releases::RULES,
    ];
    all.into_iter().flatten()
}

/// What breaks the rules in these manifests.
pub(super) fn violations(objects: &[Value]) -> Vec<String> {
    let suite = Suite(objects);
    let broken = |rule: &'static Rule| {
        let found = (rule.check)(&suite);
        found.into_iter().map(|violation| format!("{}: {violation}", rule.name))
    };
    rules().flat_map(broken).collect()
}

#[test]
fn nothing_that_is_rendered_breaks_a_rule() {
    for (directory, objects) in &*RENDERED {
        assert_eq!(violations(objects), [""; 0], "{directory:?}");
    }
}

#[test]
fn each_rule_refuses_what_is_bad_and_no_other_does() {
    let base = documents(&render(&root().join("k8s/base")));
    assert_eq!(violations(&base), [""; 0]);
    let mut names = BTreeSet::new();
    let mut wrong = Vec::new();
    for rule in rules() {
        assert!(names.insert(rule.name), "two rules are called {}", rule.name);
        assert!(!rule.refuses.is_empty(), "{}: was it ever seen to refuse anything?", rule.name);
        for bad in rule.refuses {
            let found = violations(&with(&base, bad.manifests));
            let expected = |violation: &String| {
                violation.starts_with(&format!("{}: ", rule.name)) && violation.contains(bad.says)
            };
            if found.len() != 1 || !found.iter().all(expected) {
                wrong.push(format!("not `{}: … {}`, but {found:#?}", rule.name, bad.says));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the drills write themselves, on top of what they have applied before it.
#[test]
fn what_a_drill_adds_breaks_no_rule() {
    let mut added = 0;
    for drill in drills() {
        let mut directory = None;
        for block in drill.blocks.iter().filter(|block| block.language == "sh") {
            let mut lines = block.command.lines();
            while let Some(line) = lines.next() {
                let applied = line.split("kubectl apply -k ").nth(1);
                if let Some(applied) = applied.and_then(|rest| rest.split([' ', ';']).next()) {
                    directory = Some(root().join(applied));
                }
                let Some((command, end)) = line.split_once("<<") else { continue };
                assert_eq!(command, "kubectl apply -f - ", "{}: what becomes of it?", block.at);
                let end = end.trim_matches('\'');
                let manifests: Vec<_> = lines.by_ref().take_while(|line| *line != end).collect();
                let before = directory.as_ref().expect("something is applied before");
                let all = with(&documents(&render(before)), &manifests.join("\n"));
                assert_eq!(violations(&all), [""; 0], "{}", block.at);
                added += 1;
            }
        }
    }
    assert!(added > 0, "no drill adds anything");
}

/// Adds manifests to others, in the namespace of the suite; one of the same kind and name is changed where they differ.
fn with(base: &[Value], manifests: &str) -> Vec<Value> {
    let mut objects = base.to_vec();
    for new in documents(manifests) {
        let same = |old: &&mut Value| kind(old) == kind(&new) && name(old) == name(&new);
        if let Some(old) = objects.iter_mut().find(same) {
            merge(old, &new);
        } else {
            objects.push(new);
        }
    }
    objects
}

/// All that one kustomization renders.
pub(super) struct Suite<'a>(&'a [Value]);

impl<'a> Suite<'a> {
    /// The objects of a kind.
    fn all(&self, wanted: &str, called: &str) -> impl Iterator<Item = &'a Value> {
        self.0.iter().filter(move |object| group(object) == wanted && kind(object) == called)
    }

    /// The object of a kind and a name.
    fn find(&self, group: &str, kind: &str, called: &str) -> Option<&'a Value> {
        self.all(group, kind).find(|object| name(object) == called)
    }

    /// The name of the namespace that all of it is in.
    fn namespace(&self) -> &'a str {
        self.all("", "Namespace").next().map_or("", name)
    }

    /// Everything that makes pods.
    fn workloads(&self) -> impl Iterator<Item = &'a Value> {
        pods(self.0)
    }

    /// The workloads whose pods a label selector selects; an empty one selects all.
    fn selected(&self, selector: &Value) -> Vec<&'a Value> {
        let labels = |pod: &'a Value| at(pod, "/spec/template/metadata/labels");
        self.workloads().filter(|pod| selects(selector, labels(pod))).collect()
    }

    /// The workloads that a Service leads to.
    fn behind(&self, service: &Value) -> Vec<&'a Value> {
        let selector = serde_json::json!({"matchLabels": at(service, "/spec/selector")});
        self.selected(&selector)
    }

    /// The Service that a host is the name of: `web-svc`, or longer forms of it.
    fn service(&self, host: &str) -> Option<&'a Value> {
        let (called, rest) = host.split_once('.').unwrap_or((host, ""));
        let namespace = self.namespace();
        let forms = [
            String::new(),
            namespace.to_owned(),
            format!("{namespace}.svc"),
            format!("{namespace}.svc.cluster.local"),
        ];
        if forms.iter().any(|form| form == rest) { self.find("", "Service", called) } else { None }
    }

    /// The routes of the Gateway API that hang on a Service, by its name and the number of the port if they name one.
    fn routes_of_services(&self) -> Vec<(&'a Value, &'a str, Option<u64>)> {
        let mut found = Vec::new();
        for route in self.0.iter().filter(|object| is_route(object)) {
            for parent in list(at(route, "/spec/parentRefs")) {
                if let ("Service", Some(service)) = (kind(parent), parent["name"].as_str()) {
                    found.push((route, service, parent["port"].as_u64()));
                }
            }
        }
        found
    }

    /// What the labels and annotations of the namespace say of the mesh that its pods are in.
    fn mesh(&self) -> Option<Mesh> {
        let namespace = self.all("", "Namespace").next()?;
        let metadata = |of: &str, key: &str| at(namespace, "/metadata")[of][key].as_str();
        if metadata("annotations", "linkerd.io/inject") == Some("enabled") {
            Some(Mesh::Linkerd)
        } else if metadata("labels", "istio-injection") == Some("enabled") {
            Some(Mesh::IstioSidecar)
        } else if metadata("labels", "istio.io/dataplane-mode") == Some("ambient") {
            Some(Mesh::IstioAmbient)
        } else {
            None
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mesh {
    Linkerd,
    IstioSidecar,
    IstioAmbient,
}

/// An object, for a message.
fn what(object: &Value) -> String {
    format!("{} {}", kind(object), name(object))
}

fn is_route(object: &Value) -> bool {
    [GATEWAY, LINKERD].contains(&group(object))
        && ["GRPCRoute", "HTTPRoute"].contains(&kind(object))
}

/// Whether a label selector selects what has these labels.
fn selects(selector: &Value, labels: &Value) -> bool {
    let all = selector["matchLabels"].as_object().into_iter().flatten();
    let exact = all.into_iter().all(|(key, value)| &labels[key] == value);
    let expressions = list(&selector["matchExpressions"]);
    exact
        && expressions.iter().all(|expression| {
            let label = &labels[expression["key"].as_str().unwrap_or_default()];
            let listed = list(&expression["values"]).contains(label);
            match expression["operator"].as_str() {
                Some("In") => listed,
                Some("NotIn") => !listed,
                Some("Exists") => !label.is_null(),
                Some("DoesNotExist") => label.is_null(),
                _ => false,
            }
        })
}

/// The ports of a workload's pods, by name and number.
fn ports(workload: &Value) -> Vec<(&str, u64)> {
    let containers = list(at(workload, "/spec/template/spec/containers"));
    let ports = containers.iter().flat_map(|container| list(&container["ports"]));
    ports
        .filter_map(|port| Some((port["name"].as_str()?, port["containerPort"].as_u64()?)))
        .collect()
}

/// The number of a pod's port that is given by its name or its number, if there is one.
fn number(workload: &Value, port: &Value) -> Option<u64> {
    let mut ports = ports(workload).into_iter();
    let same = |(name, number): &(&str, u64)| port == name || port.as_u64() == Some(*number);
    ports.find(same).map(|(_, number)| number)
}

/// The account that a workload's pods run as.
fn account(workload: &Value) -> &str {
    at(workload, "/spec/template/spec/serviceAccountName").as_str().unwrap_or("default")
}

/// The RPCs of both services, as requests name them: `/package.Service/Method`.
fn rpcs() -> &'static BTreeSet<String> {
    static RPCS: std::sync::LazyLock<BTreeSet<String>> = std::sync::LazyLock::new(|| {
        let services = emojivoto_e2e::rpcs::services();
        let path = |service: &str, method: &str| format!("/{service}/{method}");
        let of = |(service, methods): &(String, Vec<String>)| {
            methods.iter().map(|method| path(service, method)).collect::<Vec<_>>()
        };
        services.iter().flat_map(of).collect()
    });
    &RPCS
}

/// Groups what comes in pairs.
fn grouped<K: Ord, V>(pairs: impl IntoIterator<Item = (K, V)>) -> BTreeMap<K, Vec<V>> {
    let mut groups = BTreeMap::<K, Vec<V>>::new();
    for (key, value) in pairs {
        groups.entry(key).or_default().push(value);
    }
    groups
}
