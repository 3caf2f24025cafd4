//! One version, wherever it stands, and one command that sets it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use emojivoto_e2e::{
    make,
    manifests::{entries, read},
    refusal, root, run,
};

use crate::{VERSION, rendered::temporary};

/// Where `make version` sets it.
const PLACES: [&str; 8] = [
    "Cargo.toml",
    "Dockerfile",
    "README.md",
    "docker-compose.yml",
    "docs",
    "k8s",
    "redis",
    "web/openapi.json",
];

/// What stands before it.
const MARKS: [&str; 11] = [
    "app.kubernetes.io/version: ",
    "newTag: ",
    " version: ",
    " value: ",
    "version = \"",
    "version=",
    "\"version\": \"",
    "EMOJIVOTO_TAG:-",
    "ARG VERSION=",
    "label `version` | `v11` | `",
    "`emojivoto-vote-bot/",
];

fn files(place: &Path) -> Vec<PathBuf> {
    if place.is_dir() {
        entries(place).iter().flat_map(|entry| files(entry)).collect()
    } else {
        vec![place.to_owned()]
    }
}

/// Lines of these places that have a text, with what stands before it.
fn lines_with(root: &Path, text: &str) -> Vec<(PathBuf, String)> {
    let files = PLACES.iter().flat_map(|place| files(&root.join(place)));
    let mut found = Vec::new();
    for file in files {
        let Ok(content) = fs::read_to_string(&file) else { continue }; // a picture
        for line in content.lines() {
            for (at, _) in line.match_indices(text) {
                found.push((file.clone(), line[..at].to_owned()));
            }
        }
    }
    found
}

#[test]
fn nothing_else_has_the_version_of_the_suite() {
    let found = lines_with(root(), VERSION);
    assert!(found.len() > 100, "{}", found.len());
    for (file, before) in found {
        let is_image = before.rsplit_once("emojivoto-").is_some_and(|(_, name)| {
            matches!(name, "emoji-svc:" | "voting-svc:" | "web:" | "vote-bot:")
        });
        let is_ours = is_image || MARKS.iter().any(|mark| before.ends_with(mark));
        assert!(is_ours, "{}: {before}{VERSION} would change with `make version`", file.display());
    }
}

#[test]
fn the_changelog_begins_with_it() {
    let changelog = read(&root().join("CHANGELOG.md"));
    let first = changelog.lines().find_map(|line| line.strip_prefix("## [")).expect("a version");
    assert!(first.starts_with(&format!("{VERSION}] - ")), "{first}");
}

fn copy() -> PathBuf {
    let copy = temporary("version");
    let _ = fs::remove_dir_all(&copy);
    fs::create_dir_all(&copy).expect("a directory");
    emojivoto_e2e::copy(&copy);
    copy
}

#[test]
fn one_command_sets_it_everywhere() {
    let copy = copy();
    let set = |version: &str| {
        let mut make = make("version");
        make.arg(format!("V={version}")).current_dir(&copy);
        make
    };
    for wrong in ["", "latest", "1.2", "v1.2.3", "1.02.3", "1.2.3-01", "1.2.3-rc..1"] {
        let said = refusal(&mut set(wrong));
        assert!(said.contains("make version V="), "{wrong}: {said}");
    }
    let lock = read(&copy.join("Cargo.lock"));
    run(&mut set("99.8.7"));
    assert_eq!(lines_with(&copy, VERSION), [], "left behind");
    assert_eq!(lines_with(&copy, "99.8.7").len(), lines_with(root(), VERSION).len());
    let ours = |lock: &str, version: &str| {
        lock.split("[[package]]")
            .filter(|package| {
                package.contains("name = \"emojivoto")
                    && package.contains(&format!("version = \"{version}\""))
            })
            .count()
    };
    let locked = read(&copy.join("Cargo.lock"));
    assert_eq!(ours(&locked, "99.8.7"), ours(&lock, VERSION));
    let others = |lock: &str| {
        let lines = lock.lines().filter(|line| !line.contains("99.8.7") && !line.contains(VERSION));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(others(&locked), others(&lock), "nothing else is another version");
    fs::remove_dir_all(copy).expect("it was there");
}
