//! The traces of the running suite in a real [Jaeger](https://www.jaegertracing.io), which is started as the stack does it.
//!
//! The collector of the testkit is made of the same crates as the suite; this one shares only the protocol.

use std::collections::BTreeMap;
use std::fs;
use std::future::ready;
use std::net::SocketAddr;
use std::process::Command;

use emojivoto_e2e::{Program, root, tool};
use emojivoto_testkit::{eventually, http};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

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
async fn jaeger_gets_whole_traces_over_grpc() {
    let jaeger = Jaeger::start("grpc").await;
    gets_whole_traces(&jaeger, jaeger.grpc, "grpc").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jaeger_gets_whole_traces_over_http() {
    let jaeger = Jaeger::start("http").await;
    gets_whole_traces(&jaeger, jaeger.http, "http/protobuf").await;
}

async fn gets_whole_traces(jaeger: &Jaeger, receiver: SocketAddr, protocol: &str) {
    let _suite = Suite::in_one_process(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{receiver}")),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_BSP_SCHEDULE_DELAY", "200"),
    ]);
    eventually("Jaeger has the whole trace of a vote for the doughnut", async || {
        let traces = jaeger.traces("voting", "emojivoto.v1.VotingService/VoteDoughnut").await;
        traces.values().any(|trace| tree(trace, "", 0) == DOUGHNUT).then_some(())
    })
    .await;
}

/// A span, and the service that it is of.
struct Span {
    service: String,
    span: Value,
}

impl Span {
    fn text(&self, key: &str) -> &str {
        self.span[key].as_str().unwrap_or_default()
    }

    fn start(&self) -> u64 {
        self.text("startTimeUnixNano").parse().expect("nanoseconds")
    }

    /// The name of one of the numbers of OTLP; the first is that of 0, which is left out in JSON.
    fn named(number: &Value, names: &[&'static str]) -> &'static str {
        let number = number.as_u64().unwrap_or(0);
        usize::try_from(number).ok().and_then(|n| names.get(n)).copied().unwrap_or("unknown")
    }
}

/// The spans below one of a trace, those that began earlier first.
fn tree(trace: &[Span], parent: &str, depth: usize) -> String {
    const KINDS: [&str; 6] =
        ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];
    const STATUSES: [&str; 3] = ["UNSET", "OK", "ERROR"];
    let mut children: Vec<_> =
        trace.iter().filter(|span| span.text("parentSpanId") == parent).collect();
    children.sort_by_key(|span| span.start());
    let line = |span: &Span| {
        let kind = Span::named(&span.span["kind"], &KINDS);
        let status = Span::named(&span.span["status"]["code"], &STATUSES);
        let indent = "  ".repeat(depth);
        let below = tree(trace, span.text("spanId"), depth + 1);
        format!("{indent}{} {kind} {} {status}\n{below}", span.service, span.text("name"))
    };
    children.into_iter().map(line).collect()
}

/// What a test sets besides: nothing but what is used here, on any free ports, and a log that says which.
const SETTINGS: [&str; 10] = [
    "service.extensions=[jaeger_storage,jaeger_query]",
    "service.pipelines.traces.receivers=[otlp]",
    "service.telemetry.logs.encoding=json",
    "service.telemetry.metrics.level=none",
    "service.telemetry.metrics.readers=[]",
    "receivers.otlp.protocols.grpc.endpoint=127.0.0.1:0",
    "receivers.otlp.protocols.http.endpoint=127.0.0.1:0",
    "extensions.jaeger_query.enable_tracing=false",
    "extensions.jaeger_query.grpc.endpoint=127.0.0.1:0",
    "extensions.jaeger_query.http.endpoint=127.0.0.1:0",
];

/// A running Jaeger, which keeps traces in memory. It ends with the test.
struct Jaeger {
    _program: Program,
    /// Where it takes spans over gRPC, and over HTTP.
    grpc: SocketAddr,
    http: SocketAddr,
    /// Where it answers questions.
    query: SocketAddr,
}

impl Jaeger {
    async fn start(name: &str) -> Self {
        let directory = Program::directory(&format!("jaeger-{name}-{}", std::process::id()));
        let mut command = Command::new(tool("jaeger"));
        command
            .args(arguments_in_the_stack())
            .args(SETTINGS.map(|setting| format!("--set={setting}")))
            .env_clear();
        let mut program = Program::start(&mut command, directory);
        let says = || ready(addresses(&program.log()));
        let [grpc, http, query] = eventually("Jaeger says where it listens", says).await;
        Self { _program: program, grpc, http, query }
    }

    /// Some traces with such a span, by their ids.
    async fn traces(&self, service: &str, operation: &str) -> BTreeMap<String, Vec<Span>> {
        let url = format!(
            "http://{}/api/v3/traces?query.service_name={service}&query.operation_name={}\
             &query.start_time_min=2000-01-01T00:00:00Z&query.start_time_max=2200-01-01T00:00:00Z\
             &query.num_traces=100",
            self.query,
            utf8_percent_encode(operation, NON_ALPHANUMERIC)
        );
        let answer = http::get(&url).await;
        if answer.status == 404 {
            return BTreeMap::new(); // there are none
        }
        assert_eq!(answer.status, 200, "{url}: {}", answer.body);
        let mut traces = BTreeMap::<_, Vec<_>>::new();
        for resource in list(&answer.json()["result"]["resourceSpans"]) {
            let attributes = list(&resource["resource"]["attributes"]);
            let name = attributes.iter().find(|attribute| attribute["key"] == "service.name");
            let name = name.and_then(|name| name["value"]["stringValue"].as_str());
            let service = name.unwrap_or_else(|| panic!("without a name: {resource}"));
            for span in list(&resource["scopeSpans"]).iter().flat_map(|scope| list(&scope["spans"]))
            {
                let trace = span["traceId"].as_str().expect("a trace id").to_owned();
                let span = Span { service: service.to_owned(), span: span.clone() };
                traces.entry(trace).or_default().push(span);
            }
        }
        traces
    }
}

/// Where it takes spans over gRPC and over HTTP, and where it answers questions, once its log says all of that.
fn addresses(log: &str) -> Option<[SocketAddr; 3]> {
    let lines: Vec<Value> =
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let address = |component: &str, message: &str, key: &str| {
        let says =
            |line: &&Value| line["otelcol.component.id"] == component && line["msg"] == message;
        lines.iter().find(says)?[key].as_str()?.parse().ok()
    };
    Some([
        address("otlp", "Starting GRPC server", "endpoint")?,
        address("otlp", "Starting HTTP server", "endpoint")?,
        address("jaeger_query", "Query server started", "http_addr")?,
    ])
}

/// How `observability/compose.yml` calls it.
fn arguments_in_the_stack() -> Vec<String> {
    let text = fs::read_to_string(root().join("observability/compose.yml")).expect("readable");
    let compose: Value = serde_saphyr::from_str(&text).expect("it is YAML");
    let command = list(&compose["services"]["jaeger"]["command"]);
    assert!(!command.is_empty(), "the stack's Jaeger has arguments");
    command.iter().map(|argument| argument.as_str().expect("a text").to_owned()).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
