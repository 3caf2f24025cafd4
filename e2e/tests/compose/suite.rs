//! The suite in containers, from `up` to `down`.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use emojivoto_e2e::{root, run, tool, wait};
use serde_json::Value;

/// Keeps the test's images apart from those that somebody built to use them.
pub(super) const TAG: &str = "e2e";

/// Takes everything down when it goes out of scope, however the test ended.
pub(super) struct Suite {
    /// How Compose is called here.
    program: Vec<PathBuf>,
}

impl Suite {
    pub(super) fn up() -> Self {
        let suite = Self { program: program() };
        suite.down(); // what a killed run left behind
        suite.compose(&["up", "--detach", "--no-build"]);
        suite
    }

    /// Runs a subcommand of Compose and returns what it printed.
    pub(super) fn compose(&self, arguments: &[&str]) -> String {
        run(self.command().args(arguments))
    }

    /// What the engine knows about a service's container.
    pub(super) fn inspect(&self, service: &str) -> Value {
        let json = run(Command::new(tool("docker")).arg("inspect").arg(self.container(service)));
        let mut containers: Value = serde_json::from_str(&json).expect("docker prints JSON");
        containers[0].take()
    }

    /// The numeric user of each process in a service's container.
    pub(super) fn users_of_processes(&self, service: &str) -> Vec<String> {
        let table = run(Command::new(tool("docker")).args([
            "top",
            &self.container(service),
            "-eo",
            "pid,uid",
        ]));
        table
            .lines()
            .skip(1)
            .filter_map(|line| line.split_whitespace().nth(1).map(str::to_owned))
            .collect()
    }

    /// The address of a service's container on its network.
    pub(super) fn address(&self, service: &str) -> String {
        let networks = self.inspect(service)["NetworkSettings"]["Networks"].take();
        let of_first = networks.as_object().and_then(|networks| networks.values().next());
        let address = of_first.and_then(|network| network["IPAddress"].as_str());
        address.unwrap_or_else(|| panic!("{service} has no address: {networks}")).to_owned()
    }

    /// User and group of a folder in a service's container, which has nothing in it that could tell.
    pub(super) fn owner(&self, service: &str, folder: &str) -> String {
        let folder = format!("{}:{folder}", self.container(service));
        let archive = Path::new(env!("CARGO_TARGET_TMPDIR")).join("folder.tar");
        let mut copy = Command::new(tool("docker"));
        let file = File::create(&archive).expect("it is writable");
        let status = copy.args(["cp", &folder, "-"]).stdout(file).status();
        assert!(status.is_ok_and(|status| status.success()), "{copy:?}");
        let mut list = Command::new("tar");
        let table = run(list.args(["--numeric-owner", "-tvf"]).arg(&archive));
        let owner = table.split_whitespace().nth(1);
        owner.unwrap_or_else(|| panic!("{folder}: {table}")).to_owned()
    }

    fn container(&self, service: &str) -> String {
        self.compose(&["ps", "--all", "--quiet", service]).trim().to_owned()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program[0]);
        command
            .args(&self.program[1..])
            .args(["--project-name", "emojivoto-e2e", "--file"])
            .arg(root().join("docker-compose.yml"))
            .env("EMOJIVOTO_TAG", TAG)
            .env_remove("OTEL_EXPORTER_OTLP_ENDPOINT");
        command
    }

    fn down(&self) {
        self.compose(&["down", "--volumes", "--remove-orphans"]);
    }
}

impl Drop for Suite {
    fn drop(&mut self) {
        if thread::panicking() {
            // A second panic would hide the first: report, and take down as far as possible.
            for arguments in
                [&["logs", "--tail=50"][..], &["down", "--volumes", "--remove-orphans"]]
            {
                let mut command = self.command();
                command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
                if let Ok(child) = command.spawn() {
                    let output = wait(child, &format!("{command:?}"));
                    let _ = io::stderr().write_all(&output.stdout);
                    let _ = io::stderr().write_all(&output.stderr);
                }
            }
        } else {
            self.down();
        }
    }
}

/// How Compose v2 is called here: as what `.ci/install` built or, where it had no need to, as `docker compose`.
pub(super) fn program() -> Vec<PathBuf> {
    let built = root().join("target/tools/bin/docker-compose");
    if built.is_file() {
        return vec![built];
    }
    let plugin = vec![tool("docker"), "compose".into()];
    let version = Command::new(&plugin[0]).args(["compose", "version"]).output();
    assert!(
        version.is_ok_and(|output| output.status.success()),
        "this test needs Compose v2, which is not here: run .ci/install"
    );
    plugin
}
