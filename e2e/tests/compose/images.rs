//! The images of a release, under the names of `docker-compose.yml`.

use std::fs;
use std::path::Path;
use std::process::Command;

use emojivoto_e2e::release::{SERVICES, load};
use emojivoto_e2e::{root, run, tool};
use serde_json::Value;

use crate::suite::TAG;

/// The line of the `Dockerfile` where its build stage is over.
const FINAL_STAGES: &str = "\nFROM scratch AS service\n";

pub(super) fn load_all() {
    for service in SERVICES {
        let tagged = format!("emojivoto-{service}:{TAG}");
        run(Command::new(tool("docker")).args(["tag", &load(service), &tagged]));
    }
}

/// The engine's own builder, which is not `BuildKit`, makes the same images of the final stages as a release has, but for the labels
/// that a release adds. Their build stage is left out, for it needs a base image.
pub(super) fn are_the_same_by_the_engines_own_builder() {
    let whole = fs::read_to_string(root().join("Dockerfile")).expect("the Dockerfile is readable");
    let (_, final_stages) =
        whole.split_once(FINAL_STAGES).expect("the Dockerfile has final stages");
    let stage = root().join("target/release-stage"); // by the release
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("Dockerfile.stages");
    let text = format!("FROM scratch AS build\nCOPY out /out\n{FINAL_STAGES}{final_stages}");
    fs::write(&file, text).expect("it is writable");
    for service in SERVICES {
        let image = format!("emojivoto-{service}:{TAG}-engine");
        let mut build = Command::new(tool("docker"));
        build.env("DOCKER_BUILDKIT", "0").args(["build", "--quiet", "--target", service]);
        run(build.args(["--tag", &image, "--file"]).arg(&file).arg(&stage));
        let released = config(&format!("emojivoto-{service}:{TAG}"));
        assert_eq!(config(&image), released, "{service}");
        run(Command::new(tool("docker")).args(["run", "--rm", &image, "--version"]));
        run(Command::new(tool("docker")).args(["image", "rm", &image]));
    }
}

/// How containers of an image are started, without the labels that only a release has.
fn config(image: &str) -> Value {
    let inspected = run(Command::new(tool("docker")).args(["image", "inspect", image]));
    let inspected: Value = serde_json::from_str(&inspected).expect("docker prints JSON");
    let config = &inspected[0]["Config"];
    let mut labels = config["Labels"].clone();
    for added in ["source", "revision", "created"] {
        labels[format!("org.opencontainers.image.{added}")].take();
    }
    let mut kept: Vec<Value> = ["Entrypoint", "Cmd", "Env", "User", "ExposedPorts", "Healthcheck"]
        .iter()
        .map(|key| config[*key].clone())
        .collect();
    kept.push(labels);
    kept.into()
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
