//! The workflows of GitHub, which cannot be run here: what linters say of them, and what we want of them besides.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use emojivoto_e2e::manifests::{at, documents, entries, list, read};
use emojivoto_e2e::{refused, root, run, tool};
use serde_json::{Value, json};

use crate::rendered::temporary;

/// An action that its owner can exchange, and a shell that runs what strangers write.
const BAD: &str = "\
on: pull_request
permissions: {}
jobs:
  greet:
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout@v6
        with:
          persist-credentials: false
      - run: echo '${{ github.event.pull_request.title }}'
";

#[test]
fn no_workflow_has_a_lint() {
    run(actionlint().args(workflows()));
    run(zizmor().args(workflows()).arg(root().join(".github/dependabot.yml")));
}

#[test]
fn the_linters_see_what_is_wrong() {
    let file = temporary("bad.yml");
    fs::write(&file, BAD).expect("it is writable");
    let (said, _) = refused(actionlint().arg(&file));
    assert!(said.contains("is potentially untrusted"), "{said}");
    let (said, _) = refused(zizmor().arg(&file));
    for rule in ["[unpinned-uses]", "[template-injection]"] {
        assert!(said.contains(rule), "{rule}: {said}");
    }
}

#[test]
fn actions_are_pinned_by_hash_and_say_their_version() {
    let mut seen = 0;
    for file in workflows() {
        let text = read(&file);
        for action in actions(&workflow(&text)) {
            assert!(is_pinned(&text, &action), "{}: {action}", file.display());
            seen += 1;
        }
    }
    assert!(seen > 0, "no workflow uses an action");
}

#[test]
fn a_tag_a_short_hash_or_no_version_is_not_pinned() {
    let hash = "0123456789abcdef0123456789abcdef01234567";
    for (action, comment, expected) in [
        (format!("a/b@{hash}"), " # v1.2.3", true),
        (format!("a/b@{hash}"), " # newest", false),
        (format!("a/b@{hash}"), "", false),
        (format!("a/b@{}", &hash[1..]), " # v1.2.3", false),
        ("a/b@v1.2.3".to_owned(), " # v1.2.3", false),
    ] {
        let text = format!("steps:\n  - uses: {action}{comment}\n");
        assert_eq!(is_pinned(&text, &action), expected, "{text}");
    }
    assert_eq!(actions(&workflow(BAD)), ["actions/checkout@v6"]);
}

#[test]
fn only_jobs_have_permissions() {
    for file in workflows() {
        let workflow = workflow(&read(&file));
        assert_eq!(workflow["permissions"], json!({}), "{}", file.display());
        for (name, job) in jobs(&workflow) {
            assert!(job["permissions"].is_object(), "{}: {name}", file.display());
        }
    }
}

#[test]
fn ci_runs_the_gate_and_nothing_else() {
    let ci = workflow(&read(&root().join(".github/workflows/ci.yml")));
    assert_eq!(ci["on"], json!({"pull_request": null, "push": {"branches": ["main"]}}));
    let jobs = jobs(&ci);
    assert_eq!(jobs.len(), 1);
    let (_, gate) = jobs[0];
    assert_eq!(gate["permissions"], json!({"contents": "read"}));
    assert_eq!(gate["timeout-minutes"], 90);
    let [checkout, command] = list(&gate["steps"]) else {
        panic!("other than two steps: {gate}");
    };
    let action = checkout["uses"].as_str().unwrap_or_default();
    assert!(action.starts_with("actions/checkout@"), "{action}");
    assert_eq!(checkout["with"], json!({"persist-credentials": false}));
    assert_eq!(command, &json!({"run": ".ci/run"}));
}

#[test]
fn a_release_is_made_by_make_for_both_architectures() {
    let release = workflow(&read(&root().join(".github/workflows/release.yml")));
    assert_eq!(release["on"], json!({"push": {"tags": ["v*"]}, "workflow_dispatch": null}));
    let gate = at(&release, "/jobs/gate/steps/1");
    assert_eq!(*gate, json!({"run": ".ci/run"}));
    let files = at(&release, "/jobs/files");
    assert_eq!(files["permissions"], json!({"contents": "read"}), "no more while it compiles");
    assert_eq!(*at(files, "/strategy/matrix/runner"), json!(["ubuntu-24.04", "ubuntu-24.04-arm"]));
    let publish = at(&release, "/jobs/publish");
    assert_eq!(publish["needs"], json!(["gate", "files"]));
    assert_eq!(publish["if"], "github.event_name == 'push'", "by hand, it is a rehearsal");
    let tried = at(&release, "/jobs/try");
    assert_eq!(tried["needs"], "publish");
    assert_eq!(*at(tried, "/strategy/matrix/runner"), *at(files, "/strategy/matrix/runner"));
    assert_eq!(tried["permissions"], json!({"contents": "read", "packages": "read"}));

    let made = |job: &Value| -> Vec<String> {
        let commands = list(&job["steps"]).iter().filter_map(|step| step["run"].as_str());
        let words = commands.flat_map(str::lines).filter_map(|line| line.split_once("make "));
        let targets = words.filter_map(|(_, rest)| {
            rest.split_whitespace().find(|word| !word.starts_with('-')).map(str::to_owned)
        });
        targets.collect()
    };
    assert_eq!(made(files), ["release-notes", "release", "release-check"]);
    assert_eq!(made(publish), ["release-gather", "release-push", "release-sign", "release-notes"]);
    assert_eq!(made(tried), ["release-try"]);
    let rules = read(&root().join("release/release.mk"));
    for target in [files, publish, tried].into_iter().flat_map(made) {
        let is_there = rules.lines().any(|line| {
            line.strip_prefix(target.as_str()).is_some_and(|rest| rest.starts_with(':'))
        });
        assert!(is_there, "{target} is no target");
    }
}

fn workflows() -> Vec<PathBuf> {
    entries(&root().join(".github/workflows"))
}

fn workflow(text: &str) -> Value {
    documents(text).remove(0)
}

fn jobs(workflow: &Value) -> Vec<(&String, &Value)> {
    workflow["jobs"].as_object().into_iter().flatten().collect()
}

/// What the jobs of a workflow use, be it as a step or as the whole job.
fn actions(workflow: &Value) -> Vec<String> {
    let jobs = jobs(workflow);
    let steps = jobs.iter().flat_map(|(_, job)| list(at(job, "/steps")));
    let all = jobs.iter().map(|(_, job)| *job).chain(steps);
    all.filter_map(|user| user["uses"].as_str()).map(str::to_owned).collect()
}

/// Whether an action is named by the hash of a commit, and its version beside it wherever it is used.
fn is_pinned(text: &str, action: &str) -> bool {
    let hash = action.split_once('@').map_or("", |(_, hash)| hash);
    let versions = || text.lines().filter_map(|line| line.split_once(action)).map(|(_, rest)| rest);
    hash.len() == 40
        && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
        && versions().count() > 0
        && versions().all(|rest| rest.strip_prefix(" # v").is_some_and(is_version))
}

fn is_version(text: &str) -> bool {
    text.split('.').all(|number| number.parse::<u32>().is_ok())
}

/// Without what it would ask if it happened to be there.
fn actionlint() -> Command {
    let mut command = Command::new(tool("actionlint"));
    command.args(["-no-color", "-shellcheck=", "-pyflakes="]);
    command
}

fn zizmor() -> Command {
    let mut command = Command::new(tool("zizmor"));
    command.args(["--offline", "--no-config", "--no-progress", "--color=never"]);
    command
}
