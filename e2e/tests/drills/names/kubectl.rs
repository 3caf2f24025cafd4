//! What kubectl does to a cluster.

use emojivoto_e2e::{
    manifests::{at, documents, kind, list, name, read},
    root,
};
use serde_json::{Value, json};

use super::{
    Line, World, key,
    known::{MESHES, SETTINGS, is_in_a_namespace, kind_of, rendered},
    undo,
};
use crate::calls::Call;

impl World {
    pub(super) fn kubectl(&mut self, call: &Call) {
        let line = Line::parse(&call.arguments);
        self.namespace_is_there(&line);
        let Some((&verb, rest)) = line.words.split_first() else { return };
        match verb {
            "apply" | "delete" | "diff" | "replace" if self.files(verb, &line, &call.input) => {}
            "kustomize" => {
                for folder in rest {
                    self.folder(folder);
                }
            }
            "api-resources" | "config" | "version" => {}
            "create" | "run" | "expose" => self.create(verb, rest, &line),
            "logs" | "exec" | "port-forward" | "attach" => {
                self.one_pod(verb, rest, &line);
            }
            "rollout" | "set" | "autoscale" | "top" if rest.len() > 1 || verb == "top" => {
                self.named(&rest[1..], &line, verb);
                if (verb, rest[0]) == ("set", "env") {
                    self.settings(&rest[1..]);
                }
            }
            "get" | "describe" | "delete" | "label" | "annotate" | "patch" | "scale" | "wait"
            | "edit" => {
                self.named(rest, &line, verb);
                match verb {
                    "delete" => self.delete(rest, line.namespace()),
                    "label" => self.label(rest, line.namespace()),
                    _ => {}
                }
            }
            _ => self.complain(format!("nobody knows what `kubectl {verb}` means here")),
        }
        if let Some(selector) = line.flag(&["-l", "--selector"]) {
            self.selects_something(selector, line.namespace());
        }
        if let Some(container) = line.flag(&["-c", "--container"]) {
            self.container_is_there(container);
        }
    }

    /// `-k` and `-f`; whether there was one.
    fn files(&mut self, verb: &str, line: &Line, input: &str) -> bool {
        let mut found = false;
        for &(flag, value) in &line.flags {
            let objects = match flag {
                "-k" | "--kustomize" => self.folder(value),
                "-f" | "--filename" if value == "-" => self.given(input),
                "-f" | "--filename" if value.contains("://") => Vec::new(),
                "-f" | "--filename" => self.file(value),
                _ => continue,
            };
            found = true;
            for object in objects {
                if verb == "delete" {
                    self.objects.retain(|other| key(other) != key(&object));
                    self.undo.remove(&undo(&object));
                    if kind(&object) == "Namespace" {
                        self.without_namespace(name(&object));
                    }
                } else {
                    self.undo.entry(undo(&object)).or_default();
                    self.objects.retain(|other| key(other) != key(&object));
                    self.objects.push(object);
                }
            }
        }
        found
    }

    fn folder(&mut self, path: &str) -> Vec<Value> {
        let folder = root().join(path);
        if folder.join("kustomization.yaml").is_file() {
            return rendered(&folder);
        }
        self.complain(format!("no kustomization in `{path}`"));
        Vec::new()
    }

    fn file(&mut self, path: &str) -> Vec<Value> {
        let file = root().join(path);
        if !path.starts_with("k8s/") || !file.is_file() {
            self.complain(format!("no file `{path}` below k8s"));
            return Vec::new();
        }
        documents(&read(&file))
    }

    fn create(&mut self, verb: &str, rest: &[&str], line: &Line) {
        if let Some(image) = line.flag(&["--image"]) {
            self.is_an_image(image);
        }
        let (kind, called) = match (verb, rest) {
            ("run", [called, ..]) => ("Pod", *called),
            ("create" | "expose", [kind, called, ..]) => {
                (kind_of(kind).unwrap_or_default(), *called)
            }
            _ => return self.complain(format!("`kubectl {verb}` of what?")),
        };
        let namespace = if is_in_a_namespace(kind) { line.namespace() } else { "" };
        let object = json!({"kind": kind, "metadata": {"name": called, "namespace": namespace}});
        self.undo.entry(undo(&object)).or_default();
        self.objects.push(object);
    }

    /// `logs deploy/web`, `exec deploy/web -- …`, `port-forward svc/web-svc 8081:80`
    fn one_pod(&mut self, verb: &str, rest: &[&str], line: &Line) {
        let Some((&target, ports)) = rest.split_first() else { return };
        let target = if target.contains('/') { target.to_owned() } else { format!("pod/{target}") };
        self.named(&[&target], line, verb);
        if verb != "port-forward" {
            return;
        }
        let (kind, called) = target.split_once('/').expect("it has one");
        for pair in ports {
            let (local, remote) = pair.split_once(':').unwrap_or((pair, pair));
            self.ports.extend(local.parse::<u64>());
            let mesh = MESHES.iter().any(|(namespace, _, name, port)| {
                (*namespace, *name, port.to_string().as_str()) == (line.namespace(), called, remote)
            });
            let pointer = if kind_of(kind) == Some("Service") {
                "/spec/ports"
            } else {
                "/spec/template/spec/containers/0/ports"
            };
            let object = kind_of(kind).and_then(|kind| self.find(kind, line.namespace(), called));
            let number: Option<u64> = remote.parse().ok();
            let there = object.is_some_and(|object| {
                list(at(object, pointer)).iter().any(|port| {
                    ["port", "containerPort"]
                        .iter()
                        .any(|key| number.is_some() && port[*key].as_u64() == number)
                        || port["name"] == remote
                })
            });
            // What `kubectl run` made has ports that nobody declared.
            if !there && !mesh && kind_of(kind) != Some("Pod") {
                self.complain(format!("{target} has no port {remote}"));
            }
        }
    }

    fn delete(&mut self, words: &[&str], namespace: &str) {
        let Some((kinds, names)) = words.split_first() else { return };
        let pairs: Vec<(&str, &str)> = match kinds.split_once('/') {
            Some(_) => words.iter().filter_map(|word| word.split_once('/')).collect(),
            None => names.iter().map(|name| (*kinds, *name)).collect(),
        };
        for (kind, called) in pairs {
            let kind = kind_of(kind).unwrap_or_default();
            let namespace = if is_in_a_namespace(kind) { namespace } else { "" };
            self.objects.retain(|object| key(object) != (kind, namespace, called));
            self.undo.remove(&format!("delete {kind} {namespace} {called}"));
            if kind == "Namespace" {
                self.without_namespace(called);
            }
        }
    }

    /// What is exported has a name in the other cluster.
    fn label(&mut self, words: &[&str], namespace: &str) {
        let [_, name, labels @ ..] = words else { return };
        if labels.contains(&"mirror.linkerd.io/exported=true") {
            for cluster in &self.linked {
                for kind in ["Service", "Endpoints"] {
                    let metadata =
                        json!({"name": format!("{name}-{cluster}"), "namespace": namespace});
                    self.objects.push(json!({"kind": kind, "metadata": metadata}));
                }
            }
        }
    }

    fn without_namespace(&mut self, namespace: &str) {
        self.objects.retain(|object| key(object).1 != namespace);
        self.undo.retain(|undo, _| undo.split(' ').nth(2) != Some(namespace));
    }

    /// `VOTES_ONCE=false`, `VOTES_ONCE-`
    fn settings(&mut self, words: &[&str]) {
        let names = words.iter().filter(|word| !word.contains('/') || word.contains('='));
        for setting in names.filter_map(|word| word.split(['=', '-']).next()) {
            let there = SETTINGS.contains(&format!("`{setting}`"));
            if !there {
                self.complain(format!("README knows no setting {setting}"));
            }
        }
    }
}
