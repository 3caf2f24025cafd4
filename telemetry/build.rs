//! Finds out which git commit is being built, for `emojivoto_build_info`.

use std::{env, path::Path, process::Command};

fn main() {
    println!("cargo:rerun-if-env-changed=EMOJIVOTO_REVISION");
    let given = env::var("EMOJIVOTO_REVISION").ok().filter(|revision| !revision.is_empty());
    let revision = given.or_else(checked_out).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo:rustc-env=EMOJIVOTO_REVISION={revision}");
}

/// The commit that is checked out, unless this is a debug build: those would have to compile
/// everything anew after each commit, to know a commit that they are seldom of.
fn checked_out() -> Option<String> {
    if env::var("PROFILE").is_ok_and(|profile| profile == "debug") {
        return None;
    }
    // What moves when another commit is checked out, or one is made.
    for file in [Some("HEAD".to_owned()), git(&["symbolic-ref", "HEAD"])] {
        let file = file.and_then(|file| git(&["rev-parse", "--git-path", &file]));
        if let Some(file) = file.filter(|file| Path::new(file).exists()) {
            println!("cargo:rerun-if-changed={file}");
        }
    }
    git(&["rev-parse", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output =
        Command::new("git").args(arguments).output().ok().filter(|o| o.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
