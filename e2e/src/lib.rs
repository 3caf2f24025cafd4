//! Tests that need more than the Rust toolchain: a browser, a container engine, kubectl, Envoy, Prometheus,
//! Jaeger, Redis, schemathesis, BuildKit.
//!
//! Each kind is a test target behind a feature of its own, so that `cargo test --workspace`
//! asks for nothing but Rust and `make test` runs them all. This library holds what they share.

#[cfg(feature = "yaml")]
pub mod drills;
#[cfg(feature = "yaml")]
pub mod manifests;
mod program;
#[cfg(feature = "prometheus")]
mod prometheus;
pub mod release;
#[cfg(feature = "rpcs")]
pub mod rpcs;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

pub use program::Program;
#[cfg(feature = "prometheus")]
pub use prometheus::Prometheus;

/// The root of the repository.
///
/// # Panics
/// Never: this crate lies one level below it.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate has a parent directory")
}

/// Copies the sources into a folder, without what was made of them.
///
/// # Panics
/// When they cannot be.
pub fn copy(folder: &Path) {
    let script = "tar -C \"$0\" --exclude=target --exclude=node_modules --exclude=.git -cf - . | tar -C \"$1\" -xf -";
    run(Command::new(tool("sh")).args(["-ec", script]).arg(root()).arg(folder));
}

/// What is in a folder, in the order of names.
///
/// # Panics
/// When it cannot be read.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Finds a program: what `.ci/install` put into the repository wins over the `PATH`.
///
/// # Panics
/// When there is none, because a test that cannot run has to fail.
pub fn tool(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    ["target/tools/bin", "target/tools/venv/bin"]
        .map(|directory| root().join(directory))
        .into_iter()
        .chain(std::env::split_paths(&path))
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("this test needs `{name}`, which is not here: run .ci/install"))
}

/// Ports of this machine that nobody has at the moment, for programs that take no 0 for any.
///
/// # Panics
/// When there are none left.
pub fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    listeners.map(|listener| listener.local_addr().expect("an address").port())
}

/// `cargo`, in the root of the repository.
pub fn cargo() -> Command {
    at_the_root(env!("CARGO").as_ref())
}

/// `make` with a target, in the root of the repository.
///
/// # Panics
/// When there is no `make`.
pub fn make(target: &str) -> Command {
    let mut make = at_the_root(&tool("make"));
    make.arg(target);
    make
}

/// A program, in the root of the repository.
///
/// It does not get what Cargo tells this test of its own package: some build scripts (ring's) look at that, so that much would be
/// compiled again here, and again by the next `cargo test`. Nor does it get what `make test` tells a `make` that it runs itself.
pub fn at_the_root(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    for (name, _) in std::env::vars_os() {
        let of_this_run = |name: &str| {
            ["CARGO_PKG_", "CARGO_MANIFEST_", "MAKE"].iter().any(|prefix| name.starts_with(prefix))
                || name == "MFLAGS"
        };
        if name.to_str().is_some_and(of_this_run) {
            command.env_remove(name);
        }
    }
    command
}

/// No command takes this long unless something is broken: the longest compiles the services.
const LONGEST: Duration = Duration::from_mins(20);

/// Waits for the end of a process, whose outputs are piped. `what` says which one it is.
///
/// # Panics
/// When it does not end in time; it is killed then.
pub fn wait(child: Child, what: &str) -> Output {
    let id = child.id();
    let (sender, output) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = output.recv_timeout(LONGEST) else {
        let _ = Command::new("kill").args(["-s", "KILL", &id.to_string()]).status();
        panic!("no end within {LONGEST:?}: {what}")
    };
    output.unwrap_or_else(|e| panic!("{what}: {e}"))
}

/// Cargo's `target`, where this test is in `target/debug/deps`.
fn target() -> PathBuf {
    let test = std::env::current_exe().expect("this test has a path");
    test.ancestors().nth(3).expect("it is in `target`").to_owned()
}

/// Builds a binary, unless it is there already, with the dev profile; and where it is.
///
/// # Panics
/// When it cannot be built.
pub fn binary(name: &str) -> String {
    let target = target();
    run(cargo()
        .args(["build", "--locked", "--quiet", "--package", name, "--target-dir"])
        .arg(&target));
    target.join("debug").join(name).to_str().expect("a path in UTF-8").to_owned()
}

/// Runs a command to its end and returns what it wrote to its standard output.
///
/// # Panics
/// When it cannot be started or fails, with everything that it printed.
pub fn run(command: &mut Command) -> String {
    let (succeeded, stdout, stderr) = end(command);
    assert!(succeeded, "{command:?}\n{stdout}{stderr}");
    stdout
}

/// Runs a command that has to fail, and returns what it wrote to its standard error.
///
/// # Panics
/// When it cannot be started or succeeds.
pub fn refusal(command: &mut Command) -> String {
    refused(command).1
}

/// Runs a command that has to fail, and returns what it wrote to its standard output and to its standard error.
///
/// # Panics
/// When it cannot be started or succeeds.
pub fn refused(command: &mut Command) -> (String, String) {
    let (succeeded, stdout, stderr) = end(command);
    assert!(!succeeded, "{command:?} should fail\n{stdout}{stderr}");
    (stdout, stderr)
}

/// Whether a command succeeded, and its two outputs.
fn end(command: &mut Command) -> (bool, String, String) {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
    let output = wait(child, &format!("{command:?}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}
