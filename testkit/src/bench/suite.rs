//! What is measured: processes, each of which is the program of the benchmark, started again.

use std::{
    env,
    io::{self, BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

use crate::usage::{memory, processor_time};

/// The variable that says which service the program is to be.
const ROLE: &str = "BENCH_ROLE";

/// Is the service that the program was started to be, if it was, as its binary is. To be asked first of all.
pub fn role() -> Option<ExitCode> {
    match env::var(ROLE).ok()?.as_str() {
        "emoji" => Some(emojivoto_emoji_svc::main()),
        "voting" => Some(emojivoto_voting_svc::main()),
        "web" => Some(emojivoto_web::main()),
        "vote-bot" => Some(emojivoto_vote_bot::main()),
        _ => None,
    }
}

/// How services are observed.
#[derive(Debug, Clone, Copy)]
pub enum Telemetry<'a> {
    /// No line a request, no traces. There are always metrics.
    Off,
    /// Metrics, and a line a request.
    Defaults,
    /// And all traces, to this endpoint.
    AllTraces(&'a str),
}

/// web, emoji-svc and voting-svc.
#[derive(Debug)]
pub struct Suite([Process; 3]);

impl Suite {
    /// Any three that do the same.
    pub fn of(processes: [Process; 3]) -> Self {
        Self(processes)
    }

    /// Ours, as their binaries start them; web with these settings besides.
    pub fn start(telemetry: Telemetry<'_>, of_web: &[(&str, &str)]) -> Self {
        let start = |service: &str, settings: &[(&str, &str)]| {
            let mut command = this_program();
            command.env(ROLE, service).env("PROM_PORT", "0").envs(settings.iter().copied());
            match telemetry {
                Telemetry::Off => command.env("REQUEST_LOG", "0"),
                Telemetry::Defaults => &mut command,
                // The queue is so long that all is exported, as it would be at a bearable rate.
                Telemetry::AllTraces(endpoint) => command
                    .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
                    .env("OTEL_BSP_MAX_QUEUE_SIZE", "100000"),
            };
            Process::start(command)
        };
        let emoji = start("emoji", &[("GRPC_PORT", "0")]);
        let voting = start("voting", &[("GRPC_PORT", "0")]);
        let backends = [&emoji, &voting].map(|process| process.address().to_string());
        let settings =
            [("WEB_PORT", "0"), ("EMOJISVC_HOST", &backends[0]), ("VOTINGSVC_HOST", &backends[1])];
        let web = start("web", &[&settings, of_web].concat());
        Self([web, emoji, voting])
    }

    /// Where web is.
    pub fn web(&self) -> SocketAddr {
        self.0[0].address()
    }

    /// Of web, emoji-svc and voting-svc.
    pub fn processor_times(&self) -> [Duration; 3] {
        self.0.each_ref().map(|process| processor_time(process.id()))
    }

    /// Bytes, of web, emoji-svc and voting-svc; see [`memory`].
    pub fn memory(&self, name: &str) -> [u64; 3] {
        self.0.each_ref().map(|process| memory(process.id(), name))
    }
}

/// A process that says where it listens. It ends with this one, however that does.
#[derive(Debug)]
pub struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    /// This program with these arguments, which says "listening on" and its address.
    ///
    /// # Panics
    /// When it ends before.
    pub fn with(arguments: &[&str]) -> Self {
        let mut command = this_program();
        command.args(arguments);
        Self::start(command)
    }

    /// The bot, voting once a second. Its address is that of nobody.
    pub fn bot(web: SocketAddr) -> Self {
        let mut command = this_program();
        command.env(ROLE, "vote-bot").env("PROM_PORT", "0").env("WEB_HOST", web.to_string());
        let child = command.stdout(Stdio::null()).spawn().expect("this program starts");
        Self { child, address: ([0, 0, 0, 0], 0).into() }
    }

    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("this program starts");
        let mut output = BufReader::new(child.stdout.take().expect("its output is piped"));
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert_ne!(output.read_line(&mut line).expect("text"), 0, "it ended: {command:?}");
            // The first that it says is that of the admin server.
            let listening = line.split_once("listening on ").filter(|_| !line.contains("PROM_"));
            if let Some((_, address)) = listening {
                let port = address.trim().rsplit(':').next().and_then(|port| port.parse().ok());
                break SocketAddr::from(([127, 0, 0, 1], port.expect("a port")));
            }
        };
        // Somebody has to read what it logs.
        thread::spawn(move || io::copy(&mut output, &mut io::sink()));
        Self { child, address }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill(); // unless it has ended
        let _ = self.child.wait();
    }
}

fn this_program() -> Command {
    let mut command = Command::new(env::current_exe().expect("this program"));
    command.env_clear();
    command
}
