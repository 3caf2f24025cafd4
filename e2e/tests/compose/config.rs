//! What Compose makes of its files, which it tells without an engine. Compose 1.29 is asked, too, where somebody has it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use emojivoto_e2e::{root, run, wait};
use serde_json::Value;

use crate::suite::program;

pub(super) const SUITE: &[&str] = &["docker-compose.yml"];

/// The names in a section, of its services for one.
pub(super) fn names(section: &Value) -> Vec<&str> {
    sorted(section.as_object().expect("a section").keys().map(String::as_str))
}

pub(super) fn sorted<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<_> = names.into_iter().collect();
    names.sort_unstable();
    names
}

/// A version of Compose, by how it is called.
pub(super) struct Compose(Vec<PathBuf>);

/// Version 2, and version 1 if it is on the `PATH`.
pub(super) fn composes() -> Vec<Compose> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let old = std::env::split_paths(&path)
        .map(|directory| directory.join("docker-compose"))
        .find(|file| file.is_file())
        .filter(|file| run(Command::new(file).args(["version", "--short"])).starts_with("1."));
    [Some(program()), old.map(|file| vec![file])].into_iter().flatten().map(Compose).collect()
}

impl Compose {
    /// What it makes of these files, without a word of warning.
    pub(super) fn config(&self, files: &[&str], endpoint: Option<&str>) -> Value {
        let mut command = Command::new(&self.0[0]);
        command.args(&self.0[1..]).current_dir(root());
        command.args(files.iter().flat_map(|file| ["--file", file]));
        command.arg("config").env_remove("OTEL_EXPORTER_OTLP_ENDPOINT");
        command.envs(endpoint.map(|endpoint| ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
        let output = wait(child, &format!("{command:?}"));
        assert!(output.status.success() && output.stderr.is_empty(), "{command:?}: {output:?}");
        let yaml = String::from_utf8(output.stdout).expect("text");
        serde_saphyr::from_str(&yaml).unwrap_or_else(|e| panic!("{e}\n{yaml}"))
    }
}

/// What is mounted, and whether it can only be read. Compose 1.29 writes a volume as `source:target:ro`.
pub(super) fn mount(volume: &Value) -> (&str, bool) {
    match volume.as_str().map(|text| text.split(':').collect::<Vec<_>>()) {
        Some(parts) => (parts[0], parts.get(2) == Some(&"ro")),
        None => (volume["source"].as_str().unwrap_or_default(), volume["read_only"] == true),
    }
}

/// That an image is of one version: with `v` or without, with the system that it is built on or without.
pub(super) fn pinned(image: &str) {
    let (_, tag) = image.split_once(':').unwrap_or_else(|| panic!("{image}: no tag"));
    let version = tag.trim_start_matches('v').split('-').next().expect("a first part");
    let numbers: Vec<_> = version.split('.').map(str::parse::<u16>).collect();
    assert!(numbers.len() == 3 && numbers.iter().all(Result::is_ok), "{image} is not pinned");
}
