//! Every row of the HTTP contract.

use emojivoto_testkit::http::{self, post};
use serde_json::{Value, json};

use crate::{BALLOT, Suite};

#[tokio::test]
async fn the_list_is_the_ballot_in_its_order() {
    let suite = Suite::start().await;
    let answer = suite.get("/api/list").await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"));
    let expected: Vec<Value> = BALLOT
        .lines()
        .skip(1)
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .map(|columns| json!({ "shortcode": columns[0], "unicode": columns[1] }))
        .collect();
    assert_eq!(answer.json(), Value::Array(expected));
}

#[tokio::test]
async fn votes_count_once_whichever_way_they_come() {
    let suite = Suite::start().await;
    let url = suite.web.url("/api/vote");
    let by_query = format!("{url}?choice=:joy:");
    let answers = [
        suite.get("/api/vote?choice=:joy:").await,
        suite.get("/api/vote?choice=%3Ajoy%3A").await,
        post(&by_query, "", "").await,
        post(&by_query, "application/x-www-form-urlencoded", "").await,
        post(&url, "application/x-www-form-urlencoded", "choice=%3Ajoy%3A").await,
        post(&url, "application/json", r#"{"choice": ":joy:"}"#).await,
        post(&url, "Application/JSON; charset=utf-8", r#"{"choice": ":joy:", "more": 1}"#).await,
    ];
    for (index, answer) in answers.iter().enumerate() {
        assert_eq!(
            (answer.status.as_u16(), answer.body.as_str()),
            (200, ""),
            "{index}: {answer:?}"
        );
    }
    assert_eq!(suite.votes().await, 7);
}

#[tokio::test]
async fn a_form_wins_over_the_query_and_the_query_over_json() {
    let suite = Suite::start().await;
    let (form, json) = ("application/x-www-form-urlencoded", "application/json");
    let url = suite.web.url("/api/vote?choice=:joy:");
    for (content_type, body, picked) in [
        (form, "choice=:ghost:", ":ghost:"),
        ("Application/X-WWW-Form-URLEncoded; charset=utf-8", "choice=:ghost:", ":ghost:"),
        (form, "other=1", ":joy:"),
        (json, r#"{"choice": ":ghost:"}"#, ":joy:"),
        ("text/plain", ":ghost:", ":joy:"),
    ] {
        let votes = || async {
            let board = suite.get("/api/leaderboard").await.json();
            let entries = board.as_array().expect("a board").iter();
            let picked = entries.clone().find(|entry| entry["shortcode"] == picked);
            picked.map_or(0, |entry| entry["votes"].as_str().expect("text").parse().expect("votes"))
        };
        let before: u64 = votes().await;
        assert_eq!(post(&url, content_type, body).await.status, 200, "{content_type} {body}");
        assert_eq!(votes().await, before + 1, "{content_type} {body}");
    }
    // On the page's own address, too; and a choice that is none is not replaced by the other.
    let page = post(&suite.web.url("/vote?choice=:joy:"), form, "choice=:ghost:").await;
    assert_eq!(page.header("location"), "/picked?choice=:ghost:");
    for body in ["choice=:nope:", "choice=", "choice=:joy:&choice=:joy:"] {
        assert_eq!(post(&url, form, body).await.status, 400, "{body}");
    }
    assert_eq!(suite.votes().await, 6);
}

#[tokio::test]
async fn a_vote_counts_whatever_encodings_its_client_accepts() {
    let suite = Suite::start().await;
    let form = "application/x-www-form-urlencoded";
    for (number, encodings) in (1..).zip(["*;q=0", "identity;q=0", "br;q=1, *;q=0", "gzip"]) {
        let vote = |method: &str, path: &str| {
            let request = ::http::Request::builder().method(method).uri(suite.web.url(path));
            request.header("accept-encoding", encodings).header("content-type", form)
        };
        let path = "/api/vote?choice=:joy:";
        let answers = [
            http::send(vote("GET", path), "").await.expect("an answer").status.as_u16(),
            http::send(vote("POST", path), "").await.expect("an answer").status.as_u16(),
            http::send(vote("POST", "/vote"), "choice=:joy:")
                .await
                .expect("an answer")
                .status
                .as_u16(),
        ];
        assert_eq!(answers, [200, 200, 303], "{encodings}");
        assert_eq!(suite.votes().await, 3 * number, "{encodings}");
    }
}

#[tokio::test]
async fn the_leaderboard_is_descending_and_its_votes_are_strings() {
    let suite = Suite::start().await;
    assert_eq!(suite.get("/api/leaderboard").await.json(), json!([]));
    for choice in [":relaxed:", ":ghost:", ":relaxed:", ":joy:"] {
        assert_eq!(suite.get(&format!("/api/vote?choice={choice}")).await.status, 200);
    }
    let answer = suite.get("/api/leaderboard").await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"));
    let expected = json!([
        { "shortcode": ":relaxed:", "unicode": "☺️", "votes": "2" },
        { "shortcode": ":joy:", "unicode": "😂", "votes": "1" },
        { "shortcode": ":ghost:", "unicode": "👻", "votes": "1" },
    ]);
    assert_eq!(answer.json(), expected);
}

#[tokio::test]
async fn the_doughnut_fails_and_counts_nothing() {
    let suite = Suite::start().await;
    let answers = [
        suite.get("/api/vote?choice=:doughnut:").await,
        post(&suite.web.url("/api/vote?choice=:doughnut:"), "", "").await,
    ];
    for answer in answers {
        assert_eq!(answer.status, 500);
        assert!(answer.error().contains("on purpose"), "{answer:?}");
    }
    assert_eq!(suite.votes().await, 0);
    assert_eq!(suite.get("/api/leaderboard").await.json(), json!([]));
}

#[tokio::test]
async fn a_choice_that_is_none_is_refused_with_what_was_expected() {
    let suite = Suite::start().await;
    let long = format!(":{}:", "x".repeat(10_000));
    for (query, part) in [
        ("", "choice is missing"),
        ("?", "choice is missing"),
        ("?choice", "choice is missing"),
        ("?choice=", "choice is missing"),
        ("?other=:joy:", "choice is missing"),
        ("?choice=:nope:", ":nope:"),
        ("?choice=joy", "got joy"),
        ("?choice=it's", "got it's"),
        ("?choice=:JOY:", ":JOY:"),
        ("?choice=%zz", "%zz"),
        ("?choice=%ff%fe", "not on the ballot"),
        ("?choice=:joy:%0d%0aSet-Cookie:x", "not on the ballot"),
        ("?choice=%00%1b[31m", "\\u{0}\\u{1b}[31m"),
        ("?choice=:joy:&choice=:ghost:", "once"),
        (&format!("?choice={long}"), "at most 64 bytes, got 10002"),
    ] {
        let answer = suite.get(&format!("/api/vote{query}")).await;
        assert_eq!(answer.status, 400, "{query}: {answer:?}");
        let error = answer.error();
        assert!(error.contains(part), "{query}: {error}");
        assert!(!error.contains(|c: char| c.is_control()), "{query}: {error:?}");
    }
    assert_eq!(suite.votes().await, 0);
}

#[tokio::test]
async fn a_body_that_is_no_vote_is_refused_with_what_was_expected() {
    let suite = Suite::start().await;
    let url = suite.web.url("/api/vote");
    let form = "application/x-www-form-urlencoded";
    let long = format!("choice={}", "x".repeat(100_000));
    for (content_type, body, status, part) in [
        ("", "", 400, "choice is missing"),
        (form, "", 400, "choice is missing"),
        (form, "other=1", 400, "choice is missing"),
        (form, "choice=:nope:", 400, ":nope:"),
        (form, "choice=:joy:&choice=:joy:", 400, "once"),
        (form, long.as_str(), 413, "4096 bytes"),
        ("application/json", "", 400, "cannot be read"),
        ("application/json", "{", 400, "cannot be read"),
        ("application/json", "[]", 400, "cannot be read"),
        ("application/json", r#"[":joy:"]"#, 400, "cannot be read"),
        ("application/json", "{}", 400, "choice is missing"),
        ("application/json", r#"{"choice": 5}"#, 400, "cannot be read"),
        ("text/plain", ":joy:", 415, "a form or JSON"),
        ("application/x-www-form-urlencoded-too", "choice=:joy:", 415, "a form or JSON"),
        ("application/jsonp", r#"{"choice": ":joy:"}"#, 415, "a form or JSON"),
    ] {
        let answer = post(&url, content_type, body).await;
        let shown = format!("{content_type} {} {answer:?}", body.get(..30).unwrap_or(body));
        assert_eq!(answer.status.as_u16(), status, "{shown}");
        assert!(answer.error().contains(part), "{shown}");
    }
    assert_eq!(suite.votes().await, 0);
}

#[tokio::test]
async fn unknown_addresses_are_404_and_wrong_methods_405() {
    let suite = Suite::start().await;
    for path in ["/api", "/api/", "/api/nope", "/api/vote/", "/api/list/x"] {
        let answer = suite.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.error(), "there is nothing at this address", "{path}");
    }
    for (method, path, allow) in [
        ("DELETE", "/api/vote", "GET, POST"),
        // A look at the headers of a vote is no vote.
        ("HEAD", "/api/vote?choice=:joy:", "GET, POST"),
        ("POST", "/api/list", "GET,HEAD"),
        ("PUT", "/api/leaderboard", "GET,HEAD"),
    ] {
        let request = ::http::Request::builder().method(method).uri(suite.web.url(path));
        let answer = http::send(request, "").await.expect("an answer");
        assert_eq!(answer.status, 405, "{method} {path}");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
        if method != "HEAD" {
            assert!(answer.error().contains("method"), "{method} {path}");
        }
    }
    assert_eq!(suite.votes().await, 0);
}
