//! The suite in processes of its own, as people start it.

use emojivoto_e2e::binary;
use emojivoto_testkit::{Binary, Run};

/// Running processes, and the addresses where they serve `/metrics`.
pub(super) struct Suite {
    pub(super) admins: Vec<String>,
    /// They end with the test.
    processes: Vec<Run>,
}

/// Fast enough that nothing has to be waited for, on a machine that does other things, too.
const VOTES_PER_SECOND: &str = "50";

impl Suite {
    /// What `cargo run` starts: one process.
    pub(super) fn in_one_process(env: &[(&str, &str)]) -> Self {
        let mut process = Binary::new(&binary("emojivoto"))
            .envs(env)
            .env("REQUEST_RATE", VOTES_PER_SECOND)
            .envs(&["WEB_PORT", "EMOJI_PORT", "VOTING_PORT", "PROM_PORT"].map(|port| (port, "0")))
            .start();
        Self { admins: vec![process.address("PROM_PORT").to_string()], processes: vec![process] }
    }

    /// What Compose and Kubernetes start: a process for each service.
    pub(super) fn in_four_processes() -> Self {
        let mut suite = Self { admins: Vec::new(), processes: Vec::new() };
        let emoji = suite.start("emojivoto-emoji-svc", Some("GRPC_PORT"), &[]);
        let voting = suite.start("emojivoto-voting-svc", Some("GRPC_PORT"), &[]);
        let backends = [("EMOJISVC_HOST", emoji.as_str()), ("VOTINGSVC_HOST", voting.as_str())];
        let web = suite.start("emojivoto-web", Some("WEB_PORT"), &backends);
        let bot = [("WEB_HOST", web.as_str()), ("REQUEST_RATE", VOTES_PER_SECOND)];
        suite.start("emojivoto-vote-bot", None, &bot);
        suite
    }

    /// voting-svc alone, which nobody has called.
    pub(super) fn fresh_voting() -> Self {
        let mut suite = Self { admins: Vec::new(), processes: Vec::new() };
        suite.start("emojivoto-voting-svc", Some("GRPC_PORT"), &[]);
        suite
    }

    /// Starts a binary and returns the address that it serves at, if it serves.
    fn start(&mut self, name: &str, port: Option<&str>, env: &[(&str, &str)]) -> String {
        let mut binary = Binary::new(&binary(name)).env("PROM_PORT", "0").envs(env);
        if let Some(port) = port {
            binary = binary.env(port, "0");
        }
        let mut process = binary.start();
        self.admins.push(process.address("PROM_PORT").to_string());
        let address = port.map_or_else(String::new, |port| process.address(port).to_string());
        self.processes.push(process);
        address
    }
}
