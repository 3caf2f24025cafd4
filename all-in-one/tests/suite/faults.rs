//! Faults on purpose, and what is said of them, in the suite as it runs.

use std::{
    cell::Cell,
    collections::BTreeSet,
    fs,
    future::Future,
    time::{Duration, Instant},
};

use ::http::{Method, Request};
use emojivoto_proto::{
    Shortcode,
    voting::{VoteRequest, VotingClient},
};
use emojivoto_runtime::{
    Lifecycle,
    faults::{parse, places},
};
use emojivoto_telemetry::{Failure, Observability, Side};
use emojivoto_testkit::{
    ANY_PORT, PATIENCE, Service, defaults, eventually,
    http::{self, Answer},
    redis_that_hangs, voting, within,
};
use emojivoto_web::Backends;
use futures_util::{StreamExt as _, future::join_all, stream};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};
use tonic::Code;

use crate::running::{Running, on_free_ports, rpc, value};

const FAULT: &str = "x-emojivoto-fault";

fn with(rules: &str) -> Running {
    Running::start(on_free_ports().envs(&[("NO_BOT", "true"), ("FAULTS", rules)]))
}

impl Running {
    async fn admin(&self, method: Method, path: &str, body: &str) -> Answer {
        let request = Request::builder().method(method).uri(format!("http://{}{path}", self.admin));
        http::send(request, body).await.expect("an answer")
    }

    async fn put(&self, rules: &str) -> Answer {
        self.admin(Method::PUT, "/faults", rules).await
    }

    /// An RPC of voting-svc, as it is on the wire.
    async fn rpc(&self, method: &str, timeout: Option<&str>) -> Answer {
        let url = format!("http://{}/emojivoto.v1.VotingService/{method}", self.voting);
        let mut request = Request::post(url).header("content-type", "application/grpc");
        if let Some(timeout) = timeout {
            request = request.header("grpc-timeout", timeout);
        }
        http::send_h2(request, &[0; 5]).await
    }

    async fn struck(&self, rule: &str) -> f64 {
        let series = format!("emojivoto_faults_injected_total{{rule=\"{rule}\"}}");
        value(&self.scrape().await, &series).unwrap_or_default()
    }

    async fn wasted(&self) -> u64 {
        http::sum_of_metrics(self.admin, "emojivoto_wasted_work_total").await
    }

    async fn get(&self, path: &str) -> Answer {
        http::get(&self.url(path)).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_says_what_it_is_in_the_answer_the_log_and_the_metrics() {
    let suite = with(
        "[[rule]]\nname = \"no-joy\"\ngrpc = \"VoteJoy\"\ncode = \"UNAVAILABLE\"\nmessage = \"gone fishing\"\n\
         [[rule]]\nname = \"teapot\"\nhttp = [\"/\", \"/api/list\"]\nstatus = 418\n",
    );
    let joy = suite.rpc("VoteJoy", None).await;
    assert_eq!((joy.header("grpc-status"), joy.header("grpc-message")), ("14", "gone%20fishing"));
    assert_eq!(joy.header(FAULT), "no-joy");
    // web hands it on.
    let vote = suite.get("/api/vote?choice=:joy:").await;
    assert_eq!((vote.status.as_u16(), vote.header(FAULT)), (503, "no-joy"));
    assert_eq!(suite.rpc("VoteGhost", None).await.header(FAULT), "");
    assert_eq!(suite.rpc("VoteDoughnut", None).await.header(FAULT), "doughnut");

    let list = suite.get("/api/list").await;
    assert_eq!((list.status.as_u16(), list.header(FAULT)), (418, "teapot"));
    assert_eq!(list.error(), "i'm a teapot");
    let page = suite.get("/").await;
    assert_eq!((page.status.as_u16(), page.header(FAULT)), (418, "teapot"));
    assert!(page.header("content-type").starts_with("text/html"), "{page:?}");
    assert!(page.header("content-security-policy").contains("default-src 'none'"), "{page:?}");

    assert_eq!((suite.struck("no-joy").await, suite.struck("teapot").await), (2.0, 2.0));
    suite.run.signal("TERM");
    let (_, lines, _) = suite.end();
    let said =
        |words: &[&str]| lines.iter().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(said(&["WARN voting: Vote for [:joy:] failed", "fault=\"no-joy\""]), "{lines:#?}");
    assert!(said(&["WARN web: GET /api/vote?choice=:joy: 503", "fault=\"no-joy\""]), "{lines:#?}");
    assert!(said(&["INFO web: GET /api/list 418", "fault=\"teapot\""]), "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_can_be_hidden_from_those_who_shall_find_it() {
    let rules = "[[rule]]\nname = \"slow\"\nhttp = \"/api/list\"\ndelay = \"1ms\"\n";
    let hidden = [("NO_BOT", "true"), ("FAULTS", rules), ("FAULTS_ANNOUNCE", "false")];
    let suite = Running::start(on_free_ports().envs(&hidden));
    assert_eq!(suite.get("/api/list").await.header(FAULT), "");
    assert_eq!(suite.rpc("VoteDoughnut", None).await.header(FAULT), "");
    let vote = suite.get("/api/vote?choice=:doughnut:").await;
    assert_eq!((vote.status.as_u16(), vote.header(FAULT)), (500, ""));
    assert_eq!((suite.struck("slow").await, suite.struck("doughnut").await), (1.0, 2.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_for_an_emoji_strike_only_those_who_choose_it_however_they_do() {
    let suite = with(
        "[[rule]]\nname = \"no-joy\"\nhttp = [\"/vote\", \"/api/vote\"]\nemoji = \":joy:\"\nstatus = 429\n",
    );
    let (form, json) = ("application/x-www-form-urlencoded", "application/json");
    for (emoji, status) in [("joy", 429), ("ghost", 200)] {
        let api = suite.url("/api/vote");
        let in_query = http::get(&format!("{api}?choice=:{emoji}:")).await;
        let in_form = http::post(&api, form, &format!("choice=:{emoji}:")).await;
        let in_json = http::post(&api, json, &format!("{{\"choice\":\":{emoji}:\"}}")).await;
        let statuses = [in_query, in_form, in_json].map(|answer| answer.status.as_u16());
        assert_eq!(statuses, [status; 3], "{emoji}");
    }
    let page = http::post(&suite.url("/vote"), form, "choice=:ghost:").await;
    assert_eq!(page.status.as_u16(), 303);
    // What is too long is refused as it is without rules.
    let long =
        http::post(&suite.url("/api/vote"), form, &format!("choice={}", "x".repeat(8_000))).await;
    assert_eq!(long.status.as_u16(), 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_can_fail_to_come_or_to_end() {
    let suite = with(
        "[[rule]]\nname = \"cut\"\nhttp = \"/\"\ngrpc = \"VoteJoy\"\nreset = true\n\
         [[rule]]\nname = \"half\"\nhttp = \"/leaderboard\"\ngrpc = \"VoteGhost\"\nstall = true\n",
    );
    // HTTP/1.1: the connection ends without an answer.
    let raw = http::raw(suite.web, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", |_| false).await;
    assert_eq!(raw, b"", "{}", raw.escape_ascii());
    let mut voter = VotingClient::new(suite.voting_channel());
    let joy = ":joy:".parse().expect("an emoji");
    let error = voter.vote(joy, VoteRequest {}).await.expect_err("a reset");
    assert_eq!(error.code(), Code::Internal, "{error}");

    // Half an answer: there is a head, and a body that does not end.
    let mut stream = TcpStream::connect(suite.web).await.expect("a connection");
    stream.write_all(b"GET /leaderboard HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("room");
    let mut read = Vec::new();
    let beginning = async {
        while !read.windows(15).any(|window| window == b"<!doctype html>") {
            assert!(stream.read_buf(&mut read).await.expect("more") > 0, "the end");
        }
    };
    within("the beginning of an answer", beginning).await;
    let head = String::from_utf8_lossy(&read).to_lowercase();
    assert!(head.starts_with("http/1.1 200") && head.contains("x-emojivoto-fault: half"), "{head}");
    assert!(!head.contains("</html>"), "{head}");
    drop(stream);

    // An RPC that stalls ends at the deadline of its caller.
    let began = Instant::now();
    let mut request = tonic::Request::new(VoteRequest {});
    request.set_timeout(Duration::from_millis(200));
    let ghost = ":ghost:".parse().expect("an emoji");
    let error = voter.vote(ghost, request).await.expect_err("half an answer");
    // tonic's clients wait for the server to see the deadline, and it can only reset what it has begun.
    assert_eq!(error.code(), Code::Internal, "{error}");
    let late =
        format!("grpc_server_handled_total{{{},grpc_code=\"DeadlineExceeded\"}}", rpc("VoteGhost"));
    assert_eq!(value(&suite.scrape().await, &late), Some(1.0));
    assert!(began.elapsed() >= Duration::from_millis(200));
    assert_eq!((suite.struck("cut").await, suite.struck("half").await), (2.0, 2.0));
    let metrics = suite.scrape().await;
    assert!(metrics.lines().any(|line| line.contains("error_type=\"reset\"")), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_behind_web_is_named_beside_that_of_web() {
    let suite = with(
        "[[rule]]\nname = \"slow\"\nhttp = \"/api/vote\"\ngrpc = \"VoteGhost\"\ndelay = \"1ms\"\n\
         [[rule]]\nname = \"away\"\ngrpc = [\"VoteJoy\", \"VoteGhost\"]\ncode = \"UNAVAILABLE\"\n",
    );
    for choice in [":joy:", ":ghost:"] {
        let vote = suite.get(&format!("/api/vote?choice={choice}")).await;
        assert_eq!((vote.status.as_u16(), vote.header(FAULT)), (503, "slow, away"), "{choice}");
    }
    assert_eq!(suite.get("/api/vote?choice=:tada:").await.header(FAULT), "slow");
    suite.run.signal("TERM");
    let (_, lines, _) = suite.end();
    let line = lines.iter().find(|line| line.contains("GET /api/vote?choice=:joy: 503"));
    assert!(line.is_some_and(|line| line.contains("fault=\"slow, away\"")), "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_ends_a_call_is_named_by_who_does_it_and_by_web_if_it_can_know() {
    let rules = "[[rule]]\nname = \"late\"\ngrpc = \"VoteJoy\"\ndelay = \"10s\"\n\
                 [[rule]]\nname = \"half\"\ngrpc = \"VoteGhost\"\nstall = true\n\
                 [[rule]]\nname = \"cut\"\ngrpc = \"VoteTada\"\nreset = true\n";
    let settings = [("NO_BOT", "true"), ("GRPC_TIMEOUT", "300ms"), ("FAULTS", rules)];
    let suite = Running::start(on_free_ports().envs(&settings));
    let mut votes = Vec::new();
    for (choice, status, fault) in [("joy", 504, "late"), ("ghost", 504, "half"), ("tada", 503, "")]
    {
        // On a machine that has much else to do, web may be late itself.
        for asked in 1.. {
            let vote = suite.get(&format!("/api/vote?choice=:{choice}:")).await;
            assert_eq!(vote.status.as_u16(), status, "{choice}");
            if vote.header(FAULT) == fault {
                votes.push((choice, asked));
                break;
            }
            assert!(asked < 10, "{choice}: {vote:?}");
        }
    }
    suite.run.signal("TERM");
    let (_, lines, _) = suite.end();
    for ((choice, asked), fault) in votes.into_iter().zip(["late", "half", "cut"]) {
        let said = format!(
            " WARN voting: Vote for [:{choice}:] failed fault=\"{fault}\" error=\"on purpose"
        );
        let count = lines.iter().filter(|line| line.contains(&said)).count();
        assert_eq!(count, asked, "{choice}: {lines:#?}");
    }
}

#[tokio::test]
async fn the_last_failures_name_their_faults() {
    const RULES: &str = "[[rule]]\nname = \"slow\"\nhttp = \"/api/vote\"\ndelay = \"1ms\"\n\
        [[rule]]\nname = \"away\"\ngrpc = \"FindByShortcode\"\ncode = \"UNAVAILABLE\"\n\
        [[rule]]\nname = \"cut\"\ngrpc = \"ListAll\"\nreset = true\n";
    let give = |lifecycle: &Lifecycle| {
        let rules = parse(RULES, &places()).expect("rules");
        lifecycle.faults().give(rules, "a test");
    };
    let observability = Observability::new(|_| None).expect("no export");
    let emoji = Service::start(ANY_PORT, |listener, lifecycle| {
        give(&lifecycle);
        emojivoto_emoji_svc::serve(listener, observability.service("emoji"), lifecycle)
    });
    let (emoji, (voting, _)) = (emoji.await, voting(Duration::ZERO).await);
    let backends = Backends::at(emoji.address(), voting.address());
    let web = Service::start(ANY_PORT, |listener, lifecycle| {
        give(&lifecycle);
        emojivoto_web::serve(
            backends,
            defaults(),
            listener,
            observability.service("web"),
            lifecycle,
        )
    });
    let web = web.await;
    for (side, status, fault) in [
        (Side::Server, "503", "away"),
        (Side::Client, "Unavailable", "away"),
        (Side::Server, "Unavailable", "away"),
        (Side::Server, "Internal", "cut"),
    ] {
        eventually(fault, || async {
            http::get(&web.url("/api/vote?choice=:joy:")).await;
            let is_it = |failure: Failure| {
                let ended = failure.status.to_string();
                let told = (failure.side, ended.as_str(), failure.fault.as_deref());
                told == (side, status, Some(fault))
            };
            observability.failures().into_iter().any(is_it).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn web_becomes_ready_whatever_is_answered_on_purpose() {
    for (code, announce) in [("UNAVAILABLE", "true"), ("INTERNAL", "false")] {
        let rule = format!("[[rule]]\nname = \"none\"\ngrpc = \"Results\"\ncode = \"{code}\"\n");
        let settings =
            [("NO_BOT", "true"), ("FAULTS", rule.as_str()), ("FAULTS_ANNOUNCE", announce)];
        let suite = Running::start(on_free_ports().envs(&settings));
        suite.ready().await;
        assert!(suite.get("/api/leaderboard").await.status.is_server_error(), "{code}");
    }
}

/// A request by HTTP/1.1, and the beginning of its answer: its head, and what has come with it.
async fn begun(suite: &Running, request: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(suite.web).await.expect("a connection");
    let request = format!("{request} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("room");
    let mut read = Vec::new();
    let head = async {
        while !read.windows(4).any(|window| window == b"\r\n\r\n") {
            assert!(stream.read_buf(&mut read).await.expect("more") > 0, "the end");
        }
    };
    within("the head of an answer", head).await;
    (stream, String::from_utf8_lossy(&read).to_lowercase())
}

#[tokio::test(flavor = "multi_thread")]
async fn half_an_answer_is_no_success_in_the_metrics() {
    const CALLS: u32 = 60;
    let suite = with(
        "[[rule]]\nname = \"half\"\nhttp = \"/api/list\"\nshare = 0.5\nseed = 1\nstall = true\n\
         [[rule]]\nname = \"nowhere\"\nhttp = \"/vote\"\nstall = true\n",
    );
    let mut stalled = 0;
    for _ in 0..CALLS {
        let (_, head) = begun(&suite, "GET /api/list").await;
        assert!(head.starts_with("http/1.1 200"), "{head}");
        stalled += u32::from(head.contains("x-emojivoto-fault: half"));
    }
    let metrics = suite.scrape().await;
    let count = |label: &str| {
        let series = "http_server_request_duration_seconds_count";
        let labels = format!("http_request_method=\"GET\",http_route=\"/api/list\",{label}");
        value(&metrics, &format!("{series}{{{labels}}}"))
    };
    let good = f64::from(CALLS - stalled);
    assert_eq!(count("error_type=\"stall\""), Some(f64::from(stalled)));
    assert_eq!(count("http_response_status_code=\"200\""), Some(good));
    let expected = suite.admin(Method::GET, &format!("/expected?calls={CALLS}"), "").await.json();
    let rows = expected["routes"].as_array().expect("rows");
    let row = rows.iter().find(|row| row["http_route"] == "/api/list").expect("a row");
    let bound = |name: &str| row["success"][name].as_f64().expect("a number");
    let bounds = bound("at_least")..=bound("at_most");
    assert!(bounds.contains(&(good / f64::from(CALLS))), "{good} of {CALLS}, not {row}");

    // Nobody is sent on by half an answer.
    let mut browser = TcpStream::connect(suite.web).await.expect("a connection");
    let vote = "POST /vote?choice=:joy: HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n";
    browser.write_all(vote.as_bytes()).await.expect("room");
    let counted = "emojivoto_votes_total{emoji=\":joy:\"}";
    eventually("a vote that is counted", || async {
        value(&suite.scrape().await, counted).filter(|votes| *votes > 0.0)
    })
    .await;
    let answer = timeout(Duration::from_millis(200), browser.read_u8()).await;
    assert!(answer.is_err(), "{answer:?}");
    suite.run.signal("TERM");
    drop(browser);
    let (_, lines, _) = suite.end();
    let line = lines.iter().find(|line| line.contains("WARN web: GET /api/list 200"));
    assert!(line.is_some_and(|line| line.contains("fault=\"half\"")), "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_under_a_limit_is_taken_until_the_end_of_the_answer() {
    let suite = with(
        "[[rule]]\nname = \"one\"\nhttp = \"/leaderboard/live\"\nconcurrency = 1\n\
         [[rule]]\nname = \"two\"\nhttp = \"/api/list\"\nconcurrency = 2\n\
         [[rule]]\nname = \"half\"\nhttp = \"/api/list\"\nstall = true\n",
    );
    for (path, room) in [("/leaderboard/live", 1), ("/api/list", 2)] {
        let request = format!("GET {path}");
        let mut inside = Vec::new();
        for _ in 0..room {
            let (stream, head) = begun(&suite, &request).await;
            assert!(head.starts_with("http/1.1 200"), "{head}");
            inside.push(stream);
        }
        for _ in 0..2 {
            let (_, head) = begun(&suite, &request).await;
            assert!(head.starts_with("http/1.1 429"), "{head}");
        }
        inside.pop();
        eventually("room for another", || async {
            let (_, head) = begun(&suite, &request).await;
            head.starts_with("http/1.1 200").then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_refuse_what_is_too_much() {
    let suite = with(
        "[[rule]]\nname = \"few\"\ngrpc = \"VoteJoy\"\nrate = 2\n\
         [[rule]]\nname = \"one\"\nhttp = \"/api/leaderboard\"\nconcurrency = 1\n\
         [[rule]]\nname = \"slow\"\nhttp = \"/api/leaderboard\"\ndelay = \"300ms\"\n",
    );
    let mut refused = 0;
    for _ in 0..20 {
        let joy = suite.rpc("VoteJoy", None).await;
        match joy.header("grpc-status") {
            "0" => assert_eq!(joy.header(FAULT), ""),
            "8" => {
                assert_eq!(joy.header(FAULT), "few");
                refused += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert!((1..=18).contains(&refused), "{refused} of 20");
    let (one, other) = tokio::join!(suite.get("/api/leaderboard"), suite.get("/api/leaderboard"));
    let mut answers = [one, other];
    answers.sort_by_key(|answer| answer.status);
    let told = answers.each_ref().map(|answer| (answer.status.as_u16(), answer.header(FAULT)));
    assert_eq!(told, [(200, "slow"), (429, "one")]);
    assert_eq!(answers[1].header("retry-after"), "1");
    assert_eq!(suite.get("/api/leaderboard").await.status.as_u16(), 200, "there is room again");
}

#[tokio::test(flavor = "multi_thread")]
async fn delays_end_with_the_patience_of_the_caller_and_nothing_is_done_for_who_has_gone() {
    let suite = with(
        "[[rule]]\nname = \"slow\"\ngrpc = \"VoteJoy\"\nhttp = \"/api/list\"\ndelay = \"1h\"\n",
    );
    let began = Instant::now();
    let joy = suite.rpc("VoteJoy", Some("50m")).await;
    assert_eq!((joy.header("grpc-status"), joy.header(FAULT)), ("4", "slow"));
    assert!(began.elapsed() >= Duration::from_millis(50));
    // A client that goes away.
    let mut stream = TcpStream::connect(suite.web).await.expect("a connection");
    stream.write_all(b"GET /api/list HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("room");
    eventually("a request that is held", || async {
        (suite.struck("slow").await > 1.0).then_some(())
    })
    .await;
    drop(stream);
    eventually("the end of it", || async {
        let metrics = suite.scrape().await;
        let gone =
            |line: &str| line.contains("error_type=\"cancelled\"") && line.contains("/api/list");
        metrics.lines().any(gone).then_some(())
    })
    .await;
    assert_eq!(suite.wasted().await, 0, "nothing had been begun");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_begun_for_somebody_who_goes_is_counted() {
    // web has begun, and waits for the vote.
    let suite = with("[[rule]]\nname = \"slow\"\ngrpc = \"VoteJoy\"\ndelay = \"1h\"\n");
    let mut stream = TcpStream::connect(suite.web).await.expect("a connection");
    let vote = b"GET /api/vote?choice=:joy: HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all(vote).await.expect("room");
    eventually("a vote that is held", || async {
        (suite.struck("slow").await > 0.0).then_some(())
    })
    .await;
    assert_eq!(suite.wasted().await, 0);
    drop(stream);
    let gone = format!("grpc_server_handled_total{{{},grpc_code=\"Canceled\"}}", rpc("VoteJoy"));
    eventually("the end of the vote", || async { value(&suite.scrape().await, &gone) }).await;
    assert_eq!(suite.wasted().await, 1, "web's: voting-svc had not begun");
}

#[tokio::test(flavor = "multi_thread")]
async fn work_whose_deadline_passes_is_wasted() {
    let store = format!("redis://{}", redis_that_hangs().await);
    let settings = [("NO_BOT", "true"), ("VOTES_STORE", &store)];
    let suite = Running::start(on_free_ports().envs(&settings));
    let joy = suite.rpc("VoteJoy", Some("100m")).await;
    assert_eq!((joy.header("grpc-status"), joy.header(FAULT)), ("4", ""));
    assert_eq!(suite.wasted().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_port_shows_faults_and_takes_them_only_if_it_may() {
    let rule = "[[rule]]\nname = \"no-joy\"\ngrpc = \"VoteJoy\"\ncode = \"ABORTED\"\n";
    let suite = Running::without_bot();
    assert_eq!(suite.put(rule).await.status.as_u16(), 403);
    assert_eq!(suite.admin(Method::DELETE, "/faults/doughnut", "").await.status.as_u16(), 403);
    let shown = suite.admin(Method::GET, "/faults", "").await;
    assert_eq!((shown.status.as_u16(), shown.header("content-type")), (200, "application/toml"));
    assert!(shown.body.contains("name = \"doughnut\""), "{}", shown.body);
    drop(suite);

    let suite =
        Running::start(on_free_ports().envs(&[("NO_BOT", "true"), ("FAULTS_ADMIN", "true")]));
    let put = suite.put(rule).await;
    assert_eq!(put.status.as_u16(), 200, "{}", put.body);
    assert_eq!(suite.rpc("VoteJoy", None).await.header(FAULT), "no-joy");
    assert_eq!(suite.put(&put.body).await.status.as_u16(), 200, "what is shown can be put back");
    let bad = suite.put("[[rule]]\nname = \"bad\"\nshare = 1.5\nreset = true\n").await;
    assert_eq!(bad.status.as_u16(), 400);
    assert_eq!(bad.body, "line 3, rule \"bad\", share: expected a number from 0 to 1, got 1.5\n");
    let reloaded = "emojivoto_faults_last_reload_successful";
    assert_eq!(value(&suite.scrape().await, reloaded), Some(0.0));
    assert_eq!(suite.rpc("VoteJoy", None).await.header(FAULT), "no-joy", "the old set stays");
    assert_eq!(suite.put(&"#".repeat(100_000)).await.status.as_u16(), 413);
    assert_eq!(suite.admin(Method::DELETE, "/faults/nobody", "").await.status.as_u16(), 404);
    for (name, method) in [("no-joy", "VoteJoy"), ("doughnut", "VoteDoughnut")] {
        let deleted = suite.admin(Method::DELETE, &format!("/faults/{name}"), "").await;
        assert_eq!(deleted.status.as_u16(), 200);
        assert_eq!(suite.rpc(method, None).await.header("grpc-status"), "0", "{name}");
    }
    assert_eq!(suite.put("").await.status.as_u16(), 200);
    assert_eq!(value(&suite.scrape().await, reloaded), Some(1.0));
    assert_eq!(suite.rpc("VoteDoughnut", None).await.header(FAULT), "doughnut", "the bug is back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_rules_is_followed_as_kubernetes_changes_it() {
    let directory = tempfile::tempdir().expect("a directory");
    // As the kubelet mounts a ConfigMap: the file is a link into `..data`, which is a link that is replaced.
    let at = |name: &str| directory.path().join(name);
    let swap = |version: &str, rules: &str| {
        fs::create_dir(at(version)).expect("a directory");
        fs::write(at(version).join("faults.toml"), rules).expect("a file");
        std::os::unix::fs::symlink(version, at("..data_tmp")).expect("a link");
        fs::rename(at("..data_tmp"), at("..data")).expect("a swap");
    };
    let rule = |name: &str| {
        format!("[[rule]]\nname = \"{name}\"\ngrpc = \"VoteJoy\"\ncode = \"ABORTED\"\n")
    };
    swap("..1", &rule("one"));
    std::os::unix::fs::symlink("..data/faults.toml", at("faults.toml")).expect("a link");
    let path = at("faults.toml").display().to_string();
    let suite = Running::start(on_free_ports().envs(&[("NO_BOT", "true"), ("FAULTS_FILE", &path)]));
    let struck_by = async |name: &str| {
        eventually("another set", || async {
            (suite.rpc("VoteJoy", None).await.header(FAULT) == name).then_some(())
        })
        .await;
    };
    struck_by("one").await;
    swap("..2", &rule("two"));
    struck_by("two").await;
    swap("..3", "[[rule]]\nname = \"three\"\n");
    eventually("a set that is refused", || async {
        let reloaded = value(&suite.scrape().await, "emojivoto_faults_last_reload_successful");
        (reloaded == Some(0.0)).then_some(())
    })
    .await;
    struck_by("two").await;
    swap("..4", "");
    struck_by("").await;
    suite.run.signal("TERM");
    let (_, lines, _) = suite.end();
    let refused = "line 1, rule \"three\": expected something that it does";
    assert!(
        lines.iter().any(|line| line.contains("WARN")
            && line.contains("the faults stay as they were")
            && line.contains(&refused.replace('"', "\\\""))),
        "{lines:#?}"
    );
}

#[test]
fn wrong_rules_at_start_are_refused() {
    let start = |settings: &[(&str, &str)]| {
        let output = on_free_ports().envs(settings).output();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, error) = start(&[("FAULTS", "[[rule]]\nname = \"a\"\nshare = 2\nreset = true")]);
    assert_eq!(code, Some(2), "{error}");
    assert!(
        error.contains("line 3, rule \"a\", share: expected a number from 0 to 1, got 2"),
        "{error}"
    );
    let (code, error) = start(&[("FAULTS_FILE", "/nowhere.toml")]);
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("FAULTS_FILE /nowhere.toml: No such file"), "{error}");
    let (code, error) = start(&[("FAULTS_FILE", "/nowhere.toml"), ("FAULTS", "")]);
    assert_eq!(code, Some(1), "a setting that is empty is not set: {error}");
    let (code, error) = start(&[("FAULTS_FILE", "/nowhere.toml"), ("FAULTS", "# none")]);
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("--faults") && error.contains("--faults-file"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_change_under_traffic_without_a_lost_or_odd_answer() {
    let rule = |name: &str, status: u16, code: &str| {
        format!(
            "[[rule]]\nname = \"{name}\"\nhttp = \"/api/list\"\ngrpc = \"VoteJoy\"\n\
             status = {status}\ncode = \"{code}\"\n"
        )
    };
    let (away, late) = (rule("away", 503, "UNAVAILABLE"), rule("late", 504, "ABORTED"));
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    let swap = |rules: &str| {
        fs::write(at("new.toml"), rules).expect("a file");
        fs::rename(at("new.toml"), at("faults.toml")).expect("a swap");
    };
    swap("");
    let path = at("faults.toml").display().to_string();
    let settings = [("NO_BOT", "true"), ("FAULTS_ADMIN", "true"), ("FAULTS_FILE", &path)];
    let suite = Running::start(on_free_ports().envs(&settings));

    let by_http = async || {
        let answer = suite.get("/api/list").await;
        (answer.status.to_string(), answer.header(FAULT).to_owned())
    };
    let by_grpc = async || {
        let answer = suite.rpc("VoteJoy", None).await;
        (answer.header("grpc-status").to_owned(), answer.header(FAULT).to_owned())
    };
    let client = async |number: u32| {
        let (mut seen, mut answers) = (BTreeSet::new(), 0);
        while answers < 100 || seen.len() < 3 {
            let (told, fault) =
                if number.is_multiple_of(2) { by_http().await } else { by_grpc().await };
            let expected = match &*fault {
                "" => ["200 OK", "0"],
                "away" => ["503 Service Unavailable", "14"],
                "late" => ["504 Gateway Timeout", "10"],
                other => panic!("{other}"),
            };
            assert!(expected.contains(&told.as_str()), "{told} by {fault:?}");
            seen.insert(fault);
            answers += 1;
        }
    };
    let changing = async {
        for number in 0_u32.. {
            assert_eq!(suite.put("").await.status.as_u16(), 200);
            assert_eq!(suite.put(&away).await.status.as_u16(), 200);
            swap(&format!("# {number}\n{late}"));
            eventually("the rules of the file", || async {
                let shown = suite.admin(Method::GET, "/faults", "").await.body;
                shown.contains("\"late\"").then_some(())
            })
            .await;
            sleep(Duration::from_millis(100)).await;
        }
    };
    let both = Box::pin(async {
        tokio::select! {
            _ = join_all((0..8).map(client)) => {}
            () = changing => {}
        }
    });
    within("every set to be seen", both).await;
}

/// Faults of a kind, and calls that show it.
struct Kind {
    name: &'static str,
    /// What its rules say besides, of an RPC and of a route.
    rules: [&'static str; 2],
    calls: u32,
    /// How many at a time.
    at_once: usize,
    /// How long each is waited for.
    timeout: Option<Duration>,
}

impl Kind {
    const fn new(name: &'static str, rules: [&'static str; 2], calls: u32, at_once: usize) -> Self {
        Self { name, rules, calls, at_once, timeout: None }
    }
}

/// One of each. Delays are so long that twice as much, or half, is not taken for the work of the machine.
const KINDS: [Kind; 9] = [
    Kind::new("fails", ["share = 0.3\ncode = \"ABORTED\"", "share = 0.3\nstatus = 503"], 200, 10),
    Kind::new("cut", ["share = 0.5\nreset = true"; 2], 200, 10),
    Kind::new("fixed", ["delay = \"300ms\""; 2], 40, 20),
    Kind::new("even", ["delay = { from = \"100ms\", to = \"500ms\" }"; 2], 100, 20),
    Kind::new("normal", ["delay = { mean = \"300ms\", deviation = \"50ms\" }"; 2], 100, 20),
    Kind::new(
        "points",
        ["delay = { p50 = \"200ms\", p90 = \"400ms\", p99 = \"600ms\" }"; 2],
        100,
        20,
    ),
    Kind {
        timeout: Some(Duration::from_secs(2)),
        ..Kind::new("half", ["share = 0.2\nstall = true"; 2], 20, 20)
    },
    Kind::new("few", ["rate = 50"; 2], 200, 1),
    Kind::new("one", ["concurrency = 1"; 2], 20, 3),
];

const ROUTES: [&str; 9] = [
    "/",
    "/picked",
    "/leaderboard",
    "/favicon.ico",
    "/img/favicon.ico",
    "/api/list",
    "/api/leaderboard",
    "/openapi.json",
    "/static/{file}",
];

/// What calls have shown.
struct Seen {
    succeeded: u32,
    took: Vec<Duration>,
    over: Duration,
}

/// Calls, so many at a time; `call` says whether it has succeeded.
async fn see(kind: &Kind, call: impl AsyncFn() -> bool) -> Seen {
    let start = Instant::now();
    let timed = async |_| {
        let start = Instant::now();
        (call().await, start.elapsed())
    };
    let calls = stream::iter(0..kind.calls).map(timed).buffer_unordered(kind.at_once);
    let (succeeded, mut took): (Vec<_>, Vec<_>) = calls.unzip().await;
    took.sort_unstable();
    let succeeded = succeeded.iter().map(|succeeded| u32::from(*succeeded)).sum();
    Seen { succeeded, took, over: start.elapsed() }
}

/// Seconds that a call may take on a machine that has something else to do.
const MACHINE: f64 = 2.0;

/// What calls have shown, and how long one took at most that nothing delays, of those that were made meanwhile: whatever
/// else the machine had to do, it had to do then, too.
async fn beside<T>(suite: &Running, calls: impl Future<Output = T>) -> (T, Duration) {
    const EVERY: Duration = Duration::from_millis(5);
    let (due, longest) = (Cell::new(Instant::now()), Cell::new(Duration::ZERO));
    let took = || longest.get().max(due.get().elapsed());
    let others = async {
        loop {
            due.set(Instant::now() + EVERY);
            sleep(EVERY).await;
            assert_eq!(suite.rpc("VoteTada", None).await.header("grpc-status"), "0");
            longest.set(took());
        }
    };
    tokio::select! {
        seen = calls => (seen, took()),
        () = others => unreachable!("there is no end to them"),
    }
}

/// Holds what calls have shown against what the suite says that they should.
async fn holds(
    suite: &Running,
    place: (&str, &str, &str),
    kind: &Kind,
    seen: &Seen,
    other: Duration,
) {
    let (list, label, name) = place;
    let Kind { name: fault, calls, timeout, .. } = kind;
    let timeout = timeout.map(|limit| format!("&timeout={}ms", limit.as_millis()));
    let over = seen.over.as_millis().max(1);
    let query = format!("/expected?calls={calls}&over={over}ms{}", timeout.unwrap_or_default());
    let expected = suite.admin(Method::GET, &query, "").await.json();
    let rows = expected[list].as_array().expect("rows");
    let row = rows.iter().find(|row| row[label] == name).expect("a row for each place");
    assert_eq!(row["rules"][0].as_str().map(|rule| rule.starts_with(fault)), Some(true), "{row}");
    let of = |what: &Value, name: &str| what[name].as_f64().expect("a number");
    let (success, ratio) = (&row["success"], f64::from(seen.succeeded) / f64::from(*calls));
    let bounds = of(success, "at_least")..=of(success, "at_most");
    assert!(bounds.contains(&ratio), "{fault} of {name}: {ratio}, not {row}");
    assert_eq!(success["ratio"].is_null(), *fault == "one", "{row}");
    for (quantile, per_mille) in [("p50", 500), ("p90", 900), ("p99", 990)] {
        let took = seen.took[seen.took.len() * per_mille / 1_000];
        let latency = &row["added_latency_seconds"][quantile];
        let longest = of(latency, "at_most");
        // A delay ends a bit later than it should, and the call takes its time as well: less than the delay again. Of
        // those that nothing delays, a layer that takes its time would delay the others, too.
        let at_most =
            if longest > 0.0 { longest * 1.5 + other.as_secs_f64() * 4.0 + 0.02 } else { MACHINE };
        let bounds = of(latency, "at_least")..=at_most;
        assert!(bounds.contains(&took.as_secs_f64()), "{fault} of {name}: {took:?}, not {row}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_expected_is_what_a_load_shows() {
    let others = Shortcode::all().filter(|emoji| *emoji != Shortcode::doughnut());
    let emoji: Vec<_> = others.take(KINDS.len()).collect();
    let rules = KINDS.iter().enumerate().map(|(number, kind)| {
        let Kind { name, rules: [of_rpc, of_route], .. } = kind;
        let (rpc, route) = (emoji[number].rpc(), ROUTES[number]);
        let is_limit = ["few", "one"].contains(name);
        let seed = if is_limit { String::new() } else { format!("seed = {number}") };
        // So that there is more than one at a time.
        let slow = if *name == "one" {
            format!("[[rule]]\nname = \"slow\"\ngrpc = \"{rpc}\"\nhttp = \"{route}\"\ndelay = \"100ms\"\n")
        } else {
            String::new()
        };
        format!(
            "[[rule]]\nname = \"{name}-rpc\"\ngrpc = \"{rpc}\"\n{of_rpc}\n{seed}\n\
             [[rule]]\nname = \"{name}-route\"\nhttp = \"{route}\"\n{of_route}\n{seed}\n{slow}"
        )
    });
    let rules: Vec<_> = rules.collect();
    let suite = with(&rules.concat());
    for (number, kind) in KINDS.iter().enumerate() {
        let choice = emoji[number];
        let voter = VotingClient::new(suite.voting_channel());
        let vote = async || {
            let mut request = tonic::Request::new(VoteRequest {});
            if let Some(limit) = kind.timeout {
                request.set_timeout(limit);
            }
            voter.clone().vote(choice, request).await.is_ok()
        };
        let path = match ROUTES[number] {
            "/picked" => "/picked?choice=:joy:".to_owned(),
            "/static/{file}" => stylesheet(&suite).await,
            route => route.to_owned(),
        };
        let url = suite.url(&path);
        let get = async || {
            let answer = http::send(Request::get(&url), "");
            let answer = tokio::time::timeout(kind.timeout.unwrap_or(PATIENCE), answer).await;
            answer.is_ok_and(|answer| answer.is_ok_and(|answer| answer.status == 200))
        };
        let both = async { tokio::join!(see(kind, vote), see(kind, get)) };
        let ((of_rpc, of_route), other) = beside(&suite, both).await;
        holds(&suite, ("rpcs", "grpc_method", choice.rpc()), kind, &of_rpc, other).await;
        holds(&suite, ("routes", "http_route", ROUTES[number]), kind, &of_route, other).await;
        for seen in [of_rpc, of_route] {
            assert!(seen.succeeded > 0, "{}", kind.name);
            // Anything would lie between what is expected of it.
            assert!(kind.name != "one" || seen.succeeded < kind.calls, "none was refused");
        }
    }
    // What stands behind a route counts, too: none of its own strikes this one, but the doughnut does.
    let doughnut = async || suite.get("/api/vote?choice=:doughnut:").await.status == 200;
    let seen = see(&Kind::new("doughnut", [""; 2], 10, 1), doughnut).await;
    assert_eq!(seen.succeeded, 0);
    let vote = expected_of_votes(&suite).await;
    let rules: Vec<_> =
        vote["rules"].as_array().expect("names").iter().filter_map(Value::as_str).collect();
    assert!(rules.contains(&"doughnut"), "{vote}");
    assert_eq!(vote["success"]["at_most"], 0.0, "all that came to the doughnut has failed: {vote}");

    for (query, error) in [
        ("calls=0", "calls: expected a whole number from 1 to 1000000\n"),
        (
            "timeout=soon",
            "timeout: expected a duration from 1ms to 1h, such as 150ms, 1.5s or 1m30s\n",
        ),
        ("call=5&calls=5&time=1s", "expected calls, timeout and over, got call, time\n"),
    ] {
        let bad = suite.admin(Method::GET, &format!("/expected?{query}"), "").await;
        assert_eq!((bad.status.as_u16(), bad.body.as_str()), (400, error));
    }
}

/// The address of a file that pages need.
async fn stylesheet(suite: &Running) -> String {
    // The page may be struck itself.
    let page = eventually("a page", || async {
        let page = http::send(Request::get(suite.url("/picked?choice=:joy:")), "").await.ok()?;
        (page.status == 200).then_some(page.body)
    })
    .await;
    let begins = page.find("/static/").expect("a file");
    let path: String = page[begins..].chars().take_while(|c| *c != '"').collect();
    path
}

/// What the suite says that votes by its API should show.
async fn expected_of_votes(suite: &Running) -> Value {
    let expected = suite.admin(Method::GET, "/expected", "").await.json();
    let rows = expected["routes"].as_array().expect("rows");
    rows.iter().find(|row| row["http_route"] == "/api/vote").expect("a row").clone()
}

/// Votes that end before voting-svc is called are among those that are expected, and none is there twice.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_expected_of_votes_knows_those_that_a_rule_of_web_ends() {
    let suite = with(
        "[[rule]]\nname = \"closed\"\nhttp = \"/api/vote\"\nemoji = \":tada:\"\nstatus = 503\n\
         [[rule]]\nname = \"cut\"\nhttp = \"/api/vote\"\nemoji = \":ghost:\"\nreset = true\n",
    );
    let form = "application/x-www-form-urlencoded";
    for _ in 0..20 {
        assert_eq!(suite.vote(":tada:").await, 503);
        assert_eq!(suite.vote(":joy:").await, 200);
    }
    let expected = expected_of_votes(&suite).await;
    assert_eq!(expected["success"]["ratio"], 0.5, "{expected}");
    assert_eq!(expected["rules"], json!(["closed"]));
    for _ in 0..20 {
        let cut = Request::get(suite.url("/api/vote?choice=:ghost:"));
        http::send(cut, "").await.expect_err("a reset");
        // Where no rule asks for the emoji.
        let page = http::post(&suite.url("/vote"), form, "choice=:joy:").await;
        assert_eq!(page.status.as_u16(), 303);
    }
    let expected = expected_of_votes(&suite).await;
    assert_eq!(expected["success"]["ratio"], 1.0 / 3.0, "{expected}: the page is another way");
    assert_eq!(expected["rules"], json!(["cut", "closed"]), "by their emoji, as on the ballot");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_asks_at_a_time_what_is_expected() {
    // All that is served has delays that have to be drawn: that takes a while.
    let suite = with(
        "[[rule]]\nname = \"one\"\ndelay = { mean = \"9ms\", deviation = \"1ms\" }\n\
         [[rule]]\nname = \"other\"\ndelay = { mean = \"9ms\", deviation = \"1ms\" }\n",
    );
    let ask = async || suite.admin(Method::GET, "/expected", "").await;
    let (one, other) = tokio::join!(ask(), ask());
    let mut answers = [one, other];
    answers.sort_by_key(|answer| answer.status);
    let statuses = answers.each_ref().map(|answer| answer.status.as_u16());
    assert_eq!((statuses, answers[1].header("retry-after")), ([200, 429], "1"));
    assert_eq!(answers[1].body, "one at a time is told what is expected\n");
    assert_eq!(ask().await.status.as_u16(), 200, "there is room again");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_cannot_be_read_are_told_from_those_that_are_too_long() {
    let suite =
        Running::start(on_free_ports().envs(&[("NO_BOT", "true"), ("FAULTS_ADMIN", "true")]));
    let put =
        b"PUT /faults HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\n#\r\nodd\r\n";
    let broken = http::raw(suite.admin, put, |answer| answer.ends_with(b"broke off\n")).await;
    assert!(broken.starts_with(b"HTTP/1.1 400"), "{}", broken.escape_ascii());
    drop(suite);
    // A byte more than may be, of which the last one that is looked at is half a character.
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), "é".repeat(40_000)).expect("room");
    let path = file.path().display().to_string();
    let output = on_free_ports().envs(&[("FAULTS_FILE", &path)]).output();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("expected at most 65536 bytes"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_slow_for_those_who_call_is_expected_to_fail() {
    let rule = "[[rule]]\nname = \"slow\"\nemoji = \":joy:\"\ndelay = \"1h\"\n";
    let binary = on_free_ports().env("NO_BOT", "true").env("GRPC_TIMEOUT", "100ms");
    let suite = Running::start(binary.env("FAULTS", rule));
    let expected = async || {
        let answer = http::get(&format!("http://{}/expected", suite.admin)).await.json();
        let rpcs = answer["rpcs"].as_array().expect("a list");
        let joy = rpcs.iter().find(|rpc| rpc["grpc_method"] == "VoteJoy").expect("a row");
        joy["success"]["ratio"].clone()
    };
    assert_eq!(expected().await, 1.0, "nobody has said how long he waits");
    assert_eq!(suite.vote(":joy:").await, 504);
    assert_eq!(expected().await, 0.0);
    let page = http::get(&format!("http://{}/?format=json", suite.admin)).await.json();
    let served = page["served"].as_array().expect("rows");
    for name in ["VoteJoy", "/api/vote"] {
        let is_it = |row: &&Value| row["grpc_method"] == name || row["http_route"] == name;
        let of_it = &served.iter().find(is_it).expect("a row")["expected"];
        assert_eq!((&of_it["at_most"], &of_it["seen"]), (&json!(0.0), &json!(0.0)), "{of_it}");
        assert_eq!(of_it["outside"], false, "{of_it}");
    }
}
