//! The binaries, as a person or a container starts them.

use std::{
    collections::BTreeSet,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::SocketAddr,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::mpsc::{Receiver, sync_channel},
    thread,
};

use crate::{collector::Collector, patience::Wait};

/// Lines that a test may leave unread before nothing more is read of the output of a binary.
const UNREAD_LINES: usize = 1_024;

/// A binary with nothing but the environment and arguments that a test gives it.
#[derive(Debug)]
pub struct Binary(Command);

impl Binary {
    /// The binary at `path`: `env!("CARGO_BIN_EXE_…")`.
    pub fn new(path: &str) -> Self {
        let mut command = Command::new(path);
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command)
    }

    /// Adds an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.0.env(name, value.as_ref());
        self
    }

    /// Adds environment variables.
    #[must_use]
    pub fn envs(mut self, variables: &[(&str, &str)]) -> Self {
        self.0.envs(variables.iter().copied());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: &[&str]) -> Self {
        self.0.args(args);
        self
    }

    /// Lets it have no more than so many files and connections at a time.
    #[must_use]
    pub fn open_files(self, most: usize) -> Self {
        let mut limited = Command::new("/bin/sh");
        let script = format!("ulimit -n {most} && exec \"$0\" \"$@\"");
        limited.arg("-c").arg(script).arg(self.0.get_program()).args(self.0.get_args());
        limited.env_clear();
        for (name, value) in self.0.get_envs() {
            limited.envs(value.map(|value| (name, value)));
        }
        limited.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(limited)
    }

    /// Lets it read this from its standard input.
    #[must_use]
    pub fn input(mut self, text: &str) -> Self {
        let (reader, mut writer) = io::pipe().expect("a pipe");
        let text = text.to_owned();
        // It may end before it has read all.
        thread::spawn(move || drop(writer.write_all(text.as_bytes())));
        self.0.stdin(reader);
        self
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it does not end in time.
    pub fn output(mut self) -> Output {
        let child = self.0.spawn().expect("the binary starts");
        let id = child.id();
        let (sender, output) = sync_channel(1);
        thread::spawn(move || sender.send(child.wait_with_output().expect("it has ended")));
        // Nobody else would end it.
        let kill = KillOnPanic(id);
        let output = Wait::begin().receive(&output, || format!("the end of {:?}", self.0));
        drop(kill);
        output.expect("an output")
    }

    /// Starts it.
    pub fn start(mut self) -> Run {
        let mut child = self.0.spawn().expect("the binary starts");
        let stdout = BufReader::new(child.stdout.take().expect("its output is piped"));
        let (sender, lines) = sync_channel(UNREAD_LINES);
        thread::spawn(move || {
            for line in stdout.split(b'\n').map_while(Result::ok) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    break;
                }
            }
        });
        Run { child, lines, seen: Vec::new() }
    }
}

/// Ends a process if the test fails while it runs.
struct KillOnPanic(u32);

impl Drop for KillOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = kill(self.0, "KILL"); // it may have ended meanwhile
        }
    }
}

fn kill(process: u32, signal: &str) -> io::Result<ExitStatus> {
    Command::new("kill").args(["-s", signal, &process.to_string()]).status()
}

/// Asserts that a binary with this environment refuses to start: exit code 2, and a line that names
/// the variable, the value and what is expected.
pub fn refuses(binary: &str, env: &[(&str, &str)], setting: &str, value: &str, expected: &str) {
    let output = Binary::new(binary).envs(env).env(setting, value).output();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{setting}={value}: {stderr}");
    let line = stderr.lines().next().unwrap_or_default();
    for part in [setting, value, expected] {
        assert!(line.contains(part), "{setting}={value}: {part:?} is not in: {line}");
    }
}

/// Asserts what holds for every binary: its version, a help that names its settings and those of
/// every process, and that wrong values of the latter are refused.
pub fn behaves(binary: &str, name: &str, required: &[(&str, &str)], settings: &[&str]) {
    let version = format!("{name} {}\n", env!("CARGO_PKG_VERSION"));
    for arguments in [&["--version"][..], &[name, "--version"]] {
        let output = Binary::new(binary).args(arguments).output();
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), version.clone()));
    }

    let output = Binary::new(binary).args(&["--help"]).output();
    let help = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{help}");
    let common = [
        "PROM_PORT",
        "SHUTDOWN_DELAY",
        "SHUTDOWN_GRACE",
        "MAX_CONNECTIONS",
        "MAX_REQUESTS",
        "LOG_FORMAT",
        "REQUEST_LOG",
        "RUST_LOG",
    ];
    for setting in settings.iter().chain(&common) {
        assert!(help.contains(&format!("[env: {setting}]")), "{setting} is not in {help}");
        let flag = setting.to_lowercase().replace('_', "-");
        assert!(help.contains(&format!("--{flag} <{setting}>")), "--{flag} is not in {help}");
    }
    assert!(help.contains("healthcheck"), "{help}");

    for (setting, value, expected) in [
        ("PROM_PORT", "x", "expected a port number from 0 to 65535"),
        ("SHUTDOWN_GRACE", "10", "expected a duration such as 150ms, 1.5s or 1m30s"),
        ("SHUTDOWN_DELAY", "-1s", "expected a duration such as 150ms, 1.5s or 1m30s"),
        ("MAX_CONNECTIONS", "0", "expected a whole number from 1 to 4294967295"),
        ("MAX_REQUESTS", "many", "expected a whole number from 1 to 4294967295"),
        ("LOG_FORMAT", "xml", ""),
        ("RUST_LOG", "a=b=c", "expected a level or directives"),
        ("RUST_LOG", "inof", "expected a level or directives such as info,voting=debug"),
        ("REQUEST_LOG", "1.5", "expected a number from 0.0 to 1.0"),
        ("OTEL_TRACES_SAMPLER", "sometimes", "expected"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://collector", "expected"),
    ] {
        refuses(binary, required, setting, value, expected);
    }
    let wrong = Binary::new(binary).envs(required).args(&["--shutdown-grace", "-1s"]);
    let output = wrong.output();
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("'-1s' for '--shutdown-grace <SHUTDOWN_GRACE>': expected"), "{stderr}");

    let output = Binary::new(binary).args(&["--nonsense"]).output();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--nonsense"));
}

/// Asserts under which name a binary reports to a collector when nobody gives it another.
///
/// To be called on a runtime with several threads, because this one waits for the end of the binary.
pub async fn reports_as(binary: &str, env: &[(&str, &str)], service: &str) {
    let collector = Collector::start().await;
    let run = Binary::new(binary).envs(env).envs(&[
        ("PROM_PORT", "0"),
        ("GRPC_PORT", "0"),
        ("WEB_PORT", "0"),
    ]);
    let run = run.env("OTEL_LOGS_EXPORTER", "otlp");
    let mut run = run.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address().to_string()).start();
    run.address("PROM_PORT");
    run.signal("TERM");
    let (code, lines, _) = run.end();
    assert_eq!(code, Some(0), "{lines:#?}");
    let names: BTreeSet<_> = collector.logs().into_iter().map(|log| log.service).collect();
    assert_eq!(names, BTreeSet::from([service.to_owned()]), "{lines:#?}");
}

/// Asserts that a binary does not start without a setting, and says which.
pub fn requires(binary: &str, env: &[(&str, &str)], setting: &str) {
    let output = Binary::new(binary).envs(env).output();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("required") && stderr.contains(setting),
        "{setting} is not in {stderr}"
    );
}

/// What `<binary> healthcheck` says of the process with this admin port.
pub fn healthcheck(binary: &str, admin: SocketAddr) -> (Option<i32>, String) {
    let port = admin.port().to_string();
    let output = Binary::new(binary).env("PROM_PORT", port).args(&["healthcheck"]).output();
    (output.status.code(), text(&output.stdout))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_owned()).expect("text")
}

/// A running binary. It is killed when the test ends before it does.
#[derive(Debug)]
pub struct Run {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Run {
    /// Waits for a line that contains `text`, and returns it.
    ///
    /// # Panics
    /// When it does not come.
    pub fn line(&mut self, text: &str) -> String {
        let wait = Wait::begin();
        loop {
            let what = || format!("a line with {text:?}, but\n{}", self.seen.join("\n"));
            let Some(line) = wait.receive(&self.lines, what) else {
                let what = what();
                let _ = self.child.kill(); // should only its output have ended
                panic!("the end came before {what}\n{}", self.errors());
            };
            self.seen.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    /// The loopback address of the port that a setting asked for.
    pub fn address(&mut self, setting: &str) -> SocketAddr {
        let line = self.line(&format!("{setting}: listening on "));
        // In JSON, the line ends with more than the port.
        let line = line.trim_end_matches(|c: char| !c.is_ascii_digit());
        let port = line.rsplit(':').next().and_then(|port| port.parse().ok());
        SocketAddr::from(([127, 0, 0, 1], port.unwrap_or_else(|| panic!("a port: {line}"))))
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal: `TERM`, `INT`.
    pub fn signal(&self, name: &str) {
        let sent = kill(self.child.id(), name);
        assert!(sent.is_ok_and(|status| status.success()), "SIG{name} cannot be sent");
    }

    /// Waits for its end: the exit code, all the lines it printed, and what it said on standard error.
    ///
    /// # Panics
    /// When it does not end in time.
    pub fn end(mut self) -> (Option<i32>, Vec<String>, String) {
        let wait = Wait::begin();
        let what = |seen: &[String]| format!("the end of the binary, but\n{}", seen.join("\n"));
        while let Some(line) = wait.receive(&self.lines, || what(&self.seen)) {
            self.seen.push(line);
        }
        let status = self.child.wait().expect("it has ended");
        (status.code(), std::mem::take(&mut self.seen), self.errors())
    }

    /// What it said on standard error until its end.
    fn errors(&mut self) -> String {
        let mut stderr = String::new();
        let pipe = self.child.stderr.as_mut().expect("its errors are piped");
        pipe.read_to_string(&mut stderr).expect("text");
        stderr
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
