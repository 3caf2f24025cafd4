//! The binary, as a container starts it.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
};

use emojivoto_proto::{
    Shortcode,
    voting::{ResultsRequest, VoteRequest, VotingClient},
};
use emojivoto_testkit::{Run, behaves, emoji, eventually, http, refuses, reports_as, web};
use tonic::{Code, Request, transport::Channel};

use crate::{VOTING_SVC, client, joy, on_free_ports, start};

/// Starts it to vote and to look at its metrics.
fn start_observed(settings: &[(&str, &str)]) -> (Run, SocketAddr, VotingClient<Channel>) {
    let mut run = on_free_ports(settings).start();
    let admin = run.address("PROM_PORT");
    let address = run.address("GRPC_PORT");
    (run, admin, client(address))
}

#[test]
fn it_has_a_help_a_version_and_no_patience_with_wrong_settings() {
    let settings = [
        "GRPC_PORT",
        "FAILURE_RATE",
        "ARTIFICIAL_DELAY",
        "VOTES_ONCE",
        "VOTES_ONCE_WINDOW",
        "VOTES_ONCE_KEYS",
    ];
    behaves(VOTING_SVC, "emojivoto-voting-svc", &[], &settings);
    for rate in ["1.01", "-0.5", "NaN", "half"] {
        refuses(VOTING_SVC, &[], "FAILURE_RATE", rate, "expected a number from 0.0 to 1.0");
    }
    for delay in ["5", "-5s", "1d"] {
        refuses(VOTING_SVC, &[], "ARTIFICIAL_DELAY", delay, "expected a duration such as 150ms");
    }
    for once in ["maybe", "2", "truE "] {
        refuses(VOTING_SVC, &[], "VOTES_ONCE", once, "expected true or false");
    }
    for window in ["x", "10", "-1m", "0s"] {
        refuses(VOTING_SVC, &[], "VOTES_ONCE_WINDOW", window, "expected a duration");
    }
    for keys in ["0", "-1", "1.5", "many", "10000001"] {
        let expected = "expected a whole number from 1 to 10000000";
        refuses(VOTING_SVC, &[], "VOTES_ONCE_KEYS", keys, expected);
    }
}

#[tokio::test]
async fn a_variable_that_is_set_to_nothing_is_not_set() {
    let (_run, address) =
        start(&[("FAILURE_RATE", ""), ("ARTIFICIAL_DELAY", ""), ("RUST_LOG", "")]);
    client(address).vote(Shortcode::doughnut(), VoteRequest {}).await.expect_err("the default");
    client(address).vote(joy(), VoteRequest {}).await.expect("a vote");
}

/// A vote that has a key.
fn vote_under(key: &str) -> Request<VoteRequest> {
    let mut request = Request::new(VoteRequest {});
    request.metadata_mut().insert("idempotency-key", key.parse().expect("ASCII"));
    request
}

/// The value of a metric without labels.
async fn metric(admin: SocketAddr, name: &str) -> String {
    let metrics = http::get(&format!("http://{admin}/metrics")).await.body;
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} in {metrics}")).to_owned()
}

async fn votes(client: &mut VotingClient<Channel>) -> i32 {
    let results = client.results(ResultsRequest {}).await.expect("results").into_inner().results;
    results.iter().map(|result| result.votes).sum()
}

#[tokio::test]
async fn a_vote_that_comes_again_under_its_key_is_counted_once() {
    let (_run, admin, mut client) = start_observed(&[]);
    for _ in 0..3 {
        client.vote(joy(), vote_under("a-key")).await.expect("a vote");
    }
    let ghost = ":ghost:".parse().expect("an emoji");
    let other = client.vote(ghost, vote_under("a-key")).await.expect_err("another vote");
    assert_eq!(other.code(), Code::AlreadyExists, "{other}");
    for bad in ["", "a b", &"x".repeat(129)] {
        let none = client.vote(joy(), vote_under(bad)).await.expect_err("no key");
        assert_eq!(none.code(), Code::InvalidArgument, "{bad}: {none}");
        assert!(none.message().contains("1 to 128 visible characters"), "{none}");
    }
    assert_eq!(votes(&mut client).await, 1);
    assert_eq!(metric(admin, "emojivoto_duplicate_votes_total").await, "2");

    // Those without a key are all different.
    for _ in 0..3 {
        client.vote(joy(), VoteRequest {}).await.expect("a vote");
    }
    assert_eq!(votes(&mut client).await, 4);
}

#[tokio::test]
async fn keys_mean_nothing_if_one_says_so() {
    let (_run, admin, mut client) = start_observed(&[("VOTES_ONCE", "false")]);
    for choice in [":joy:", ":joy:", ":ghost:"] {
        let choice = choice.parse().expect("an emoji");
        client.vote(choice, vote_under("a-key")).await.expect("a vote");
    }
    assert_eq!(votes(&mut client).await, 3);
    assert_eq!(metric(admin, "emojivoto_duplicate_votes_total").await, "0");
}

#[tokio::test]
async fn a_vote_is_known_again_for_as_long_as_the_settings_say() {
    let window = "emojivoto_idempotency_window_seconds";

    let (_run, admin, mut voter) = start_observed(&[("VOTES_ONCE_WINDOW", "10ms")]);
    assert_eq!(metric(admin, window).await, "0.01");
    let mut sent = 0;
    eventually("a vote that is counted again", || {
        sent += 1;
        let mut voter = voter.clone();
        async move {
            voter.vote(joy(), vote_under("a-key")).await.expect("a vote");
            (votes(&mut voter).await > 1).then_some(())
        }
    })
    .await;
    assert!(votes(&mut voter).await <= sent);

    // One key in each of its 64 parts: by the time that each has one, the least of them decides.
    let (_run, admin, mut voter) = start_observed(&[("VOTES_ONCE_KEYS", "64")]);
    voter.vote(joy(), vote_under("the-first")).await.expect("a vote");
    for number in 0..1_000 {
        voter.vote(joy(), vote_under(&number.to_string())).await.expect("a vote");
    }
    assert_eq!(votes(&mut voter).await, 1_001);
    let least: f64 = metric(admin, window).await.parse().expect("a number");
    assert!(least < 600.0, "{least} s");
    voter.vote(joy(), vote_under("the-first")).await.expect("a vote");
    assert_eq!(votes(&mut voter).await, 1_002, "it is forgotten");
    voter.vote(joy(), vote_under("the-first")).await.expect("a vote");
    assert_eq!(votes(&mut voter).await, 1_002, "the last is not");
}

#[tokio::test]
async fn the_doughnut_can_be_mended() {
    let (_run, address) = start(&[("FAILURE_RATE", "0")]);
    client(address).vote(Shortcode::doughnut(), VoteRequest {}).await.expect("a vote");
}

#[tokio::test]
async fn it_says_at_start_how_it_misbehaves_on_purpose() {
    for (settings, rate, delay) in [
        (&[][..], "FAILURE_RATE=1 ", "ARTIFICIAL_DELAY=0s "),
        (&[("FAILURE_RATE", "0.25")], "FAILURE_RATE=0.25 ", "ARTIFICIAL_DELAY=0s "),
        (
            &[("FAILURE_RATE", "0"), ("ARTIFICIAL_DELAY", "150ms")],
            "FAILURE_RATE=0 ",
            "ARTIFICIAL_DELAY=0.15s ",
        ),
    ] {
        let (mut run, _) = start(settings);
        let line = run.line("voting: on purpose: ");
        assert!(line.contains(rate) && line.contains(delay), "{line}");
    }
}

/// The line of the log that one vote leaves under these settings, if it leaves one.
async fn line_of(choice: Shortcode, settings: &[(&str, &str)]) -> Option<String> {
    let (run, address) = start(settings);
    let mut request = tonic::Request::new(VoteRequest {});
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    request.metadata_mut().insert("traceparent", parent.parse().expect("ASCII"));
    let vote = client(address).vote(choice, request).await;
    assert_eq!(vote.is_err(), choice == Shortcode::doughnut());
    run.signal("TERM");
    let (code, lines, _) = run.end();
    assert_eq!(code, Some(0), "{lines:#?}");
    let mut lines = lines.into_iter().filter(|line| line.contains(&format!("[{choice}]")));
    let line = lines.next();
    assert_eq!(lines.next(), None, "one line a vote");
    line
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_that_fails_leaves_a_line_and_one_that_counts_does_for_those_who_ask() {
    let doughnut = Shortcode::doughnut();
    let line = line_of(doughnut, &[]).await.expect("a line");
    assert!(line.contains(" WARN voting: Vote for [:doughnut:] failed "), "{line}");
    let why = r#" fault="doughnut" error="on purpose, by the fault doughnut""#;
    assert!(line.ends_with(why), "{line}");
    assert_eq!(line_of(doughnut, &[("REQUEST_LOG", "0")]).await, None);
    assert!(line_of(doughnut, &[("REQUEST_LOG", "0.000001")]).await.is_some());

    let debug = ("RUST_LOG", "info,voting=debug");
    let line = line_of(joy(), &[debug]).await.expect("a line");
    assert!(line.ends_with(" DEBUG voting: Voted for [:joy:]"), "{line}");
    for quiet in [&[][..], &[debug, ("REQUEST_LOG", "0.000001")]] {
        assert_eq!(line_of(joy(), quiet).await, None, "{quiet:?}");
    }

    // With the trace: for machines always, for people where they can look it up.
    let json = line_of(doughnut, &[("LOG_FORMAT", "json")]).await.expect("a line");
    let trace = "0af7651916cd43dd8448eb211c80319c";
    assert!(json.contains(&format!(r#""trace_id":"{trace}""#)), "{json}");
    let exporting = line_of(doughnut, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:1")]).await;
    assert!(exporting.as_ref().is_some_and(|line| line.contains(trace)), "{exporting:?}");
}

#[tokio::test]
async fn a_vote_in_flight_at_sigterm_is_answered() {
    let (run, address) = start(&[("ARTIFICIAL_DELAY", "500ms")]);
    let mut voter = client(address);
    let mut reader = voter.clone();
    let (vote, ()) = tokio::join!(voter.vote(joy(), VoteRequest {}), async {
        // Sent on the same connection after the vote, so the vote has arrived when it is answered.
        reader.results(ResultsRequest {}).await.expect("results");
        run.signal("TERM");
    });
    vote.expect("an answer");
    let (code, lines, stderr) = run.end();
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert!(lines.iter().any(|line| line.ends_with("drained")), "{lines:#?}");
}

#[tokio::test]
async fn draining_is_bounded() {
    let (run, address) = start(&[("ARTIFICIAL_DELAY", "1h"), ("SHUTDOWN_GRACE", "100ms")]);
    let mut voter = client(address);
    let mut reader = voter.clone();
    let (vote, ()) = tokio::join!(voter.vote(joy(), VoteRequest {}), async {
        reader.results(ResultsRequest {}).await.expect("results");
        run.signal("TERM");
    });
    vote.expect_err("nobody waits an hour");
    let (code, lines, _) = run.end();
    assert_eq!(code, Some(0));
    assert!(lines.iter().any(|line| line.contains("SHUTDOWN_GRACE is over")), "{lines:#?}");
}

#[tokio::test]
async fn web_survives_its_death_under_traffic_and_goes_on_when_it_is_back() {
    let emoji = emoji().await;
    let (run, address) = start(&[]);
    let web = web(emoji.address(), address).await.ready().await;
    let url = web.url("/api/vote?choice=:joy:");
    let vote = async || http::get(&url).await.status.as_u16();
    let done = AtomicBool::new(false);

    let traffic = async {
        let mut statuses = Vec::new();
        while !done.load(SeqCst) {
            statuses.push(vote().await);
        }
        statuses
    };
    let story = async {
        for _ in 0..3 {
            eventually("votes that count", || async { (vote().await == 200).then_some(()) }).await;
        }
        drop(run); // by SIGKILL
        eventually("votes that fail", || async { (vote().await == 503).then_some(()) }).await;
        let port = address.port().to_string();
        let (run, again) = start(&[("GRPC_PORT", &port)]);
        assert_eq!(again, address);
        // Nothing waits for a next try to connect: the first vote from now on counts.
        assert_eq!(vote().await, 200);
        done.store(true, SeqCst);
        run
    };
    let (statuses, _run) = tokio::join!(traffic, story);
    assert!(!statuses.is_empty());
    assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_knows_it_by_the_name_that_others_rely_on() {
    reports_as(VOTING_SVC, &[], "voting").await;
}
