//! The traces of the running suite in a ready-made OpenTelemetry collector: [Rotel](https://rotel.dev).
//!
//! The one of the testkit is made of the same crates as the suite; this one shares only the protocol.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use emojivoto_e2e::{run, tool};
use emojivoto_testkit::eventually;
use tokio::net::{TcpListener, TcpStream};

use crate::suite::Suite;

/// A vote for the doughnut: who did what, in which order, and how it ended.
const DOUGHNUT: &str = "\
vote-bot CLIENT GET /api/vote ERROR
  web SERVER GET /api/vote ERROR
    web CLIENT emojivoto.v1.EmojiService/FindByShortcode UNSET
      emoji SERVER emojivoto.v1.EmojiService/FindByShortcode UNSET
    web CLIENT emojivoto.v1.VotingService/VoteDoughnut ERROR
      voting SERVER emojivoto.v1.VotingService/VoteDoughnut ERROR
";

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_whole_traces_over_grpc() {
    let collector = Rotel::start().await;
    gets_whole_traces(&collector, collector.grpc, "grpc").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_whole_traces_over_http() {
    let collector = Rotel::start().await;
    gets_whole_traces(&collector, collector.http, "http/protobuf").await;
}

async fn gets_whole_traces(collector: &Rotel, receiver: SocketAddr, protocol: &str) {
    let _suite = Suite::in_one_process(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{receiver}")),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_BSP_SCHEDULE_DELAY", "200"),
    ]);
    eventually("the collector has the whole trace of a vote for the doughnut", async || {
        let log = collector.log();
        traces(&log).values().any(|trace| tree(trace, "", 0) == DOUGHNUT).then_some(())
    })
    .await;
}

/// What the collector prints of a span, by what it calls it, and the service that the span is of.
type Span<'a> = BTreeMap<&'a str, &'a str>;

/// The spans that the collector has printed, by trace.
fn traces(log: &str) -> BTreeMap<&str, Vec<Span<'_>>> {
    const LAST: &str = "Status code"; // of what is used here
    let mut service = "";
    let mut spans: Vec<Span<'_>> = Vec::new();
    let (complete_lines, _) = log.rsplit_once('\n').unwrap_or_default();
    for (key, value) in complete_lines.lines().filter_map(|line| line.split_once(':')) {
        let (key, value) = (key.trim(), value.trim());
        match key {
            "-> service.name" => service = value,
            "Trace ID" => spans.push(Span::from([(key, value), ("service", service)])),
            _ => {
                if let Some(span) = spans.last_mut().filter(|span| !span.contains_key(LAST)) {
                    span.insert(key, value);
                }
            }
        }
    }
    let mut traces = BTreeMap::<_, Vec<_>>::new();
    for span in spans.into_iter().filter(|span| span.contains_key(LAST)) {
        traces.entry(span["Trace ID"]).or_default().push(span);
    }
    traces
}

/// The spans below one of a trace, those that began earlier first.
fn tree(trace: &[Span<'_>], parent: &str, depth: usize) -> String {
    let mut children: Vec<_> = trace.iter().filter(|span| span["Parent ID"] == parent).collect();
    children.sort_by_key(|span| span["Start time"]);
    let line = |span: &Span<'_>| {
        let service = span["service"].trim_start_matches("Str(").trim_end_matches(')');
        let kind = span["Kind"].trim_start_matches("SPAN_KIND_");
        let status = span["Status code"].trim_start_matches("STATUS_CODE_");
        let indent = "  ".repeat(depth);
        let below = tree(trace, span["ID"], depth + 1);
        format!("{indent}{service} {kind} {} {status}\n{below}", span["Name"])
    };
    children.into_iter().map(line).collect()
}

/// A running collector that prints what it receives. It ends with the test.
struct Rotel {
    child: Child,
    grpc: SocketAddr,
    http: SocketAddr,
    log: PathBuf,
}

impl Rotel {
    async fn start() -> Self {
        let (grpc, http) = free_ports().await;
        let name = format!("rotel-{}.log", grpc.port());
        let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let file = File::create(&log).expect("the temporary directory is writable");
        let child = Command::new(binary())
            .arg("start")
            .args(["--otlp-grpc-endpoint", &grpc.to_string()])
            .args(["--otlp-http-endpoint", &http.to_string()])
            .args(["--exporter", "blackhole"])
            .args(["--debug-log", "traces", "--debug-log-verbosity", "detailed"])
            .env_clear()
            .stdin(Stdio::null())
            .stderr(file.try_clone().expect("the file is open"))
            .stdout(file)
            .spawn()
            .expect("Rotel starts");
        let rotel = Self { child, grpc, http, log };
        for receiver in [grpc, http] {
            eventually("Rotel listens", async || TcpStream::connect(receiver).await.ok()).await;
        }
        rotel
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Rotel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let first: Vec<_> = log.lines().take(200).collect();
            let _ = writeln!(io::stderr(), "Rotel's log begins with:\n{}", first.join("\n"));
        }
        let _ = fs::remove_file(&self.log);
    }
}

/// The binary inside the package for Python.
fn binary() -> PathBuf {
    let directory = "import rotel; print(rotel.__path__[0])";
    let directory = run(Command::new(tool("python3")).args(["-c", directory]));
    Path::new(directory.trim_end()).join("rotel-agent")
}

/// Two ports that were free a moment ago: Rotel does not say which it got when asked for any.
async fn free_ports() -> (SocketAddr, SocketAddr) {
    let any = async || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let (one, other) = (any().await, any().await);
    let address = |listener: TcpListener| listener.local_addr().expect("it is bound");
    (address(one), address(other))
}
