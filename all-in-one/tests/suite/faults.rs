//! Faults on purpose, and what is said of them, in the suite as it runs.

use std::{
    fs,
    time::{Duration, Instant},
};

use ::http::{Method, Request};
use emojivoto_proto::{
    Shortcode,
    voting::{VoteRequest, VotingClient},
};
use emojivoto_testkit::{
    eventually,
    http::{self, Answer},
    within,
};
use serde_json::Value;
use tokio::{io::AsyncReadExt as _, io::AsyncWriteExt as _, net::TcpStream};
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
    eventually("wasted work", || async { (suite.wasted().await > 0).then_some(()) }).await;
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
    let suite =
        Running::start(on_free_ports().envs(&[("NO_BOT", "true"), ("FAULTS_ADMIN", "true")]));
    let rule = |name: &str, status: u16| {
        format!("[[rule]]\nname = \"{name}\"\nhttp = \"/api/list\"\nstatus = {status}\n")
    };
    let voting = async {
        let (mut seen, mut counts) = (std::collections::BTreeSet::new(), 0);
        while counts < 300 || seen.len() < 3 {
            let answer = suite.get("/api/list").await;
            let told = (answer.status.as_u16(), answer.header(FAULT).to_owned());
            let expected = [(200, ""), (418, "teapot"), (503, "away")];
            assert!(expected.contains(&(told.0, told.1.as_str())), "{told:?}");
            seen.insert(told.0);
            counts += 1;
        }
    };
    let changing = async {
        loop {
            for rules in [rule("teapot", 418), rule("away", 503), String::new()] {
                assert_eq!(suite.put(&rules).await.status.as_u16(), 200);
            }
        }
    };
    let both = Box::pin(async {
        tokio::select! {
            () = voting => {}
            () = changing => {}
        }
    });
    within("every set to be seen", both).await;
}

/// Faults of every kind, each with its name and what it says besides of an RPC and of a route; how many calls show it; and
/// how long these are waited for.
const KINDS: [(&str, [&str; 2], u32, Option<Duration>); 9] = [
    ("fails", ["share = 0.3\ncode = \"ABORTED\"", "share = 0.3\nstatus = 503"], 200, None),
    ("cut", ["share = 0.5\nreset = true"; 2], 200, None),
    ("fixed", ["delay = \"5ms\""; 2], 50, None),
    ("even", ["delay = { from = \"1ms\", to = \"9ms\" }"; 2], 200, None),
    ("normal", ["delay = { mean = \"5ms\", deviation = \"1ms\" }"; 2], 200, None),
    ("points", ["delay = { p50 = \"1ms\", p90 = \"4ms\", p99 = \"9ms\" }"; 2], 200, None),
    ("half", ["share = 0.2\nstall = true"; 2], 15, Some(Duration::from_secs(2))),
    ("few", ["rate = 50"; 2], 200, None),
    ("one", ["concurrency = 1"; 2], 20, None),
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

/// Calls one time after the other; `call` says whether it has succeeded.
async fn see(calls: u32, mut call: impl AsyncFnMut() -> bool) -> Seen {
    let (mut succeeded, mut took, start) = (0, Vec::new(), Instant::now());
    for _ in 0..calls {
        let start = Instant::now();
        succeeded += u32::from(call().await);
        took.push(start.elapsed());
    }
    took.sort_unstable();
    Seen { succeeded, took, over: start.elapsed() }
}

/// Holds what calls have shown against what the suite says that they should.
async fn holds(suite: &Running, place: (&str, &str, &str), kind: usize, seen: &Seen) {
    let (list, label, name) = place;
    let (fault, _, calls, limit) = KINDS[kind];
    let limit = limit.map(|limit| format!("&timeout={}ms", limit.as_millis())).unwrap_or_default();
    let over = seen.over.as_millis().max(1);
    let query = format!("/expected?calls={calls}&over={over}ms{limit}");
    let expected = suite.admin(Method::GET, &query, "").await.json();
    let rows = expected[list].as_array().expect("rows");
    let row = rows.iter().find(|row| row[label] == name).expect("a row for each place");
    assert_eq!(row["rules"][0].as_str().map(|rule| rule.starts_with(fault)), Some(true), "{row}");
    let of = |what: &Value, name: &str| what[name].as_f64().expect("a number");
    let (success, ratio) = (&row["success"], f64::from(seen.succeeded) / f64::from(calls));
    let bounds = of(success, "at_least")..=of(success, "at_most");
    assert!(bounds.contains(&ratio), "{fault} of {name}: {ratio}, not {row}");
    assert_eq!(success["ratio"].is_null(), fault == "one", "{row}");
    for (quantile, per_mille) in [("p50", 500), ("p90", 900), ("p99", 990)] {
        let took = seen.took[(seen.took.len() * per_mille / 1_000).min(seen.took.len() - 1)];
        let latency = &row["added_latency_seconds"][quantile];
        let bounds = of(latency, "at_least")..=of(latency, "at_most") + MACHINE.as_secs_f64();
        assert!(bounds.contains(&took.as_secs_f64()), "{fault} of {name}: {took:?}, not {row}");
    }
}

/// What a call may take that nothing delays, on a machine that has something else to do.
const MACHINE: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn what_is_expected_is_what_a_load_shows() {
    let others = Shortcode::all().filter(|emoji| *emoji != Shortcode::doughnut());
    let emoji: Vec<_> = others.take(KINDS.len()).collect();
    let rules = KINDS.iter().enumerate().map(|(kind, (name, [of_rpc, of_route], ..))| {
        let (rpc, route) = (emoji[kind].rpc(), ROUTES[kind]);
        let is_limit = ["few", "one"].contains(name);
        let seed = if is_limit { String::new() } else { format!("seed = {kind}") };
        format!(
            "[[rule]]\nname = \"{name}-rpc\"\ngrpc = \"{rpc}\"\n{of_rpc}\n{seed}\n\
             [[rule]]\nname = \"{name}-route\"\nhttp = \"{route}\"\n{of_route}\n{seed}\n"
        )
    });
    let rules: Vec<_> = rules.collect();
    let suite = with(&rules.concat());
    for (kind, (name, _, calls, limit)) in KINDS.iter().enumerate() {
        let choice = emoji[kind];
        let mut voter = VotingClient::new(suite.voting_channel());
        let vote = async || {
            let mut request = tonic::Request::new(VoteRequest {});
            if let Some(limit) = limit {
                request.set_timeout(*limit);
            }
            voter.vote(choice, request).await.is_ok()
        };
        let seen = see(*calls, vote).await;
        holds(&suite, ("rpcs", "grpc_method", choice.rpc()), kind, &seen).await;

        let path = match ROUTES[kind] {
            "/picked" => "/picked?choice=:joy:".to_owned(),
            "/static/{file}" => stylesheet(&suite).await,
            route => route.to_owned(),
        };
        let url = suite.url(&path);
        let get = async || {
            let answer = http::send(Request::get(&url), "");
            let answer = tokio::time::timeout(limit.unwrap_or(MACHINE * 10), answer).await;
            answer.is_ok_and(|answer| answer.is_ok_and(|answer| answer.status == 200))
        };
        let seen = see(*calls, get).await;
        holds(&suite, ("routes", "http_route", ROUTES[kind]), kind, &seen).await;
        assert!(seen.succeeded > 0, "{name}");
    }
    // What stands behind a route counts, too: none of its own strikes this one, but the doughnut does.
    let seen = see(10, async || suite.get("/api/vote?choice=:doughnut:").await.status == 200).await;
    assert_eq!(seen.succeeded, 0);
    let expected = suite.admin(Method::GET, "/expected", "").await.json();
    let rows = expected["routes"].as_array().expect("rows");
    let vote = rows.iter().find(|row| row["http_route"] == "/api/vote").expect("a row");
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
