//! The path "Without a cluster" of each drill that has it, walked for real.
//!
//! `cargo run --release` would compile for minutes what the dev profile has compiled already: a `cargo` that stands before the real
//! one on the `PATH` starts that instead, with the same arguments. All else is as for any reader, ports included.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use emojivoto_e2e::{binary, run};

use emojivoto_e2e::drills::{drills, walk};

const PATH: &str = "Without a cluster";

const CARGO: &str = r#"#!/bin/bash
package=emojivoto
while [ $# -gt 0 ]; do
    case $1 in
    -p) package=$2; shift 2 ;;
    --) shift; break ;;
    *) shift ;;
    esac
done
exec "$BINARIES/$package" "$@"
"#;

#[test]
fn what_needs_no_cluster_is_as_the_texts_say() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("locally");
    fs::create_dir_all(&folder).expect("it is writable");
    let cargo = folder.join("cargo");
    fs::write(&cargo, CARGO).expect("it is writable");
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let path = std::env::var("PATH").expect("a PATH");

    let binaries = ["", "-emoji-svc", "-voting-svc", "-web", "-vote-bot"]
        .map(|end| PathBuf::from(binary(&format!("emojivoto{end}"))));
    let binaries = binaries[0].parent().expect("a folder");

    let mut walked = 0;
    // One after the other: they use the same ports.
    for drill in drills().iter().filter(|drill| drill.sections().contains(&PATH)) {
        let output = run(walk()
            .arg(&drill.path)
            .args(["--section", PATH, "--limit", "120"])
            .env("PATH", format!("{}:{path}", folder.display()))
            .env("BINARIES", binaries));
        assert!(output.contains("Everything was as the text says."), "{output}");
        walked += 1;
    }
    assert!(walked >= 2, "only {walked} drills can be walked without a cluster");
}
