//! A release as `make release` makes it, but for the profile that the binaries are compiled with: `release` takes less time.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::{make, run, target, tool};

/// The version of the suite.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Where the images are said to be published.
pub const IMAGES: &str = "registry.example/emojivoto";

/// Where the sources are.
pub const SOURCE: &str = "https://code.example/emojivoto";

/// What they are: the same for each commit, or each would compile everything again.
pub const REVISION: &str = "e2e-revision";

/// When they were committed: 2026-01-02, 03:04:05 UTC.
pub const TIME: u64 = 1_767_323_045;

/// The services that have an image each.
pub const SERVICES: [&str; 4] = ["emoji-svc", "voting-svc", "web", "vote-bot"];

/// The files of a release.
///
/// # Panics
/// When it cannot be made.
pub fn files() -> &'static Path {
    static FILES: LazyLock<PathBuf> = LazyLock::new(|| {
        // An engine has to answer, or minutes of compiling are in vain.
        run(Command::new(tool("docker")).arg("info"));
        let files = target().join("tmp/release-files");
        made("release", &files, run);
        files
    });
    &FILES
}

/// Makes this release, or a part of it, into a folder: `how` runs the command for a target of `release/release.mk`.
pub fn made(goal: &str, out: &Path, how: impl FnOnce(&mut Command) -> String) -> String {
    // They have files in common.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut make = make(goal);
    make.args(["PROFILE=release".to_owned(), format!("SOURCE={SOURCE}")])
        .args([format!("REVISION={REVISION}"), format!("SOURCE_DATE_EPOCH={TIME}")])
        .args([format!("IMAGES={IMAGES}"), format!("OUT={}", out.display())]);
    // Not those that somebody has pushed.
    make.arg(format!("DIGESTS={}", target().join("tmp/release-images.sha256").display()));
    // These binaries, unlike those of `dist`, hold their symbols.
    make.env("LARGEST", "12000000");
    how(&mut make)
}

/// The file of a binary or an image: `oci.tar`, `tar.gz`, `cdx.json`.
pub fn file(of: &str, extension: &str) -> PathBuf {
    files().join(format!("{}.{extension}", named(of, arch())))
}

/// What files for one architecture are called, but for their extension.
pub fn named(of: &str, arch: &str) -> String {
    format!("{of}-{VERSION}-linux-{arch}")
}

/// Has the engine take an image of this release, and what it is called there.
///
/// # Panics
/// When it does not.
pub fn load(service: &str) -> String {
    let name = format!("emojivoto-{service}");
    let mut docker = Command::new(tool("docker"));
    let said = run(docker.args(["load", "--input"]).arg(file(&name, "oci.tar")));
    let image = format!("{IMAGES}/{name}:{VERSION}");
    assert!(said.ends_with(&format!("Loaded image: {image}\n")), "{said}");
    image
}

/// This machine's architecture, as images call it.
///
/// # Panics
/// When it is none that a release is made for.
pub fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => panic!("no release is made for {other}"),
    }
}
