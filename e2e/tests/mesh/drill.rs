//! What a drill lets its reader do to objects, taken from its text: the tests do the same.

use emojivoto_e2e::{
    manifests::{documents, kind, merge, name, read},
    root,
};
use serde_json::Value;

/// Gives a command of a drill: the one that begins like this.
///
/// # Panics
/// When the drill has none, or one that is not understood.
pub(crate) fn give(drill: &str, command: &str, objects: &mut Vec<Value>) {
    let text = read(&root().join("docs/drills").join(drill));
    let (_, rest) = text
        .split_once(&format!("\n{command}"))
        .unwrap_or_else(|| panic!("{drill} has no command {command:?}"));
    let line = format!("{command}{}", rest.lines().next().unwrap_or_default());
    if let Some(end) = line.strip_prefix("kubectl apply -f - <<") {
        let document =
            rest.split_once('\n').and_then(|(_, rest)| rest.split_once(&format!("\n{end}\n")));
        objects.extend(documents(document.unwrap_or_else(|| panic!("no end: {line}")).0));
        return;
    }
    let words: Vec<_> = line.split_whitespace().skip_while(|word| *word != "emojivoto").collect();
    let [_, verb, of_kind, called, ..] = words[..] else { panic!("not understood: {line}") };
    let of_kind = match of_kind {
        "svc" => "service",
        "grpcroute" | "httproute" | "server" | "virtualservice" => of_kind,
        _ => panic!("not understood: {line}"),
    };
    let object = objects
        .iter_mut()
        .find(|object| kind(object).eq_ignore_ascii_case(of_kind) && name(object) == called)
        .unwrap_or_else(|| panic!("there is no {of_kind} {called}"));
    match (verb, line.split('\'').nth(1)) {
        ("annotate", None) => {
            let annotations = object["metadata"]["annotations"].as_object_mut();
            let annotations = annotations.unwrap_or_else(|| panic!("no annotations: {called}"));
            for word in words[4..].iter().filter(|word| **word != "--overwrite") {
                let (key, value) =
                    word.split_once('=').unwrap_or_else(|| panic!("not set: {line}"));
                annotations.insert(key.to_owned(), value.into());
            }
        }
        ("patch", Some(patch)) => {
            let patch: Value =
                serde_json::from_str(patch).unwrap_or_else(|e| panic!("{line}: {e}"));
            match &patch {
                Value::Array(steps) => steps.iter().for_each(|step| set(object, step)),
                _ => merge(object, &patch),
            }
        }
        _ => panic!("not understood: {line}"),
    }
}

/// A step of a JSON patch that adds something to an object, or replaces it.
fn set(object: &mut Value, step: &Value) {
    let path = step["path"].as_str().expect("a path");
    let (parent, key) = path.rsplit_once('/').expect("an absolute path");
    let parent = object.pointer_mut(parent).unwrap_or_else(|| panic!("there is no {parent}"));
    let there = parent.get(key).is_some();
    assert!(
        matches!((step["op"].as_str(), there), (Some("add"), false) | (Some("replace"), true)),
        "{step}"
    );
    parent[key] = step["value"].clone();
}
