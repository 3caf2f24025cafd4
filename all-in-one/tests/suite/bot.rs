//! The bot against a real web.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use emojivoto_runtime::{Lifecycle, Stop};
use emojivoto_telemetry::{Observability, Telemetry};
use emojivoto_testkit::{PATIENCE, defaults, eventually, web, within};
use emojivoto_vote_bot::VotingSettings;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
};

use crate::Suite;

fn settings(votes_per_second: f64, ttl: Option<Duration>) -> VotingSettings {
    VotingSettings { host_override: None, request_rate: votes_per_second, ttl, seed: Some(1) }
}

fn start(
    web: SocketAddr,
    settings: VotingSettings,
) -> (Stop, JoinHandle<Result<(), emojivoto_runtime::Error>>) {
    start_observed(web, settings, Telemetry::off())
}

fn start_observed(
    web: SocketAddr,
    settings: VotingSettings,
    telemetry: Telemetry,
) -> (Stop, JoinHandle<Result<(), emojivoto_runtime::Error>>) {
    let (lifecycle, stop) = Lifecycle::new();
    (stop, tokio::spawn(emojivoto_vote_bot::run(web.into(), settings, telemetry, lifecycle)))
}

async fn ends(bot: JoinHandle<Result<(), emojivoto_runtime::Error>>) {
    within("the end of the bot", bot).await.expect("no panic").expect("no error");
}

#[tokio::test]
async fn it_votes_until_it_is_told_to_stop() {
    let suite = Suite::start().await;
    let (stop, bot) = start(suite.web.address(), settings(1_000.0, None));
    eventually("300 votes", || async { (suite.votes().await >= 300).then_some(()) }).await;
    stop.stop();
    ends(bot).await;
    let board = suite.get("/api/leaderboard").await.json();
    let emoji = board.as_array().expect("a board");
    assert!(emoji.len() > 50, "votes are spread over the ballot: {board}");
    assert!(emoji.iter().all(|e| e["shortcode"] != ":doughnut:"), "{board}");
}

#[tokio::test]
async fn it_ends_by_itself_after_its_ttl() {
    let suite = Suite::start().await;
    let (_stop, bot) = start(suite.web.address(), settings(20.0, Some(Duration::from_secs(1))));
    ends(bot).await;
    let votes = suite.votes().await;
    assert!(
        (5..=22).contains(&votes),
        "{votes} votes in a second at 20 a second, less the doughnuts"
    );
}

#[tokio::test]
async fn it_waits_for_web_and_goes_on_when_it_is_back() {
    let suite = Suite::start().await;
    // A port that is free, and on which web comes to be later.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let (stop, bot) = start(address, settings(100.0, None));
    let ready = within("a bot that is ready", stop.becomes_ready()).await;
    assert!(ready, "a bot without a web is no broken bot");

    let listener = TcpListener::bind(address).await.expect("the port again");
    let (lifecycle, web_stop) = Lifecycle::new();
    let backends = emojivoto_web::Backends::at(suite.emoji.address(), suite.voting.address());
    let front_end = emojivoto_web::FrontEnd { grpc_timeout: PATIENCE, ..defaults() };
    let web = tokio::spawn(emojivoto_web::serve(
        backends,
        front_end,
        listener,
        Telemetry::off(),
        lifecycle,
    ));
    eventually("a vote", || async { (suite.votes().await > 0).then_some(()) }).await;
    stop.stop();
    ends(bot).await;
    web_stop.stop();
    ends(web).await;
}

/// Answers everything with the same, and tells what it was asked.
async fn scripted(answer: &'static str, requests: usize) -> (SocketAddr, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let task = tokio::spawn(async move {
        let mut asked = Vec::new();
        while asked.len() < requests {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.expect("a request");
            request.truncate(length);
            asked.push(String::from_utf8(request).expect("text"));
            let head = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                answer.len()
            );
            stream.write_all((head + answer).as_bytes()).await.expect("an answer");
        }
        asked
    });
    (address, task)
}

async fn asked(task: JoinHandle<Vec<String>>) -> Vec<String> {
    within("requests of the bot", task).await.expect("no panic")
}

#[tokio::test]
async fn it_never_votes_for_nothing() {
    for no_ballot in ["[]", "{}", "null", "<html>", r#"[{"unicode":"x"}]"#, ""] {
        let (web, requests) = scripted(no_ballot, 3).await;
        let (stop, bot) = start(web, settings(1_000.0, None));
        for request in asked(requests).await {
            assert!(request.starts_with("GET /api/list HTTP/1.1\r\n"), "{no_ballot}: {request}");
        }
        stop.stop();
        ends(bot).await;
    }
}

#[tokio::test]
async fn its_requests_are_those_of_the_contract() {
    let (web, requests) = scripted(r#"[{"shortcode":":doughnut:","unicode":"x"}]"#, 2).await;
    let host = Some("emojivoto.example".parse().expect("a header"));
    let (stop, bot) = start(web, VotingSettings { host_override: host, ..settings(1.0, None) });
    let asked = asked(requests).await;
    stop.stop();
    ends(bot).await;
    assert!(asked[0].starts_with("GET /api/list HTTP/1.1\r\n"), "{}", asked[0]);
    assert!(asked[1].starts_with("GET /api/vote?choice=:doughnut: HTTP/1.1\r\n"), "{}", asked[1]);
    for request in asked {
        assert!(request.to_lowercase().contains("\r\nhost: emojivoto.example\r\n"), "{request}");
    }
}

/// Or else a second run with the same seed would be a repetition of the first.
#[tokio::test]
async fn each_of_its_votes_has_a_key_that_no_other_has_whatever_the_seed() {
    let mut keys = BTreeSet::new();
    for _ in 0..2 {
        let (web, requests) = scripted(r#"[{"shortcode":":joy:","unicode":"x"}]"#, 100).await;
        let (stop, bot) = start(web, settings(1_000.0, None));
        for request in asked(requests).await {
            let key = header(&request, "idempotency-key");
            assert_eq!(key.is_some(), request.starts_with("GET /api/vote"), "{request}");
            let is_new = key.is_none_or(|key| keys.insert(key.to_owned()));
            assert!(is_new, "{request}");
        }
        stop.stop();
        ends(bot).await;
    }
    // No more than 64 of the requests of a run are for ballots whose votes are still to come.
    assert!(keys.len() >= 2 * 18, "{keys:?}");
}

/// The value of a header in the text of a request.
fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let line = request.lines().find_map(|line| line.split_once(": ").filter(|(n, _)| *n == name));
    line.map(|(_, value)| value)
}

/// Proxies of a mesh make spans only for requests that belong to a trace.
#[tokio::test]
async fn it_starts_a_trace_with_every_request_also_where_nothing_is_exported() {
    let exporter_none =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:1"), ("OTEL_TRACES_EXPORTER", "none")];
    for (variables, flags, b3) in [
        (&[][..], Some("01"), false),
        (&exporter_none, Some("01"), false),
        (&[("OTEL_PROPAGATORS", "tracecontext,b3")], Some("01"), true),
        (&[("OTEL_TRACES_SAMPLER", "always_off")], Some("00"), false),
        (&[("OTEL_SDK_DISABLED", "true")], None, false),
    ] {
        let value = |name: &str| variables.iter().find(|(variable, _)| *variable == name);
        let observability =
            Observability::new(|variable| value(variable).map(|(_, value)| value.into()));
        let telemetry = observability.expect("these are right").service("vote-bot");
        let (web, requests) = scripted(r#"[{"shortcode":":joy:","unicode":"x"}]"#, 2).await;
        let (stop, bot) = start_observed(web, settings(1.0, None), telemetry);
        let requests = asked(requests).await;
        stop.stop();
        ends(bot).await;
        let traces: Vec<_> =
            requests.iter().map(|request| header(request, "traceparent")).collect();
        for (request, parent) in requests.iter().zip(&traces) {
            let fields: Option<Vec<_>> = parent.map(|parent| parent.split('-').collect());
            assert_eq!(fields.as_ref().map(|fields| fields[3]), flags, "{variables:?} {request}");
            let single =
                fields.filter(|_| b3).map(|fields| format!("{}-{}-1", fields[1], fields[2]));
            assert_eq!(header(request, "b3"), single.as_deref(), "{variables:?} {request}");
        }
        assert!(flags.is_none() || traces[0] != traces[1], "{traces:?}");
    }
}

#[tokio::test]
async fn it_can_be_pointed_at_a_web_that_is_not_ready() {
    let suite = Suite::start().await;
    let unready = web(suite.emoji.address(), "127.0.0.1:1".parse().expect("an address")).await;
    let (stop, bot) = start(unready.address(), settings(100.0, Some(Duration::from_millis(300))));
    drop(stop);
    ends(bot).await;
    assert_eq!(suite.votes().await, 0);
}
