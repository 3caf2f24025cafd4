//! Packs static binaries into the images that `docker-compose.yml` names.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use emojivoto_e2e::{cargo, root, run, tool};

use crate::suite::{REVISION, SERVICES, TAG};

/// The line of the `Dockerfile` where its build stage is over.
const FINAL_STAGES: &str = "\nFROM scratch AS service\n";

pub(super) fn build() {
    let docker = tool("docker");
    run(Command::new(&docker).arg("info")); // an engine has to answer, or minutes of compiling are in vain

    let context = Path::new(env!("CARGO_TARGET_TMPDIR")).join("images");
    fs::create_dir_all(&context).expect("the temporary directory is writable");
    compile(&context);
    fs::write(context.join("Dockerfile"), dockerfile()).expect("the context is writable");

    for service in SERVICES {
        let image = format!("emojivoto-{service}:{TAG}");
        run(Command::new(&docker)
            .args(["build", "--quiet", "--target", service, "--tag", &image])
            .arg(&context));
        let binary = format!("emojivoto-{service}");
        says_its_version(&docker, &binary, &[&image]);
        answers_to_the_name(&docker, &binary, &image);
    }
    // As the original's does, so that manifests which start the bot from there still do.
    answers_to_the_name(&docker, "emojivoto-vote-bot", &format!("emojivoto-web:{TAG}"));
    let [web, bot] = ["web", "vote-bot"].map(|service| size(&docker, service));
    assert!(web < 2 * bot, "{web} bytes hold two binaries, one of which has {bot}");
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

/// The size of an image, in bytes.
fn size(docker: &Path, service: &str) -> u64 {
    let image = format!("emojivoto-{service}:{TAG}");
    let size =
        run(Command::new(docker).args(["image", "inspect", "--format", "{{.Size}}", &image]));
    size.trim().parse().expect("a number of bytes")
}

/// As `command: ["emojivoto-web"]` in a pod, which leaves the entry point out, and in Compose, which does not.
fn answers_to_the_name(docker: &Path, binary: &str, image: &str) {
    says_its_version(docker, binary, &["--entrypoint", binary, image]);
    says_its_version(docker, binary, &[image, binary]);
}

fn says_its_version(docker: &Path, binary: &str, container: &[&str]) {
    let mut command = Command::new(docker);
    command.args(["run", "--rm"]).args(container).arg("--version");
    let expected = format!("{binary} {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(run(&mut command), expected, "{command:?}");
}

/// Compiles the services as the `Dockerfile` does, but with the profile that takes less time.
fn compile(context: &Path) {
    let target = run(Command::new("rustc").args(["--print", "host-tuple"]));
    let target = target.trim();
    let directory = root().join("target/static");
    run(cargo()
        .env("EMOJIVOTO_REVISION", REVISION)
        .env("RUSTFLAGS", "-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs")
        .args(["build", "--locked", "--release", "--target", target, "--target-dir"])
        .arg(&directory)
        .args(SERVICES.map(|service| format!("--package=emojivoto-{service}"))));
    fs::create_dir_all(context.join("data")).expect("the context is writable");
    for service in SERVICES {
        let (binary, out) = (format!("emojivoto-{service}"), context.join(service));
        fs::create_dir_all(&out).expect("the context is writable");
        fs::copy(directory.join(target).join("release").join(&binary), out.join(&binary))
            .unwrap_or_else(|e| panic!("{binary}: {e}"));
    }
    let link = context.join("web/emojivoto-vote-bot");
    let _ = fs::remove_file(&link); // of an earlier run
    symlink("emojivoto-web", &link).unwrap_or_else(|e| panic!("{}: {e}", link.display()));
}

/// The final stages of the real `Dockerfile`, which take the binaries from the context instead.
fn dockerfile() -> String {
    let whole = fs::read_to_string(root().join("Dockerfile")).expect("the Dockerfile is readable");
    let start = whole.find(FINAL_STAGES).expect("the Dockerfile has final stages");
    whole[start..].replace("--from=build ", "").replace(" /out/", " ")
}
