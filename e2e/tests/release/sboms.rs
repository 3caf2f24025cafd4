//! The lists of what is linked.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use emojivoto_e2e::release::{arch, files};
use emojivoto_e2e::{root, run, tool};
use serde_json::Value;

use crate::{ARCHIVES, VERSION, unpacked};

/// Where binaries say that code of crates lies, which panics name.
const CRATES: &[u8] = b"/cargo/registry/src/";

#[test]
fn they_are_valid() {
    run(Command::new(tool("python3")).arg(root().join("e2e/checks/sboms.py")).args(paths()));
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
            let names =
                ["tokio-1.", "tonic-0.", "ring-0.17.", "emojivoto-runtime-", "glibc-2.", "rust-1."];
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

#[test]
fn they_say_when_but_not_where_they_were_made() {
    for path in paths() {
        let text = fs::read_to_string(&path).expect("it is there");
        assert!(text.contains("\"timestamp\": \"2026-01-02T03:04:05"), "{path}");
        let here = root().to_str().expect("a path in UTF-8");
        assert!(!text.contains(here), "{path}: {here}");
    }
}

fn paths() -> Vec<String> {
    let binaries = ARCHIVES.iter().flat_map(|(_, binaries)| *binaries);
    binaries
        .map(|binary| format!("{}/{binary}-{VERSION}-linux-{}.cdx.json", files().display(), arch()))
        .collect()
}

fn sbom(binary: &str) -> Value {
    let file = files().join(format!("{binary}-{VERSION}-linux-{}.cdx.json", arch()));
    let text = fs::read_to_string(file).expect("it is there");
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
