//! What Prometheus gets to see of the running suite.

use emojivoto_proto::{
    Shortcode,
    voting::{self, VoteRequest},
};
use emojivoto_testkit::{eventually, http};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use tonic::{Code, Request, client::Grpc};
use tonic_prost::ProstCodec;

use crate::running::{Running, not_found, on_free_ports, rpc, value};

/// The number of series.
fn series(metrics: &str) -> usize {
    metrics.lines().filter(|line| !line.starts_with('#')).count()
}

#[tokio::test]
async fn every_rpc_and_every_emoji_is_there_before_the_first_vote() {
    let suite = Running::without_bot();
    let metrics = suite.scrape().await;
    for method in voting::Method::all() {
        let labels = rpc(method.name());
        for name in ["started", "msg_received", "msg_sent"] {
            for side in ["server", "client"] {
                let series = format!("grpc_{side}_{name}_total{{{labels}}}");
                let value = value(&metrics, &series).unwrap_or_else(|| panic!("{series}"));
                // web has asked for the results to see whether its backends are there.
                assert!(value == 0.0 || method == voting::Method::Results, "{series} {value}");
            }
        }
        let handled = format!("grpc_server_handled_total{{{labels},grpc_code=\"OK\"}}");
        assert!(value(&metrics, &handled).is_some(), "{handled}");
    }
    for emoji in Shortcode::all() {
        let votes = format!("emojivoto_votes_total{{emoji=\"{emoji}\"}}");
        assert_eq!(value(&metrics, &votes), Some(0.0), "{votes}");
    }
}

#[tokio::test]
async fn a_vote_is_counted_wherever_it_passes() {
    let suite = Running::without_bot();
    assert_eq!(suite.vote(":joy:").await, 200);
    assert_eq!(suite.vote(":doughnut:").await, 500);
    assert_eq!(suite.vote(":nobody:").await, 400);
    let metrics = suite.scrape().await;
    let one = |series: &str| {
        assert_eq!(value(&metrics, series), Some(1.0), "{series} in\n{metrics}");
    };
    for (method, code) in [("VoteJoy", "OK"), ("VoteDoughnut", "Unknown")] {
        let labels = rpc(method);
        for side in ["server", "client"] {
            one(&format!("grpc_{side}_started_total{{{labels}}}"));
            one(&format!("grpc_{side}_handled_total{{{labels},grpc_code=\"{code}\"}}"));
            one(&format!("grpc_{side}_handling_seconds_count{{{labels}}}"));
            one(&format!("grpc_{side}_handling_seconds_bucket{{le=\"+Inf\",{labels}}}"));
        }
        one(&format!("grpc_server_msg_received_total{{{labels}}}"));
        one(&format!("grpc_client_msg_sent_total{{{labels}}}"));
    }
    // An error carries no message.
    for (method, messages) in [("VoteJoy", 1.0), ("VoteDoughnut", 0.0)] {
        let sent = format!("grpc_server_msg_sent_total{{{}}}", rpc(method));
        let received = format!("grpc_client_msg_received_total{{{}}}", rpc(method));
        assert_eq!(value(&metrics, &sent), Some(messages), "{sent}");
        assert_eq!(value(&metrics, &received), Some(messages), "{received}");
    }
    one(r#"emojivoto_votes_total{emoji=":joy:"}"#);
    assert_eq!(value(&metrics, r#"emojivoto_votes_total{emoji=":doughnut:"}"#), Some(0.0));
    for status in [200, 400, 500] {
        one(&format!(
            r#"http_server_request_duration_seconds_count{{http_request_method="GET",http_route="/api/vote",http_response_status_code="{status}"}}"#
        ));
    }
    let active = r#"http_server_active_requests{http_request_method="GET",http_route="/api/vote"}"#;
    assert_eq!(value(&metrics, active), Some(0.0));
    assert_eq!(value(&metrics, "emojivoto_log_lines_dropped_total"), Some(0.0));
    let version = env!("CARGO_PKG_VERSION");
    assert!(metrics.contains(&format!("emojivoto_build_info{{version=\"{version}\",revision=\"")));
    for name in ["resident_memory_bytes", "start_time_seconds", "open_fds"] {
        let name = format!("process_{name}");
        assert!(value(&metrics, &name).is_some_and(|value| value > 0.0), "{name}");
    }
    // The kernel counts in ticks of 10 ms, and so far it may not have seen the process in one.
    eventually("processor time, while it is asked for", || async {
        value(&suite.scrape().await, "process_cpu_seconds_total").filter(|seconds| *seconds > 0.0)
    })
    .await;
}

#[tokio::test]
async fn a_scraper_that_can_read_open_metrics_gets_it() {
    let suite = Running::without_bot();
    let url = format!("http://{}/metrics", suite.admin);
    let plain = http::get(&url).await;
    assert_eq!(plain.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert!(plain.body.contains("# TYPE grpc_server_started_total counter\n"), "{}", plain.body);

    // Of a trace that this process keeps nothing of, no duration is an example.
    let vote = ::http::Request::get(suite.url("/api/vote?choice=:joy:"));
    let sampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    http::send(vote.header("traceparent", sampled), "").await.expect("an answer");

    let accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    let open = ::http::Request::get(&url).header("accept", accept);
    let open = http::send(open, "").await.expect("an answer");
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(open.header("content-type"), content_type);
    assert!(open.body.contains("# TYPE grpc_server_started counter\n"), "{}", open.body);
    assert!(open.body.contains(r#"grpc_method="VoteJoy""#) && !open.body.contains("trace_id="));
    assert!(open.body.ends_with("# EOF\n"));
}

#[tokio::test]
async fn a_client_that_goes_away_is_counted_all_the_way_and_leaves_a_line() {
    let delay = on_free_ports().env("NO_BOT", "true").env("ARTIFICIAL_DELAY", "1h");
    let mut suite = Running::start(delay.env("GRPC_TIMEOUT", "1h"));
    let mut client = TcpStream::connect(suite.web).await.expect("a connection");
    let vote = "GET /api/vote?choice=:joy: HTTP/1.1\r\nhost: emojivoto\r\n\r\n";
    client.write_all(vote.as_bytes()).await.expect("a request");
    suite.rpc_started("VoteJoy").await;
    let active = r#"http_server_active_requests{http_request_method="GET",http_route="/api/vote"}"#;
    assert_eq!(value(&suite.scrape().await, active), Some(1.0));
    drop(client);
    let went_away = [
        format!("grpc_server_handled_total{{{},grpc_code=\"Canceled\"}}", rpc("VoteJoy")),
        format!("grpc_client_handled_total{{{},grpc_code=\"Canceled\"}}", rpc("VoteJoy")),
        r#"http_server_request_duration_seconds_count{http_request_method="GET",http_route="/api/vote",error_type="cancelled"}"#.to_owned(),
    ];
    eventually("the end of all three", || async {
        let metrics = suite.scrape().await;
        let ended = went_away.iter().all(|series| value(&metrics, series) == Some(1.0));
        (ended && value(&metrics, active) == Some(0.0)).then_some(())
    })
    .await;
    suite.run.line("GET /api/vote?choice=:joy: 499 ");
}

#[tokio::test]
async fn a_vote_that_is_not_answered_in_time_is_counted_as_that_by_web() {
    let slow = on_free_ports().env("NO_BOT", "true").env("ARTIFICIAL_DELAY", "1h");
    let suite = Running::start(slow.env("GRPC_TIMEOUT", "200ms"));
    let handled = |side, code| {
        format!("grpc_{side}_handled_total{{{},grpc_code=\"{code}\"}}", rpc("VoteJoy"))
    };
    eventually("the end on both sides", || async {
        // Again, as time may be up before web has asked voting-svc.
        assert_eq!(suite.vote(":joy:").await, 504);
        let metrics = suite.scrape().await;
        let counted = |side, code| value(&metrics, &handled(side, code)) >= Some(1.0);
        // For the server the deadline comes a little later: web may be gone by then.
        let server = counted("server", "DeadlineExceeded") || counted("server", "Canceled");
        (counted("client", "DeadlineExceeded") && server).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_deadline_is_kept_by_the_server_where_the_client_does_not() {
    let slow = on_free_ports().env("NO_BOT", "true").env("ARTIFICIAL_DELAY", "1h");
    let suite = Running::start(slow);
    let vote = format!("http://{}/emojivoto.v1.VotingService/VoteJoy", suite.voting);
    let vote = ::http::Request::post(vote).header("content-type", "application/grpc");
    let no_fields = [0; 5];
    let answer = http::send_h2(vote.header("grpc-timeout", "50m"), &no_fields).await;
    assert_eq!(answer.header("grpc-status"), "4", "DEADLINE_EXCEEDED, not CANCELLED: {answer:?}");
    let handled =
        format!("grpc_server_handled_total{{{},grpc_code=\"DeadlineExceeded\"}}", rpc("VoteJoy"));
    eventually("the end", || async {
        (value(&suite.scrape().await, &handled) == Some(1.0)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn who_watches_the_leaderboard_is_counted() {
    let suite = Running::without_bot();
    let viewers = |viewers: f64| {
        let (suite, name) = (&suite, "emojivoto_leaderboard_viewers");
        eventually("the viewers", move || async move {
            (value(&suite.scrape().await, name) == Some(viewers)).then_some(())
        })
    };
    viewers(0.0).await;
    let request = b"GET /leaderboard/live HTTP/1.1\r\nhost: emojivoto\r\n\r\n";
    let mut viewer = TcpStream::connect(suite.web).await.expect("a connection");
    viewer.write_all(request).await.expect("a request");
    viewers(1.0).await;
    drop(viewer);
    viewers(0.0).await;
}

#[tokio::test]
async fn the_bot_counts_what_it_sent_and_what_became_of_it() {
    let suite = Running::start(on_free_ports().env("REQUEST_RATE", "200"));
    let failed = r#"emojivoto_bot_votes_total{emoji=":doughnut:",outcome="failed"}"#;
    let sum = |metrics: &str, prefix: &str, suffix: &str| -> f64 {
        let lines = metrics.lines().filter(|line| line.starts_with(prefix));
        lines.filter_map(|line| line.split_once(suffix)?.1.parse::<f64>().ok()).sum()
    };
    let counted =
        |metrics: &str| sum(metrics, "emojivoto_bot_votes_total{", "outcome=\"counted\"} ");
    let before = eventually("a doughnut, and a vote that counts", || async {
        let metrics = suite.scrape().await;
        (value(&metrics, failed).is_some() && counted(&metrics) >= 1.0).then_some(metrics)
    })
    .await;
    // Whatever has an outcome by now has been sent, while one scrape alone is not one moment.
    let (counted, after) = (counted(&before), suite.scrape().await);
    let sent = sum(&after, "emojivoto_bot_votes_sent_total{", "} ");
    assert!(sent > counted, "{sent} sent, {counted} counted");
    let doughnut = r#"emojivoto_bot_votes_sent_total{emoji=":doughnut:"}"#;
    assert!(value(&after, doughnut) >= value(&before, failed));
    let asked = r#"http_client_request_duration_seconds_count{http_request_method="GET",url_template="/api/list",http_response_status_code="200"}"#;
    assert!(value(&after, asked).is_some_and(|lists| lists >= counted), "{after}");
}

/// How many paths there are that lead nowhere, and how many RPCs that there are not.
const BAD_PATHS: usize = 100_000;
const BAD_RPCS: usize = 10_000;
const AT_ONCE: usize = 1_000;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_clients_make_up_becomes_a_series() {
    let suite = Running::start(on_free_ports().envs(&[("NO_BOT", "true"), ("REQUEST_LOG", "0")]));
    ask_http(&suite, 0..2).await;
    ask_grpc(&suite, 0..2).await;
    let before = suite.scrape().await;
    tokio::join!(ask_http(&suite, 2..BAD_PATHS), ask_grpc(&suite, 2..BAD_RPCS));
    let after = suite.scrape().await;

    // Half of the requests have a method that there is, half of the RPCs a service that there is.
    for method in ["GET", "_OTHER"] {
        let asked = format!(
            r#"http_server_request_duration_seconds_count{{http_request_method="{method}",http_route="_OTHER",http_response_status_code="404"}}"#
        );
        assert_eq!(value(&after, &asked), Some(50_000.0), "{asked}");
    }
    let called = r#"grpc_server_handled_total{grpc_type="unary",grpc_service="_OTHER",grpc_method="_OTHER",grpc_code="Unimplemented"}"#;
    assert_eq!(value(&after, called), Some(10_000.0));
    assert_eq!(series(&after), series(&before));
    // Numbers get longer, nothing else does.
    assert!(after.len() < before.len() + 1_024, "{} to {}", before.len(), after.len());
}

/// Sends requests with paths, and in part methods, that nobody knows.
async fn ask_http(suite: &Running, numbers: std::ops::Range<usize>) {
    let (mut answers, mut requests) =
        TcpStream::connect(suite.web).await.expect("a connection").into_split();
    let numbers: Vec<_> = numbers.collect();
    for numbers in numbers.chunks(AT_ONCE) {
        let request = |n| {
            let method = if n % 2 == 0 { "GET".to_owned() } else { format!("BREW{n}") };
            format!("{method} /made/up/{n}?{n}={n} HTTP/1.1\r\nhost: {n}.example\r\n\r\n")
        };
        let text = numbers.iter().map(request).collect::<Vec<_>>().concat();
        let sent = requests.write_all(text.as_bytes());
        let (sent, ()) = tokio::join!(sent, not_found(&mut answers, numbers.len()));
        sent.expect("an open connection");
    }
}

/// Calls RPCs that nobody knows, in part of a service that there is.
async fn ask_grpc(suite: &Running, numbers: std::ops::Range<usize>) {
    let numbers: Vec<_> = numbers.collect();
    for numbers in numbers.chunks(AT_ONCE / 10) {
        // A connection has no more at a time, and one on which this goes on for long is closed by the server.
        let channel = suite.voting_channel();
        let calls = numbers.iter().map(|n| {
            let mut grpc = Grpc::new(channel.clone());
            async move {
                grpc.ready().await.expect("a connection");
                let path = if n % 2 == 0 {
                    format!("/emojivoto.v1.VotingService/Method{n}")
                } else {
                    format!("/made.up.Service{n}/Method{n}")
                };
                let path = path.parse().expect("a path");
                let codec = ProstCodec::<VoteRequest, VoteRequest>::default();
                let called = grpc.unary(Request::new(VoteRequest {}), path, codec).await;
                assert_eq!(called.expect_err("no such RPC").code(), Code::Unimplemented);
            }
        });
        futures_util::future::join_all(calls).await;
    }
}
