//! Whether what the commands of a drill name is there when they do: files, objects, ports, settings.

use std::collections::{BTreeMap, BTreeSet};

use emojivoto_e2e::manifests::{at, kind, list, name, pods, selects};
use known::{MESHES, WITH_VALUE, is_in_a_namespace, kind_of};
use serde_json::Value;

use crate::calls::Call;
use emojivoto_e2e::drills::Drill;

mod given;
mod known;
mod kubectl;
mod others;

/// What a cluster holds while a drill is walked, as far as the drill knows.
#[derive(Default)]
struct World {
    objects: Vec<Value>,
    /// Local ports that something listens on.
    ports: BTreeSet<u64>,
    /// Clusters whose Services others mirror.
    linked: BTreeSet<String>,
    complaints: Vec<String>,
    /// How to undo what was done, and where that was.
    undo: BTreeMap<String, String>,
}

/// Everything that is wrong with the calls of a drill.
pub(super) fn complaints(drill: &Drill, calls: &[Call]) -> Vec<String> {
    let mut world = World::default();
    for call in calls {
        let block = &drill.blocks[call.block];
        let before = world.complaints.len();
        match call.program.as_str() {
            "kubectl" => world.kubectl(call),
            "linkerd" => world.linkerd(call),
            "istioctl" => world.istioctl(call),
            "curl" => world.curl(call),
            "docker" => world.docker(call),
            "cargo" => world.cargo(call),
            "k3d" => world.k3d(call),
            _ => {}
        }
        for complaint in &mut world.complaints[before..] {
            *complaint = format!("{}: {complaint}", block.at);
        }
        for done in world.undo.values_mut().filter(|done| done.is_empty()) {
            block.at.clone_into(done);
        }
    }
    for (undo, at) in world.undo {
        world.complaints.push(format!("{at}: no “Clean up” undoes it: {undo}"));
    }
    world.complaints
}

/// The words of a command line, and its flags.
struct Line<'a> {
    words: Vec<&'a str>,
    flags: Vec<(&'a str, &'a str)>,
}

impl<'a> Line<'a> {
    fn parse(arguments: &'a [String]) -> Self {
        let (mut words, mut flags) = (Vec::new(), Vec::new());
        let mut rest = arguments.iter().map(String::as_str);
        while let Some(word) = rest.next() {
            if word == "--" {
                break;
            }
            match word.split_once('=') {
                Some((flag, value)) if flag.starts_with("--") => flags.push((flag, value)),
                _ if WITH_VALUE.contains(&word) => flags.push((word, rest.next().unwrap_or(""))),
                _ if word.starts_with("--") => flags.push((word, "")),
                // `-n=x`, `-cweb-svc`
                _ if word.starts_with('-') && word.len() > 2 => {
                    flags.push((&word[..2], word[2..].trim_start_matches('=')));
                }
                _ if word.starts_with('-') => flags.push((word, "")),
                _ => words.push(word),
            }
        }
        Self { words, flags }
    }

    fn flag(&self, names: &[&str]) -> Option<&'a str> {
        self.flags.iter().find(|(flag, _)| names.contains(flag)).map(|(_, value)| *value)
    }

    fn namespace(&self) -> &'a str {
        self.flag(&["-n", "--namespace"]).unwrap_or("default")
    }
}

impl World {
    fn complain(&mut self, complaint: String) {
        self.complaints.push(complaint);
    }

    /// `deploy/web`, `deploy web`, `svc`, `deploy,svc`
    fn named(&mut self, words: &[&str], line: &Line, verb: &str) {
        let mut words = words.iter().copied().filter(|word| !word.is_empty());
        let Some(first) = words.next() else { return };
        if first.contains('/') {
            self.object_is_there(first, line.namespace());
            for word in words.filter(|word| word.contains('/') && !word.contains('=')) {
                self.object_is_there(word, line.namespace());
            }
            return;
        }
        if matches!(verb, "top" | "edges") {
            return;
        }
        let kinds: Vec<_> = first.split(',').collect();
        for kind in &kinds {
            if kind_of(kind).is_none() && *kind != "all" {
                self.complain(format!("`{kind}` is no kind that drills know"));
                return;
            }
        }
        // Labels and annotations are no names.
        for called in words.take_while(|word| !word.contains('=') && !word.ends_with('-')) {
            self.object_is_there(&format!("{}/{called}", kinds[0]), line.namespace());
        }
    }

    fn object_is_there(&mut self, reference: &str, namespace: &str) {
        let (kind, called) = reference.split_once('/').expect("it has one");
        let called = called.split('.').next().expect("a part");
        let Some(kind) = kind_of(kind) else {
            return self.complain(format!("`{kind}` is no kind that drills know"));
        };
        let namespace = if is_in_a_namespace(kind) { namespace } else { "" };
        let mesh =
            MESHES.iter().any(|(n, k, name, _)| (*n, *k, *name) == (namespace, kind, called));
        if !mesh && self.find(kind, namespace, called).is_none() {
            self.complain(format!("no {kind} {called} in the namespace “{namespace}”"));
        }
    }

    fn find(&self, wanted: &str, namespace: &str, called: &str) -> Option<&Value> {
        self.objects.iter().find(|object| key(object) == (wanted, namespace, called))
    }

    fn namespace_is_there(&mut self, line: &Line) {
        if let Some(namespace) = line.flag(&["-n", "--namespace"]) {
            let mesh = MESHES.iter().any(|(other, ..)| *other == namespace);
            // What a drill begins with by deleting it.
            let absent = self.find("Namespace", "", namespace).is_none();
            if absent
                && !mesh
                && namespace != "linkerd"
                && line.flag(&["--ignore-not-found"]).is_none()
            {
                self.complain(format!("no namespace “{namespace}”"));
            }
        }
    }

    fn selects_something(&mut self, selector: &str, namespace: &str) {
        let labels: serde_json::Map<_, _> = selector
            .split(',')
            .filter_map(|pair| pair.split_once('='))
            .map(|(label, value)| (label.to_owned(), value.trim_start_matches('=').into()))
            .collect();
        let labels = Value::Object(labels);
        let in_namespace: Vec<_> =
            self.objects.iter().filter(|object| key(object).1 == namespace).cloned().collect();
        let pods_match = pods(&in_namespace).any(|workload| selects(&labels, workload));
        let object_matches = in_namespace.iter().any(|object| {
            let own = at(object, "/metadata/labels");
            labels
                .as_object()
                .is_some_and(|labels| labels.iter().all(|(k, v)| &own[k.as_str()] == v))
        });
        if !pods_match && !object_matches {
            self.complain(format!("nothing has the labels `{selector}`"));
        }
    }

    fn container_is_there(&mut self, container: &str) {
        let there = pods(&self.objects).any(|workload| {
            list(at(workload, "/spec/template/spec/containers"))
                .iter()
                .any(|c| c["name"] == container)
        });
        // `kubectl run` calls both by one name.
        let there = there || self.objects.iter().any(|o| kind(o) == "Pod" && name(o) == container);
        if !there && !["linkerd-proxy", "istio-proxy"].contains(&container) {
            self.complain(format!("no container {container}"));
        }
    }
}

fn key(object: &Value) -> (&str, &str, &str) {
    (kind(object), at(object, "/metadata/namespace").as_str().unwrap_or_default(), name(object))
}

fn undo(object: &Value) -> String {
    let (kind, namespace, name) = key(object);
    format!("delete {kind} {namespace} {name}")
}
