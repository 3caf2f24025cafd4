//! Votes that come twice under one `Idempotency-Key`.

use std::time::Duration;

use emojivoto_runtime::Lifecycle;
use emojivoto_telemetry::Telemetry;
use emojivoto_testkit::{
    Binary, Resending, emoji, eventually,
    http::{self, Answer},
    web, within,
};
use emojivoto_vote_bot::VotingSettings;

use crate::running::{Running, on_free_ports, value};

const FORM: &str = "application/x-www-form-urlencoded";

/// Every way to vote, with the status of a vote that counts.
const WAYS: [(&str, &str, u16); 3] =
    [("GET", "/api/vote", 200), ("POST", "/api/vote", 200), ("POST", "/vote", 303)];

fn without_bot() -> Binary {
    on_free_ports().env("NO_BOT", "true")
}

impl Running {
    /// Votes by this method at this path, under these keys.
    async fn vote_under(
        &self,
        (method, path): (&str, &str),
        choice: &str,
        keys: &[&str],
    ) -> Answer {
        let by_query = method == "GET";
        let query = if by_query { format!("?choice={choice}") } else { String::new() };
        let body = if by_query { String::new() } else { format!("choice={choice}") };
        let url = self.url(&format!("{path}{query}"));
        let mut request = ::http::Request::builder().method(method).uri(url);
        if !by_query {
            request = request.header("content-type", FORM);
        }
        for key in keys {
            request = request.header("idempotency-key", *key);
        }
        http::send(request, &body).await.expect("an answer")
    }

    /// All votes of the leaderboard together.
    async fn leaderboard(&self) -> u64 {
        let board = http::get(&self.url("/api/leaderboard")).await.json();
        let votes = board.as_array().expect("a board").iter().map(|entry| entry["votes"].as_str());
        votes.map(|votes| votes.expect("text").parse::<u64>().expect("a number")).sum()
    }

    async fn duplicates(&self) -> Option<f64> {
        value(&self.scrape().await, "emojivoto_duplicate_votes_total")
    }
}

#[tokio::test]
async fn a_vote_that_comes_again_is_answered_as_before_and_counts_once() {
    let suite = Running::start(without_bot());
    assert_eq!(suite.duplicates().await, Some(0.0));
    for (number, (method, path, status)) in (1_u32..).zip(WAYS) {
        let vote = async || {
            suite.vote_under((method, path), ":joy:", &[&format!("a-key-of-{method}-{path}")]).await
        };
        let (first, again) = (vote().await, vote().await);
        assert_eq!(first.status, status, "{method} {path}: {first:?}");
        assert_eq!(
            (again.status, again.body.as_str(), again.header("location")),
            (first.status, first.body.as_str(), first.header("location"))
        );
        assert_eq!(suite.leaderboard().await, u64::from(number), "{method} {path}");
        assert_eq!(suite.duplicates().await, Some(f64::from(number)), "{method} {path}");
    }
    // It is the same vote whichever way it comes.
    for (method, path, status) in WAYS {
        let answer = suite.vote_under((method, path), ":joy:", &["a-key-of-GET-/api/vote"]).await;
        assert_eq!(answer.status, status, "{method} {path}");
    }
    assert_eq!(suite.leaderboard().await, 3);
    assert_eq!(suite.duplicates().await, Some(6.0));
    // What is not counted again is not counted again anywhere.
    let votes = r#"emojivoto_votes_total{emoji=":joy:"}"#;
    assert_eq!(value(&suite.scrape().await, votes), Some(3.0));
}

#[tokio::test]
async fn with_a_file_votes_and_their_keys_outlive_the_process() {
    let directory = tempfile::tempdir().expect("a folder");
    let file = directory.path().join("votes.redb");
    let path = file.to_str().expect("a path");
    let vote = async |suite: &Running| {
        suite.vote_under(("GET", "/api/vote"), ":joy:", &["a-key"]).await.status.as_u16()
    };
    let suite = Running::start(without_bot().args(&["--data", path]));
    assert_eq!((vote(&suite).await, suite.leaderboard().await), (200, 1));
    drop(suite); // by SIGKILL
    let suite = Running::start(without_bot().args(&["--data", path]));
    assert_eq!((vote(&suite).await, suite.leaderboard().await), (200, 1));
    assert_eq!(suite.duplicates().await, Some(1.0));

    let both = without_bot().env("VOTES_STORE", "memory").args(&["--data", path]).output();
    let stderr = String::from_utf8_lossy(&both.stderr);
    assert_eq!(both.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("--data") && stderr.contains("--votes-store"), "{stderr}");
}

#[tokio::test]
async fn a_key_of_a_vote_for_another_emoji_is_refused() {
    let suite = Running::start(without_bot());
    for (number, (method, path, status)) in (1..).zip(WAYS) {
        let way = (method, path);
        let keys = [&*format!("a-key-of-{method}-{path}")];
        assert_eq!(suite.vote_under(way, ":joy:", &keys).await.status, status);
        let other = suite.vote_under(way, ":ghost:", &keys).await;
        assert_eq!(other.status, 422, "{other:?}");
        if path == "/vote" {
            assert!(other.body.contains("HTTP 422"), "{}", other.body);
            assert!(other.body.contains("expected a new one for each vote"), "{}", other.body);
        } else {
            let told = "the Idempotency-Key was used before, for a vote for another emoji: \
                expected a new one for each vote";
            assert_eq!(other.error(), told);
        }
        assert_eq!(suite.vote_under(way, ":joy:", &keys).await.status, status, "the first holds");
        assert_eq!(suite.leaderboard().await, number, "{way:?}");
    }
    assert_eq!(suite.duplicates().await, Some(3.0), "another vote is no duplicate");
}

#[tokio::test]
async fn a_doughnut_that_failed_has_not_been_counted_and_may_be() {
    let suite = Running::start(without_bot());
    for _ in 0..3 {
        for (method, path, _) in WAYS {
            let answer = suite.vote_under((method, path), ":doughnut:", &["a-key"]).await;
            assert_eq!(answer.status, 500, "{method} {path}: {answer:?}");
            assert!(answer.body.contains("on purpose"), "{answer:?}");
        }
    }
    assert_eq!((suite.leaderboard().await, suite.duplicates().await), (0, Some(0.0)));
    // Nor does a failure hold its key.
    let way = ("GET", "/api/vote");
    assert_eq!(suite.vote_under(way, ":joy:", &["a-key"]).await.status, 200);

    // Sooner or later one of them counts, once, where they fail but now and then. Until it does, it is no duplicate.
    let suite = Running::start(without_bot().env("FAILURE_RATE", "0.5"));
    let vote = async || suite.vote_under(way, ":doughnut:", &["a-key"]).await.status.as_u16();
    eventually("a doughnut that counts", || async { (vote().await == 200).then_some(()) }).await;
    assert_eq!((suite.leaderboard().await, suite.duplicates().await), (1, Some(0.0)));
    eventually("the same again", || async { (vote().await == 200).then_some(()) }).await;
    assert_eq!((suite.leaderboard().await, suite.duplicates().await), (1, Some(1.0)));
}

#[tokio::test]
async fn what_is_no_key_is_refused_with_what_was_expected() {
    let suite = Running::start(without_bot());
    let long = "x".repeat(129);
    for keys in [&[""][..], &["a b"], &["a\tb"], &["ä"], &[&long], &["a", "a"], &["a", "b"]] {
        for (method, path, _) in WAYS {
            let answer = suite.vote_under((method, path), ":joy:", keys).await;
            assert_eq!(answer.status, 400, "{method} {path} {keys:?}: {answer:?}");
            let told = "Idempotency-Key cannot be read: expected it once, with 1 to 128 visible characters of ASCII";
            if path == "/vote" {
                assert!(answer.header("content-type").starts_with("text/html"), "{answer:?}");
                assert!(answer.body.contains(told), "{}", answer.body);
            } else {
                assert_eq!(answer.error(), told);
            }
        }
    }
    assert_eq!(suite.leaderboard().await, 0);
    // The longest there is.
    assert_eq!(suite.vote_under(("GET", "/api/vote"), ":joy:", &[&long[1..]]).await.status, 200);
}

#[tokio::test]
async fn votes_without_a_key_all_count() {
    let suite = Running::start(without_bot());
    for (method, path, status) in WAYS.repeat(3) {
        assert_eq!(suite.vote_under((method, path), ":joy:", &[]).await.status, status);
    }
    assert_eq!((suite.leaderboard().await, suite.duplicates().await), (9, Some(0.0)));
}

/// Lets the bot cast some hundreds of votes through a network that delivers three of ten twice, both on the way to
/// web and on the way from there to voting-svc. Returns the suite with all the votes in, how many different ones there
/// were, and how many deliveries too many.
async fn delivered_twice(voting: Binary) -> (Running, u64, u64) {
    let suite = Running::start(voting.env("FAILURE_RATE", "0"));
    let emoji = emoji().await;
    let before_voting = Resending::to(suite.voting).await;
    let web = web(emoji.address(), before_voting.address()).await.ready().await;
    let before_web = Resending::to(web.address()).await;

    let (lifecycle, stop) = Lifecycle::new();
    let settings =
        VotingSettings { host_override: None, request_rate: 1_000.0, ttl: None, seed: Some(1) };
    let bot =
        emojivoto_vote_bot::run(before_web.address().into(), settings, Telemetry::off(), lifecycle);
    let bot = tokio::spawn(bot);
    eventually("500 votes", || async { (before_web.votes() >= 500).then_some(()) }).await;
    stop.stop();
    within("the end of the bot", bot).await.expect("no panic").expect("no error");

    let keys = u64::try_from(before_web.keys()).expect("not that many");
    assert_eq!(keys, before_web.votes(), "every vote has a key of its own, and is counted");
    assert!(before_web.resent() > 100 && before_voting.resent() > 100, "{before_web:?}");
    (suite, keys, before_web.resent() + before_voting.resent())
}

#[tokio::test(flavor = "multi_thread")]
async fn votes_that_are_delivered_twice_are_counted_once() {
    let (suite, votes, resent) = delivered_twice(without_bot()).await;
    assert_eq!(suite.leaderboard().await, votes);
    assert_eq!(suite.duplicates().await, Some(u32::try_from(resent).expect("few").into()));
    let window = value(&suite.scrape().await, "emojivoto_idempotency_window_seconds");
    assert_eq!(window, Some(Duration::from_mins(10).as_secs_f64()));
}

/// What that would do otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn votes_that_are_delivered_twice_are_counted_twice_if_one_asks_for_it() {
    let (suite, votes, resent) = delivered_twice(without_bot().env("VOTES_ONCE", "false")).await;
    assert_eq!(suite.leaderboard().await, votes + resent);
    assert_eq!(suite.duplicates().await, Some(0.0));
}
