//! The running suite in a real Prometheus that is configured by `observability/`, and its traces in a real
//! Jaeger.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use emojivoto_e2e::{root, run, tool};
use emojivoto_testkit::{collector::Collector, eventually, http};
use prometheus::{DIRECTORY, Prometheus};
use serde_json::Value;
use suite::Suite;

mod dashboard;
mod jaeger;
mod prometheus;
mod suite;

#[tokio::test(flavor = "multi_thread")]
async fn one_process_is_observed() {
    let suite = Suite::in_one_process(&[]);
    is_observed(&suite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn four_processes_are_observed() {
    let suite = Suite::in_four_processes();
    is_observed(&suite).await;
}

/// The suite in one process that a Prometheus scrapes, and that sends its traces to a collector.
async fn with_a_collector() -> (Collector, Suite, Prometheus) {
    let collector = Collector::start().await;
    let endpoint = collector.address().to_string();
    let suite = Suite::in_one_process(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]);
    let prometheus = Prometheus::watching(&suite.admins).await;
    (collector, suite, prometheus)
}

/// What Grafana makes a link of: the exemplars of the duration panels are traces that the collector has.
#[tokio::test(flavor = "multi_thread")]
async fn durations_lead_to_traces() {
    let (collector, suite, prometheus) = with_a_collector().await;

    for histogram in [
        "http_client_request_duration_seconds_bucket",
        "http_server_request_duration_seconds_bucket",
        r#"grpc_client_handling_seconds_bucket{grpc_method="VoteDoughnut"}"#,
        r#"grpc_server_handling_seconds_bucket{grpc_method="VoteDoughnut"}"#,
    ] {
        eventually(&format!("an exemplar of {histogram} is a trace"), async || {
            let traces = prometheus.traces(histogram).await;
            let known = collector.spans();
            traces.iter().any(|id| known.iter().any(|span| span.trace_id() == *id)).then_some(())
        })
        .await;
    }
    // What the alert for lost telemetry looks at is there, and says that nothing is lost.
    let exported = r#"sum(otel_sdk_exporter_span_exported_total{error_type=""}) > 0"#;
    prometheus.eventually("exported spans are counted", exported).await;
    let lost = r#"otel_sdk_exporter_span_exported_total{error_type!=""} > 0"#;
    assert_eq!(prometheus.query(lost).await, [Value::Null; 0]);
    let found = has_a_clean_scrape(&suite.admins[0]).await;
    let exemplars = found["exemplars"].as_array().expect("exemplars");
    assert!(!exemplars.is_empty() && exemplars.iter().all(|labels| labels["trace_id"].is_string()));
}

async fn is_observed(suite: &Suite) {
    let prometheus = Prometheus::watching(&suite.admins).await;

    // The alert that this is all about, and what it tells the person whom it wakes up.
    let alert = r#"ALERTS{alertname="EmojivotoRpcAlwaysFails"}"#;
    prometheus.eventually("the failing vote is noticed", alert).await;
    let firing = r#"ALERTS{alertname="EmojivotoRpcAlwaysFails", alertstate="firing"}"#;
    let alerts = prometheus.eventually("the alert for it fires", firing).await;
    let rpcs: Vec<_> = alerts.iter().map(|alert| &alert["metric"]["grpc_method"]).collect();
    assert_eq!(rpcs, ["VoteDoughnut"]);
    let burning =
        r#"count(ALERTS{alertname="EmojivotoVotingBudgetBurn", alertstate="firing"}) == 3"#;
    prometheus.eventually("the error budget burns, however one looks at it", burning).await;

    let rules = prometheus.rules().await;
    let named = |rule: &Value| rule["name"].as_str().expect("a name").to_owned();
    for rule in &rules {
        assert_eq!((&rule["health"], &rule["lastError"]), (&"ok".into(), &Value::Null), "{rule}");
        if rule["type"] == "recording" {
            prometheus.eventually("a recording rule", &named(rule)).await;
        }
    }
    let healthy = ["EmojivotoDown", "EmojivotoWebErrors", "EmojivotoTelemetryLost"];
    for rule in rules.iter().filter(|rule| healthy.contains(&named(rule).as_str())) {
        assert_eq!(rule["state"], "inactive", "{rule}");
    }

    for (panel, expression) in dashboard::expressions() {
        prometheus.eventually(&panel, &expression).await;
    }

    for admin in &suite.admins {
        has_a_clean_scrape(admin).await;
    }
}

/// What docs/observability.md says is there, and its queries have answers.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_documented_is_there() {
    let (_collector, _suite, prometheus) = with_a_collector().await;
    let document = std::fs::read_to_string(root().join("docs/observability.md")).expect("readable");
    let table = |head: &str| {
        let (_, rest) = document.split_once(head).unwrap_or_else(|| panic!("no table {head}"));
        let rows = rest.lines().skip(2).take_while(|line| line.starts_with("| "));
        rows.map(|row| row.trim_matches('|').split('|').collect()).collect::<Vec<Vec<_>>>()
    };
    let quoted = |cell: &str| -> Vec<String> {
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };

    let metrics = table("| metric |");
    assert!(metrics.len() > 10, "{metrics:?}");
    let names = metrics.iter().flat_map(|row| quoted(row[0])).filter(|name| name.contains('_'));
    for name in names {
        let name = name.replace("grpc_client_…", "grpc_client_handling_seconds");
        let there = format!(r#"{{__name__=~"{name}(_count)?"}}"#);
        prometheus.eventually("a metric of the table", &there).await;
    }
    let queries = table("| question |");
    assert!(queries.len() > 3, "{queries:?}");
    for query in queries.iter().flat_map(|row| quoted(row[1])) {
        prometheus.eventually("a query of the table", &query).await;
    }
}

/// Neither Prometheus' linter nor a strict parser has anything to say; what the latter found.
async fn has_a_clean_scrape(admin: &str) -> Value {
    let text = scrape(admin, "text/plain").await;
    let lint = with_input(Command::new(tool("promtool")).args(["check", "metrics"]), &text);
    assert_eq!(lint, "", "{admin}");

    let open = scrape(admin, "application/openmetrics-text; version=1.0.0").await;
    assert!(open.ends_with("# EOF\n"), "{admin}: not OpenMetrics: {open}");
    let parser = root().join("e2e/checks/openmetrics.py");
    let found = with_input(Command::new(tool("python3")).arg(parser), &open);
    let found: Value = serde_json::from_str(&found).expect("the parser prints JSON");
    let families = found["families"].as_array().expect("families");
    assert!(families.iter().any(|name| name == "emojivoto_build_info"), "{admin}: {found}");
    assert_eq!(found["undocumented"], serde_json::json!([]), "{admin}");
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_voting_svc_is_cheap_to_scrape() {
    let suite = Suite::fresh_voting();
    eventually("a voting-svc that is ready", async || {
        let ready = http::get(&format!("http://{}/ready", suite.admins[0])).await;
        (ready.status == 200).then_some(())
    })
    .await;
    for accept in ["text/plain", "application/openmetrics-text; version=1.0.0"] {
        let scrape = scrape(&suite.admins[0], accept).await;
        assert!(scrape.contains(r#"grpc_method="VoteDoughnut""#), "{scrape}");
        assert!(scrape.len() < 64 * 1024, "{accept}: {} bytes", scrape.len());
    }
}

#[test]
fn prometheus_configuration_and_rules_are_clean() {
    let directory = root().join(DIRECTORY);
    let promtool = || {
        let mut command = Command::new(tool("promtool"));
        command.current_dir(&directory);
        command
    };
    let lint = ["--lint=all", "--lint-fatal"];
    run(promtool().args(["check", "config"]).args(lint).arg("prometheus.yml"));
    run(promtool().args(["check", "rules"]).args(lint).args(files(&directory.join("rules"))));
    run(promtool().args(["test", "rules"]).args(files(&directory.join("tests"))));
}

/// The files of a directory; there is at least one.
fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).expect("the directory is readable");
    let files: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    assert!(!files.is_empty(), "{} is empty", directory.display());
    files
}

/// What a process answers to a scraper that asks for this format.
async fn scrape(admin: &str, accept: &str) -> String {
    let request = ::http::Request::get(format!("http://{admin}/metrics")).header("accept", accept);
    let answer = http::send(request, "").await.expect("an answer");
    assert_eq!(answer.status, 200, "{admin}");
    assert!(answer.header("content-type").starts_with(accept), "{answer:?}");
    answer.body
}

/// Runs a command that reads `input`, and returns all that it prints.
fn with_input(command: &mut Command, input: &str) -> String {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
    let mut stdin = child.stdin.take().expect("it is piped");
    let output = std::thread::scope(|threads| {
        threads.spawn(move || stdin.write_all(input.as_bytes()).expect("it reads its input"));
        emojivoto_e2e::wait(child, &format!("{command:?}"))
    });
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, text.concat());
    text.concat()
}
