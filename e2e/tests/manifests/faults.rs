//! Faults on purpose on Kubernetes: who reads the rules of `k8s/components/faults`, and what these and those of `docs/faults.md`
//! say.

use emojivoto_e2e::manifests::{
    at, documents, env_of, find, kind, list, name, own_kustomization, pods, read, render,
};
use emojivoto_e2e::root;
use emojivoto_runtime::faults::{Rule, parse, places};
use serde_json::{Value, json};

use super::rendered::{RENDERED, temporary};
use super::rules::violations;

/// The containers of those that serve something that rules can be for.
const READERS: [&str; 3] = ["emoji-svc", "voting-svc", "web-svc"];

const FILE: &str = "k8s/components/faults/faults.toml";

#[test]
fn all_that_serve_read_the_rules_whatever_they_are_added_to() {
    let (mut added, mut brought) = (0, 0);
    for (directory, objects) in &*RENDERED {
        let is_there = |of: &Value| kind(of) == "ConfigMap" && name(of) == "faults";
        if objects.iter().any(is_there) {
            read_the_rules(objects, &format!("{directory:?}"));
            brought += 1;
        } else {
            let own = own_kustomization(&temporary("faults"), "", directory, &["faults"]);
            let objects = documents(&render(&own));
            let what = format!("{directory:?} with faults");
            read_the_rules(&objects, &what);
            assert_eq!(violations(&objects), [""; 0], "{what}");
            added += 1;
        }
    }
    assert!(added > 20 && brought > 2, "{added} without it, {brought} with it");
}

fn read_the_rules(objects: &[Value], what: &str) {
    let rules = find(objects, "ConfigMap", "faults");
    assert_eq!(at(rules, "/data"), &json!({"faults.toml": read(&root().join(FILE))}), "{what}");

    let mut readers = Vec::new();
    for workload in pods(objects) {
        let pod = at(workload, "/spec/template/spec");
        let container = at(pod, "/containers/0");
        let called = container["name"].as_str().expect("a name");
        let what = format!("{what}: {}", name(workload));

        let env = env_of(workload);
        let paths: Vec<_> = env.iter().filter(|(name, _)| name == "FAULTS_FILE").collect();
        let volumes: Vec<_> =
            list(&pod["volumes"]).iter().filter(|of| of["name"] == "faults").collect();
        let mounts: Vec<_> =
            list(&container["volumeMounts"]).iter().filter(|of| of["name"] == "faults").collect();
        if READERS.contains(&called) {
            let [(_, path)] = paths[..] else { panic!("{what}: {paths:?}") };
            assert_eq!(path, "/etc/faults/faults.toml", "{what}");
            let volume = json!({"name": "faults", "configMap": {"name": "faults"}});
            assert_eq!(volumes, [&volume], "{what}");
            // With a `subPath`, it would be what it was when the pod started.
            let mount = json!({"name": "faults", "mountPath": "/etc/faults", "readOnly": true});
            assert_eq!(mounts, [&mount], "{what}");
            readers.push(called);
        } else {
            assert!(paths.is_empty() && volumes.is_empty() && mounts.is_empty(), "{what}");
        }
    }
    readers.sort_unstable();
    readers.dedup();
    assert_eq!(readers, READERS, "{what}");
}

/// What is more than lines of plain text, is shown as one line with `\n` in it.
#[test]
fn the_rules_can_be_edited_in_place() {
    let (_, objects) = RENDERED.iter().find(|(of, _)| of.ends_with("shared-votes")).expect("it");
    find(objects, "ConfigMap", "faults"); // under this very name
    let text = read(&root().join(FILE));
    for (index, line) in text.lines().enumerate() {
        let plain = line.chars().all(|c| c == ' ' || c.is_ascii_graphic());
        assert!(plain && !line.ends_with(' '), "{FILE}:{}: {line:?}", index + 1);
        assert!(line.len() <= 80, "{FILE}:{}: wider than a terminal", index + 1);
    }
    assert!(text.ends_with('\n') && !text.starts_with(' '), "{FILE}");
    let own =
        own_kustomization(&temporary("faults-alone"), "", &root().join("k8s/base"), &["faults"]);
    assert!(render(&own).contains("\n  faults.toml: |\n    # "), "kubectl shows no lines");
}

#[test]
fn there_are_no_rules_until_somebody_takes_a_sign_away() {
    let text = read(&root().join(FILE));
    assert_eq!(rules(FILE, &text), []);

    let paragraphs: Vec<_> = text.split("\n\n").collect();
    let is_example = |paragraph: &str| paragraph.lines().any(|line| line == "#[[rule]]");
    let mut names = Vec::new();
    for (index, paragraph) in paragraphs.iter().enumerate() {
        if !is_example(paragraph) {
            assert_eq!(&uncommented(paragraph), paragraph, "no example");
            continue;
        }
        assert!(paragraph.starts_with("# "), "{paragraph}\nsays nothing of what is to be seen");
        let mut one = paragraphs.iter().map(ToString::to_string).collect::<Vec<_>>();
        one[index] = uncommented(paragraph);
        let [rule] = &rules(paragraph, &one.join("\n\n"))[..] else { panic!("{paragraph}") };
        names.push(rule.name.clone());
    }
    assert_eq!(names.len(), 3, "{names:?}");
    let all = rules(FILE, &uncommented(&text)).into_iter().map(|rule| rule.name);
    assert_eq!(all.collect::<Vec<_>>(), names, "all at once");
}

/// Text with its rules, where `#` stands right before them. Before words there is a space.
fn uncommented(text: &str) -> String {
    let lines = text.split('\n').map(|line| match line.strip_prefix('#') {
        Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => rest,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_examples_of_the_text_are_rules() {
    let text = read(&root().join("docs/faults.md"));
    let mut effects = Vec::new();
    for example in text.split("\n\n").filter(|block| block.starts_with("    [[rule]]\n")) {
        effects.extend(rules(example, example).into_iter().map(|rule| {
            let effect = rule.effect.as_ref().map(std::mem::discriminant);
            (effect, rule.delay.as_ref().map(std::mem::discriminant))
        }));
    }
    for index in (1..effects.len()).rev() {
        if effects[..index].contains(&effects[index]) {
            effects.remove(index);
        }
    }
    // A failure, a reset, a stall, two limits, and four kinds of delay.
    assert!(effects.len() >= 9, "docs/faults.md shows only {}", effects.len());
}

fn rules(what: &str, text: &str) -> Vec<Rule> {
    parse(text, &places()).unwrap_or_else(|invalid| panic!("{what}\n{invalid}"))
}
