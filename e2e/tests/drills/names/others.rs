//! What other programs are asked to do.

use std::path::Path;

use emojivoto_e2e::{
    manifests::{documents, list, read},
    root,
};
use serde_json::{Value, json};

use super::{
    Line, World,
    known::{ISTIOCTL, LINKERD, LINKERD_VIZ},
};
use crate::calls::Call;

impl World {
    pub(super) fn linkerd(&mut self, call: &Call) {
        let line = Line::parse(&call.arguments);
        let words = &line.words;
        let known = match words[..] {
            ["viz", command, ..] => LINKERD_VIZ.contains(&command),
            [command, ..] => LINKERD.contains(&command),
            [] => false,
        };
        if !known {
            return self.complain(format!("no such command: linkerd {}", words.join(" ")));
        }
        self.namespace_is_there(&line);
        if words[..] == ["multicluster", "link-gen"] {
            self.linked.extend(line.flag(&["--cluster-name"]).map(str::to_owned));
        }
        let mut targets: Vec<&str> = words[1..].iter().skip(1).copied().collect();
        targets.extend(line.flag(&["--to"]));
        targets.extend(line.flag(&["--from"]));
        for target in targets.into_iter().filter(|target| target.contains('/')) {
            self.object_is_there(target, line.namespace());
        }
    }

    pub(super) fn istioctl(&mut self, call: &Call) {
        let line = Line::parse(&call.arguments);
        let known = line.words.first().is_some_and(|command| ISTIOCTL.contains(command));
        if !known {
            self.complain(format!("no such command: istioctl {}", line.words.join(" ")));
        }
        self.namespace_is_there(&line);
        for target in line.words.iter().skip(1).filter(|word| word.contains('/')) {
            self.object_is_there(target, line.namespace());
        }
    }

    pub(super) fn curl(&mut self, call: &Call) {
        for url in call.arguments.iter().filter(|argument| argument.contains("localhost:")) {
            let port = url.split("localhost:").nth(1).unwrap_or_default();
            let port: String = port.chars().take_while(char::is_ascii_digit).collect();
            let there = port.parse().is_ok_and(|port: u64| self.ports.contains(&port));
            if !there {
                self.complain(format!("nothing of this drill listens on port {port}"));
            }
        }
    }

    pub(super) fn docker(&mut self, call: &Call) {
        let line = Line::parse(&call.arguments);
        let files: Vec<_> =
            line.flags.iter().filter(|(flag, _)| *flag == "-f").map(|(_, file)| *file).collect();
        for file in &files {
            if !root().join(file).is_file() {
                self.complain(format!("no file `{file}`"));
            }
        }
        let files = if files.is_empty() { vec!["docker-compose.yml"] } else { files };
        let undo = format!("docker compose -f {} down", files.join(" -f "));
        match line.words[..] {
            ["compose", "up", ..] => {
                for file in files.iter().filter(|file| root().join(file).is_file()) {
                    self.published(&root().join(file));
                }
                self.undo.entry(undo).or_default();
            }
            ["compose", "down", ..] => {
                self.undo.remove(&undo);
            }
            _ => {}
        }
    }

    fn published(&mut self, file: &Path) {
        let config = documents(&read(file)).remove(0);
        for service in config["services"].as_object().into_iter().flat_map(|all| all.values()) {
            for port in list(&service["ports"]).iter().filter_map(Value::as_str) {
                let mut parts = port.rsplit(':');
                let host = parts.nth(1).unwrap_or_default();
                self.ports.extend(host.parse::<u64>());
            }
        }
    }

    pub(super) fn cargo(&mut self, call: &Call) {
        let mut words = call.arguments.iter().map(String::as_str);
        let package = words.clone().skip_while(|word| *word != "-p").nth(1).unwrap_or("emojivoto");
        let folder = package.strip_prefix("emojivoto-").unwrap_or("all-in-one");
        if words.next() != Some("run") || !root().join(folder).join("Cargo.toml").is_file() {
            self.complain(format!("no such command: cargo {}", call.arguments.join(" ")));
        }
        if package == "emojivoto" {
            self.ports.extend([8081, 8082, 8083, 8801]);
        }
        let mut flag = "";
        for word in words {
            if flag.ends_with("-port") {
                self.ports.extend(word.parse::<u64>());
            }
            flag = word;
        }
    }

    pub(super) fn k3d(&mut self, call: &Call) {
        let words: Vec<_> = call.arguments.iter().map(String::as_str).collect();
        match words[..] {
            ["cluster", "create", name, ..] => {
                self.undo.entry(format!("k3d cluster delete {name}")).or_default();
                let node = format!("k3d-{name}-server-0");
                self.objects.push(json!({"kind": "Node", "metadata": {"name": node}}));
            }
            ["cluster", "delete", ref names @ ..] => {
                // What was on them is gone as well.
                self.undo.retain(|undo, _| undo.starts_with("k3d"));
                for name in names {
                    self.undo.remove(&format!("k3d cluster delete {name}"));
                }
            }
            _ => {}
        }
    }
}
