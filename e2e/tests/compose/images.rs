//! The images of a release, under the names of `docker-compose.yml`.

use std::fs;
use std::path::Path;
use std::process::Command;

use emojivoto_e2e::release::{SERVICES, load};
use emojivoto_e2e::{root, run, tool};

use crate::suite::TAG;

/// The line of the `Dockerfile` where its build stage is over.
const FINAL_STAGES: &str = "\nFROM scratch AS service\n";

pub(super) fn load_all() {
    for service in SERVICES {
        let tagged = format!("emojivoto-{service}:{TAG}");
        run(Command::new(tool("docker")).args(["tag", &load(service), &tagged]));
    }
}

/// What the build stage of the `Dockerfile` copies out of the repository, `.dockerignore` lets through. The stage itself
/// needs a base image, which a test cannot count on.
pub(super) fn sources_are_let_through() {
    let whole = fs::read_to_string(root().join("Dockerfile")).expect("the Dockerfile is readable");
    let (build_stage, _) = whole.split_once(FINAL_STAGES).expect("the Dockerfile has final stages");
    let copies: Vec<_> = build_stage.lines().filter(|line| line.starts_with("COPY ")).collect();
    assert!(copies.len() > 10, "{copies:?}");
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("Dockerfile.sources");
    fs::write(&file, format!("FROM scratch\n{}\n", copies.join("\n"))).expect("it is writable");
    let image = format!("emojivoto-sources:{TAG}");
    let mut build = Command::new(tool("docker"));
    run(build.args(["build", "--quiet", "--tag", &image, "--file"]).arg(&file).arg(root()));
}
