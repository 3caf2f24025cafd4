//! The lines that the suite writes.

use emojivoto_testkit::within;
use serde_json::Value;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::running::{Running, not_found, on_free_ports, value};

const PARENT: (&str, &str) =
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");

fn without_bot(share: &str) -> Running {
    Running::start(on_free_ports().envs(&[("NO_BOT", "true"), ("REQUEST_LOG", share)]))
}

#[tokio::test]
async fn a_request_is_one_line_with_its_cause_and_its_trace() {
    // Nobody listens there, but the process exports.
    let exporting = ("OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:1");
    for (format, export) in [("text", None), ("text", Some(exporting)), ("json", None)] {
        let binary = on_free_ports().envs(&[("NO_BOT", "true"), ("LOG_FORMAT", format)]);
        // There is no banner in JSON.
        let mut suite = Running::starting(binary.envs(export.as_slice()));
        suite.ready().await;
        let vote = ::http::Request::get(suite.url("/api/vote?choice=:doughnut:"));
        let vote = vote.header(PARENT.0, PARENT.1);
        let answer = emojivoto_testkit::http::send(vote, "").await.expect("an answer");
        assert_eq!(answer.status, 500);
        let line = suite.run.line(" /api/vote?choice=:doughnut: ");
        // The cause, as far as web knows it, and none of it in the answer.
        let cause = "call to voting-svc failed";
        assert!(line.contains(cause) && !answer.body.contains(cause), "{line} {}", answer.body);
        let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        if format == "json" {
            let line: Value = serde_json::from_str(&line).expect("JSON");
            assert_eq!(line["level"], "WARN");
            assert_eq!(line["http.route"], "/api/vote");
            assert_eq!(line["http.response.status_code"], 500);
            assert_eq!((&line["trace_id"], &line["span_id"]), (&trace.into(), &span.into()));
        } else {
            assert!(line.contains(" WARN web: GET /api/vote?choice=:doughnut: 500 "), "{line}");
            let has_ids = line.contains(&format!(" trace_id={trace} span_id="));
            assert_eq!(has_ids, export.is_some(), "{line}");
            assert!(has_ids || line.ends_with('"'), "nothing after the cause: {line}");
        }
        suite.run.signal("TERM");
        let (_, lines, _) = suite.end();
        let lines: Vec<_> = lines.iter().filter(|line| line.contains(":doughnut:")).collect();
        // One of web, and one of voting-svc.
        assert_eq!(lines.len(), 2, "{lines:#?}");
        let voting = "Vote for [:doughnut:] failed";
        assert_eq!(lines.iter().filter(|line| line.contains(voting)).count(), 1, "{lines:#?}");
    }
}

/// Without a collector: the trace that the bot starts goes all the way, and machines find it everywhere.
#[tokio::test]
async fn lines_of_a_vote_have_the_same_trace_from_the_bot_to_the_poll() {
    let binary = on_free_ports().envs(&[("LOG_FORMAT", "json"), ("REQUEST_RATE", "50")]);
    let mut suite = Running::starting(binary);
    suite.run.line("✖ :doughnut: 500");
    suite.run.signal("TERM");
    let (_, lines, _) = suite.end();
    let lines: Vec<Value> =
        lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let says = |line: &Value, target: &str, text: &str| {
        line["target"] == target && line["message"].as_str().is_some_and(|said| said.contains(text))
    };
    let bot = lines.iter().find(|line| says(line, "vote-bot", "✖ :doughnut: 500"));
    let trace = &bot.expect("the line that has been seen")["trace_id"];
    assert!(trace.as_str().is_some_and(|id| id.len() == 32), "{trace}");
    for (target, text) in
        [("web", "GET /api/vote?choice=:doughnut: 500"), ("voting", "Vote for [:doughnut:] failed")]
    {
        let mut of_the_trace = lines.iter().filter(|line| line["trace_id"] == *trace);
        assert!(of_the_trace.any(|line| says(line, target, text)), "{target}: {lines:#?}");
    }
}

#[tokio::test]
async fn a_made_up_method_is_told_apart_from_those_that_there_are() {
    let binary = on_free_ports().envs(&[("NO_BOT", "true"), ("LOG_FORMAT", "json")]);
    let mut suite = Running::starting(binary);
    suite.ready().await;
    let brew = ::http::Request::builder().method("BREW").uri(suite.url("/api/vote"));
    emojivoto_testkit::http::send(brew, "").await.expect("an answer");
    let line: Value = serde_json::from_str(&suite.run.line("BREW /api/vote")).expect("JSON");
    assert_eq!(line["http.request.method"], "_OTHER");
    assert_eq!(line["http.request.method_original"], "BREW");
}

#[tokio::test]
async fn what_a_client_sends_cannot_write_to_a_terminal() {
    for format in ["text", "json"] {
        let binary = on_free_ports().envs(&[("NO_BOT", "true"), ("LOG_FORMAT", format)]);
        let mut suite = Running::starting(binary);
        suite.ready().await;
        // To a terminal, U+009B is ESC [.
        let request = "GET /nowhere?\u{9b}31m\u{85} HTTP/1.1\r\nhost: x\r\n\r\n";
        let answer = emojivoto_testkit::http::raw(suite.web, request.as_bytes(), |a| a.len() > 12);
        assert!(answer.await.starts_with(b"HTTP/1.1 404"));
        let line = suite.run.line("GET /nowhere?");
        assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
        assert!(line.contains(r"/nowhere?\u009b31m\u0085 404 "), "{line:?}");
    }
}

#[tokio::test]
async fn lines_of_requests_can_be_fewer_or_none() {
    for (share, failed) in [("0", 0), ("0.000001", 1)] {
        let suite = without_bot(share);
        for (choice, status) in [(":joy:", 200), (":doughnut:", 500)] {
            assert_eq!(suite.vote(choice).await, status);
        }
        suite.run.signal("TERM");
        let (_, lines, _) = suite.end();
        let lines: Vec<_> = lines.iter().filter(|line| line.contains("/api/vote")).collect();
        assert_eq!(lines.len(), failed, "{lines:#?}");
    }
}

#[tokio::test]
async fn nobody_waits_for_a_log_that_nobody_reads() {
    // Nothing of this test reads the output of the suite once it is up.
    let suite = without_bot("1.0");
    let request = "GET /nowhere HTTP/1.1\r\nhost: emojivoto\r\n\r\n".repeat(1_000);
    let dropped = async || {
        value(&suite.scrape().await, "emojivoto_log_lines_dropped_total").expect("a counter") > 0.0
    };
    for rounds in 0.. {
        if dropped().await {
            break;
        }
        assert!(rounds < 100, "no line is lost, although nobody reads a hundred thousand of them");
        let round = async {
            let mut connection = TcpStream::connect(suite.web).await.expect("a connection");
            let (mut answers, mut requests) = connection.split();
            let sent = requests.write_all(request.as_bytes());
            let (sent, ()) = tokio::join!(sent, not_found(&mut answers, 1_000));
            sent.expect("an open connection");
        };
        within("answers", round).await;
    }
    assert_eq!(suite.vote(":joy:").await, 200);
}
