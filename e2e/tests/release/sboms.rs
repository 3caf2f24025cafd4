//! The lists of what is linked.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use emojivoto_e2e::release::{REVISION, SOURCE, TIME, VERSION, file};
use emojivoto_e2e::{at_the_root, names, root, run, tool};
use serde_json::Value;

use crate::{ARCHIVES, empty, unpacked};

/// Where binaries say that code of crates lies, which panics name.
const CRATES: &[u8] = b"/cargo/registry/src/";

#[test]
fn they_are_valid() {
    let binaries = ARCHIVES.iter().flat_map(|(_, binaries)| *binaries);
    let files = binaries.map(|binary| file(binary, "cdx.json"));
    run(Command::new(tool("python3")).arg(root().join("e2e/checks/sboms.py")).args(files));
}

#[test]
fn they_list_what_is_linked_and_nothing_else() {
    for (archive, binaries) in ARCHIVES {
        let folder = unpacked(archive);
        for binary in binaries {
            let sbom = sbom(binary);
            let listed = listed(&sbom);
            // What is known of the binary by other means: all that names itself in there.
            let bytes = fs::read(folder.join(binary)).expect("it is there");
            let linked = crates_named(&bytes);
            assert!(linked.len() > 30, "{binary}: {linked:?}");
            let missing: Vec<_> = linked.difference(&listed).collect();
            assert!(missing.is_empty(), "{binary}: {missing:?}");

            let has = |name: &str| listed.iter().any(|found| found.starts_with(name));
            let names = [
                "tokio-1.",
                "tonic-0.",
                "ring-0.17.",
                "emojivoto-runtime-",
                "libc6-dev-2.",
                "rust-1.",
            ];
            for name in names {
                assert!(has(name), "{binary}: {name}");
            }
            // Macros, which run in the compiler; what build scripts and tests use; the mock of another service.
            for name in
                ["serde_derive-", "syn-", "protox-", "cc-", "proptest-", "thirtyfour-", "zlib-rs-"]
            {
                assert!(!has(name), "{binary}: {name}");
            }
            assert_eq!(has("redis-"), matches!(*binary, "emojivoto" | "emojivoto-voting-svc"));
            assert!(has("askama-"), "{binary}: the live page is in all of them");
        }
    }
}

/// From a copy of the sources whose folder has a name that an address has to escape.
#[test]
fn they_say_when_but_not_where_they_were_made() {
    let copy = empty("another folder");
    emojivoto_e2e::copy(&copy);
    let (triple, binary) =
        (format!("{}-unknown-linux-gnu", std::env::consts::ARCH), "emojivoto-web");
    let path = std::env::var("PATH").expect("there is a PATH");
    run(at_the_root(&copy.join("release/sbom"))
        .args([&triple, "target/sboms", binary])
        .current_dir(&copy)
        .env("PATH", format!("{}:{path}", root().join("target/tools/bin").display()))
        .env("SOURCE", SOURCE)
        .env("REVISION", REVISION)
        .env("SOURCE_DATE_EPOCH", TIME.to_string()));
    let made = |file: &Path| {
        fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
    };
    let there = made(&copy.join("target/sboms/emojivoto-web.cdx.json"));
    let here = file(binary, "cdx.json");
    assert!(there == made(&here), "another one than {}", here.display());
    assert!(there.contains("\"timestamp\": \"2026-01-02T03:04:05"), "{there}");
    for (at, _) in there.match_indices("file://") {
        assert!(there[at..].starts_with("file:///emojivoto/"), "{}", &there[at..at + 100]);
    }
    let left: Vec<_> =
        names(&copy.join("web")).into_iter().filter(|name| name.contains("json")).collect();
    assert_eq!(left, ["openapi.json"], "what is written in between is taken away");
}

#[test]
fn each_crate_in_them_has_a_licence_beside_them() {
    for (archive, binaries) in ARCHIVES {
        let licences = unpacked(archive).join("licenses/CRATES.txt");
        let licences = fs::read_to_string(licences).expect("it is there");
        for binary in binaries {
            let sbom = sbom(binary);
            let components = sbom["components"].as_array().expect("a list of components");
            let crates = components.iter().filter(|one| {
                let purl = one["purl"].as_str().unwrap_or_default();
                purl.starts_with("pkg:cargo/") && !purl.contains("vcs_url")
            });
            let mut seen = 0;
            for one in crates {
                let (name, version) = (one["name"].as_str(), one["version"].as_str());
                let line =
                    format!("\n    {} {} <", name.expect("a name"), version.expect("a version"));
                let bare = line.replace(" <", "\n");
                assert!(licences.contains(&line) || licences.contains(&bare), "{binary}:{line}");
                seen += 1;
            }
            assert!(seen > 90, "{binary}: {seen}");
        }
    }
}

fn sbom(binary: &str) -> Value {
    let text = fs::read_to_string(file(binary, "cdx.json")).expect("it is there");
    let sbom: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    assert_eq!(sbom["metadata"]["component"]["name"], binary);
    assert_eq!(sbom["metadata"]["component"]["version"], VERSION);
    sbom
}

/// Names and versions of an SBOM's components, all of which have a licence.
fn listed(sbom: &Value) -> BTreeSet<String> {
    let components = sbom["components"].as_array().expect("a list of components");
    let text =
        |component: &Value, key: &str| component[key].as_str().unwrap_or_default().to_owned();
    components
        .iter()
        .map(|component| {
            assert!(component["licenses"][0].is_object(), "{component}");
            assert!(text(component, "purl").starts_with("pkg:"), "{component}");
            format!("{}-{}", text(component, "name"), text(component, "version"))
        })
        .collect()
}

/// Names and versions of the crates that a binary names the sources of: `…/src/index…/tokio-1.54.0/src/…`.
fn crates_named(bytes: &[u8]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, window) in bytes.windows(CRATES.len()).enumerate() {
        if window == CRATES {
            let rest = &bytes[at + CRATES.len()..];
            let mut folders = rest.split(|byte| *byte == b'/').skip(1);
            let name = folders.next().unwrap_or_default();
            found.insert(String::from_utf8_lossy(name).into_owned());
        }
    }
    found
}
