//! The live page of the admin port: what it says. How it looks is for a browser, in `e2e`.

use emojivoto_testkit::{eventually, http, redis_that_hangs};
use serde_json::Value;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::running::{Running, on_free_ports, value};

impl Running {
    /// What the page says.
    async fn report(&self) -> Value {
        http::get(&format!("http://{}/?format=json", self.admin)).await.json()
    }
}

/// The row of an RPC or an address, by its name.
#[track_caller]
fn row<'a>(report: &'a Value, side: &str, name: &str) -> &'a Value {
    let names = ["grpc_method", "http_route", "url_template"];
    let rows = report[side].as_array().expect("rows");
    let row = rows.iter().find(|row| names.iter().any(|label| row[label] == name));
    row.unwrap_or_else(|| panic!("{name} in {rows:?}"))
}

/// The sum of all series of this name with these parts in their labels.
fn sum(metrics: &str, name: &str, parts: &[String]) -> f64 {
    let series = metrics.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{'));
    let series = series.filter(|series| parts.iter().all(|part| series.contains(part)));
    series
        .map(|series| series.rsplit_once(' ').expect("a value").1.parse::<f64>().expect("one"))
        .sum()
}

/// Works out what Prometheus' `histogram_quantile` would.
fn histogram_quantile(at: f64, metrics: &str, name: &str, parts: &[String]) -> Option<f64> {
    let bucket = format!("{name}_bucket");
    let bounds = metrics.lines().filter_map(|line| {
        let series = line.strip_prefix(&bucket)?;
        let of_this = parts.iter().all(|part| series.contains(part));
        let bound = series.split("le=\"").nth(1)?.split('"').next()?;
        of_this.then(|| bound.parse::<f64>().expect("a bound"))
    });
    let mut bounds: Vec<_> = bounds.collect();
    bounds.sort_by(f64::total_cmp);
    bounds.dedup();
    let up_to = |bound: f64| {
        let bound =
            if bound.is_finite() { format!("le=\"{bound:?}\"") } else { "le=\"+Inf\"".to_owned() };
        sum(metrics, &bucket, &[parts, &[bound]].concat())
    };
    let rank = at * up_to(f64::INFINITY);
    if rank <= 0.0 {
        return None;
    }
    let mut below = (0.0, 0.0);
    for bound in bounds {
        let count = up_to(bound);
        if count >= rank {
            let part = (rank - below.1) / (count - below.1);
            return Some(if bound.is_finite() {
                below.0 + (bound - below.0) * part
            } else {
                below.0
            });
        }
        below = (bound, count);
    }
    unreachable!("all lie below infinity")
}

#[tokio::test]
async fn figures_are_those_of_the_metrics() {
    let suite = Running::without_bot();
    for choice in [":joy:", ":joy:", ":ghost:", ":doughnut:", ":nope:"] {
        suite.vote(choice).await;
    }
    for path in ["/", "/leaderboard", "/api/list", "/no/such/page"] {
        http::get(&suite.url(path)).await;
    }
    let (metrics, report) = (suite.scrape().await, suite.report().await);
    let mut called = 0;
    for (side, grpc, http, template) in [
        ("served", "grpc_server", "http_server", "http_route"),
        ("called", "grpc_client", "http_client", "url_template"),
    ] {
        for row in report[side].as_array().expect("rows") {
            let since_start = &row["since_start"];
            let (labels, all, failed, in_flight, durations) = if row["grpc_method"].is_string() {
                let label = |name| format!("{name}={}", row[name]);
                let labels = vec![label("grpc_service"), label("grpc_method")];
                let handled = format!("{grpc}_handled_total");
                let all = sum(&metrics, &handled, &labels);
                let of = |code| {
                    let code = format!("grpc_code=\"{code}\"");
                    sum(&metrics, &handled, &[&labels[..], &[code]].concat())
                };
                let started = sum(&metrics, &format!("{grpc}_started_total"), &labels);
                let durations = format!("{grpc}_handling_seconds");
                let failed = all - of("OK") - of("Canceled");
                (labels, all, failed, started - all, durations)
            } else {
                let labels = vec![format!("{template}={}", row[template])];
                let durations = format!("{http}_request_duration_seconds");
                let count = format!("{durations}_count");
                let of = |status| {
                    let status = format!("http_response_status_code=\"{status}");
                    sum(&metrics, &count, &[&labels[..], &[status]].concat())
                };
                let active = sum(&metrics, &format!("{http}_active_requests"), &labels);
                (labels.clone(), sum(&metrics, &count, &labels), of("5"), active, durations)
            };
            assert_eq!(since_start["calls"].as_f64(), Some(all), "{row}");
            assert_eq!(since_start["failed"].as_f64(), Some(failed), "{row}");
            assert_eq!(row["in_flight"].as_f64(), Some(in_flight), "{row}");
            for (field, at) in [("p50_seconds", 0.5), ("p95_seconds", 0.95), ("p99_seconds", 0.99)]
            {
                match histogram_quantile(at, &metrics, &durations, &labels) {
                    Some(expected) => {
                        let got = since_start[field].as_f64().expect("a quantile");
                        assert!((got - expected).abs() < 1e-9, "{field}: {expected} in {row}");
                    }
                    None => assert!(since_start[field].is_null(), "{field} in {row}"),
                }
            }
            called += u32::from(all > 0.0);
        }
    }
    // 4 RPCs of voting-svc and 2 of emoji-svc on both sides, 5 addresses.
    assert!(called >= 15, "{called} have calls");
    let doughnut = &row(&report, "served", "VoteDoughnut")["since_start"];
    assert_eq!((&doughnut["calls"], &doughnut["failed"]), (&1.into(), &1.into()));
    assert_eq!(doughnut["success"], 0.0);
}

#[tokio::test]
async fn what_is_under_way_is_in_flight() {
    let delay = on_free_ports().env("NO_BOT", "true").env("ARTIFICIAL_DELAY", "1h");
    let suite = Running::start(delay.env("GRPC_TIMEOUT", "1h"));
    let mut client = TcpStream::connect(suite.web).await.expect("a connection");
    let vote = "GET /api/vote?choice=:joy: HTTP/1.1\r\nhost: emojivoto\r\n\r\n";
    client.write_all(vote.as_bytes()).await.expect("a request");
    suite.rpc_started("VoteJoy").await;
    let report = suite.report().await;
    for (side, name) in [("served", "VoteJoy"), ("called", "VoteJoy"), ("served", "/api/vote")] {
        assert_eq!(row(&report, side, name)["in_flight"], 1, "{side} {name}");
    }
    assert_eq!(row(&report, "served", "FindByShortcode")["in_flight"], 0);
}

#[tokio::test]
async fn what_is_made_up_adds_no_row() {
    let suite = Running::without_bot();
    let make_up = async |number: u32| {
        let answer = http::get(&suite.url(&format!("/made/up/{number}?choice=:joy:"))).await;
        assert_eq!(answer.status, 404);
        let rpc = format!("http://{}/emojivoto.v1.VotingService/MadeUp{number}", suite.voting);
        http::post_h2(&rpc, "application/grpc", &[0; 5]).await;
    };
    let rows = async || {
        let report = suite.report().await;
        ["served", "called", "failures"].map(|list| report[list].as_array().expect("a list").len())
    };
    make_up(0).await;
    let before = rows().await;
    for number in 1..=1_000 {
        make_up(number).await;
    }
    assert_eq!(rows().await, before);
    assert_eq!(row(&suite.report().await, "served", "_OTHER")["since_start"]["calls"], 1_001);
}

#[tokio::test]
async fn while_nobody_looks_nothing_is_worked_out() {
    let suite = Running::without_bot();
    for _ in 0..20 {
        suite.vote(":joy:").await;
    }
    let reports = async || value(&suite.scrape().await, "emojivoto_zpages_reports_total");
    assert_eq!(reports().await, Some(0.0));
    suite.report().await;
    assert_eq!(reports().await, Some(1.0));
    let mut viewer = TcpStream::connect(suite.admin).await.expect("a connection");
    viewer.write_all(b"GET /events HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("a request");
    eventually("a page for who watches", || async {
        reports().await.filter(|reports| *reports >= 3.0)
    })
    .await;
}

#[tokio::test]
async fn failures_say_why_and_belong_to_a_trace() {
    let suite = Running::without_bot();
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let vote = ::http::Request::get(suite.url("/api/vote?choice=:doughnut:"));
    let vote = vote.header("traceparent", format!("00-{trace}-b7ad6b7169203331-00"));
    assert_eq!(http::send(vote, "").await.expect("an answer").status, 500);
    let report = suite.report().await;
    let failures = report["failures"].as_array().expect("a list");
    for (side, label, name, status, cause) in [
        ("served", "grpc_method", "VoteDoughnut", "Unknown", "ERROR"),
        ("called", "grpc_method", "VoteDoughnut", "Unknown", "ERROR"),
        ("served", "http_route", "/api/vote", "500", "ERROR"),
    ] {
        let failure = failures.iter().find(|one| one["side"] == side && one[label] == name);
        let failure = failure.unwrap_or_else(|| panic!("{side} {name} in {failures:?}"));
        assert_eq!(failure["status"], status, "{failure}");
        assert!(failure["cause"].as_str().is_some_and(|text| text.contains(cause)), "{failure}");
        assert_eq!((&failure["fault"], &failure["trace_id"]), (&"doughnut".into(), &trace.into()));
        assert!(failure["seconds_ago"].as_f64().is_some_and(|age| age < 60.0), "{failure}");
    }
    assert_eq!(failures.len(), 3, "{failures:?}");
}

#[tokio::test]
async fn what_is_seen_stands_beside_what_is_expected() {
    let rule =
        "[[rule]]\nname = \"coin\"\nemoji = \":joy:\"\nshare = 0.5\ncode = \"ABORTED\"\nseed = 1\n";
    let binary = on_free_ports().env("NO_BOT", "true").env("FAULTS", rule);
    let suite = Running::start(binary.env("FAULTS_ADMIN", "true"));
    for _ in 0..100 {
        suite.vote(":joy:").await;
    }
    suite.vote(":doughnut:").await;
    let report = suite.report().await;
    let joy = &row(&report, "served", "VoteJoy")["expected"];
    assert_eq!((&joy["rules"][0], &joy["calls"]), (&"coin".into(), &100.into()));
    assert_eq!((&joy["success"], &joy["outside"]), (&0.5.into(), &false.into()));
    let seen = joy["seen"].as_f64().expect("calls");
    assert!((0.3..0.7).contains(&seen), "{joy}");
    let doughnut = &row(&report, "served", "VoteDoughnut")["expected"];
    assert_eq!((&doughnut["at_most"], &doughnut["outside"]), (&0.0.into(), &false.into()));
    let vote = &row(&report, "served", "/api/vote")["expected"];
    assert_eq!((&vote["calls"], &vote["outside"]), (&101.into(), &false.into()), "{vote}");
    assert!(row(&report, "called", "VoteJoy")["expected"].is_null(), "it is for what is served");

    // These are their clients' mistakes.
    for _ in 0..100 {
        assert_eq!(suite.vote(":nope:").await, 400);
    }
    let vote = row(&suite.report().await, "served", "/api/vote")["expected"].clone();
    assert_eq!((&vote["calls"], &vote["outside"]), (&101.into(), &false.into()), "{vote}");

    // Of what was before the rules changed, nothing is held against them.
    let faults = format!("http://{}/faults", suite.admin);
    let put = ::http::Request::put(&faults);
    let put = http::send(put, &rule.replace("0.5", "0.1")).await.expect("an answer");
    assert_eq!(put.status, 200, "{put:?}");
    let report = suite.report().await;
    assert!(row(&report, "served", "VoteJoy")["expected"].is_null());
    let names: Vec<_> =
        report["faults"].as_array().expect("rules").iter().map(|rule| &rule["name"]).collect();
    assert_eq!(names, ["doughnut", "coin"]);
}

#[tokio::test]
async fn what_fails_by_itself_is_outside_of_what_the_rules_predict() {
    let store = format!("redis://{}", redis_that_hangs().await);
    let settings = [("NO_BOT", "true"), ("VOTES_STORE", &store), ("GRPC_TIMEOUT", "100ms")];
    let suite = Running::starting(on_free_ports().envs(&settings));
    for choice in [[":joy:"; 9].as_slice(), &[":doughnut:"]].concat() {
        suite.vote(choice).await;
    }
    let report = suite.report().await;
    for name in ["VoteJoy", "/api/vote"] {
        let joy = &row(&report, "served", name)["expected"];
        assert_eq!((&joy["seen"], &joy["outside"]), (&0.0.into(), &true.into()), "{name}: {joy}");
    }
    assert_eq!(row(&report, "served", "VoteDoughnut")["expected"]["outside"], false);
    assert_eq!(row(&report, "served", "FindByShortcode")["expected"]["outside"], false);
}

#[tokio::test]
async fn the_page_comes_whole_and_says_what_it_does_not_know() {
    let suite = Running::without_bot();
    let url = format!("http://{}/", suite.admin);
    let page = http::get(&url).await;
    assert_eq!(
        (page.status.as_u16(), page.header("content-type")),
        (200, "text/html; charset=utf-8")
    );
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    assert_eq!(page.header("cache-control"), "no-store");
    assert!(page.body.contains("</html>"), "{}", page.body);
    let accepting = ::http::Request::get(&url).header("accept-encoding", "gzip");
    let small = http::send(accepting, "").await.expect("an answer");
    assert_eq!(small.header("content-encoding"), "gzip");
    assert!(small.length < page.length / 3, "{} of {}", small.length, page.length);
    let other = http::get(&format!("{url}?format=xml")).await;
    assert_eq!((other.status.as_u16(), &*other.body), (400, "format: expected json or html\n"));
}

#[tokio::test]
async fn clients_that_do_otherwise_leave_no_false_mark() {
    let suite = Running::without_bot();
    // Bots choose otherwise than people.
    for _ in 0..60 {
        assert_eq!(suite.vote(":joy:").await, 200);
    }
    for _ in 0..5 {
        let form = "application/x-www-form-urlencoded";
        let page = http::post(&suite.url("/vote"), form, "choice=:doughnut:").await;
        assert_eq!(page.status, 500);
    }
    // The key of another vote.
    for (choice, status) in [(":joy:", 200), (":ghost:", 422)] {
        let vote = ::http::Request::post(suite.url(&format!("/api/vote?choice={choice}")));
        let vote = http::send(vote.header("Idempotency-Key", "one-key"), "").await;
        assert_eq!(vote.expect("an answer").status.as_u16(), status, "{choice}");
    }
    let report = suite.report().await;
    for name in ["/vote", "/api/vote", "VoteGhost", "VoteDoughnut"] {
        let expected = &row(&report, "served", name)["expected"];
        assert_eq!(expected["outside"], false, "{name}: {expected}");
    }
    assert_eq!(row(&report, "served", "/vote")["expected"]["seen"], 0.0);
    let ghost = &row(&report, "served", "VoteGhost")["since_start"];
    assert_eq!((&ghost["calls"], &ghost["failed"]), (&1.into(), &0.into()), "{ghost}");
    assert_eq!(row(&report, "called", "VoteGhost")["since_start"]["failed"], 0);
}

#[tokio::test]
async fn callers_who_wait_differently_widen_what_is_expected() {
    let rule = "[[rule]]\nname = \"slow\"\nemoji = \":joy:\"\ndelay = \"200ms\"\n";
    let binary = on_free_ports().env("NO_BOT", "true").env("GRPC_TIMEOUT", "100ms");
    let suite = Running::start(binary.env("FAULTS", rule));
    assert_eq!(suite.vote(":joy:").await, 504);
    let expected = async || row(&suite.report().await, "served", "VoteJoy")["expected"].clone();
    let alone = expected().await;
    assert_eq!((&alone["at_most"], &alone["outside"]), (&0.0.into(), &false.into()), "{alone}");
    // One who waits for ever.
    let rpc = format!("http://{}/emojivoto.v1.VotingService/VoteJoy", suite.voting);
    let patient = http::post_h2(&rpc, "application/grpc", &[0; 5]).await;
    assert_eq!(patient.header("grpc-status"), "0");
    let both = expected().await;
    assert_eq!((&both["seen"], &both["outside"]), (&0.5.into(), &false.into()), "{both}");
    assert!(both["success"].is_null(), "{both}");
}
