//! `/openapi.json`, held against the router and against real answers.

mod document;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use document::Document;
use emojivoto_testkit::{
    Service, eventually,
    http::{self, Answer, raw},
    web, web_with, within,
};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::{BALLOT, Suite, running::Running, upstreams::nobody};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const WATCH: &str = "GET /leaderboard/live";

/// What to ask of each operation to be answered well. All but for [`WATCH`], whose answer does not end.
async fn sensible(web: &str, document: &Document) -> BTreeMap<String, String> {
    let page = http::get(&format!("{web}/picked?choice=:joy:")).await.body;
    let (_, rest) = page.split_once("\"/static/").expect("a page with assets");
    let file = rest.split(['"', '#']).next().expect("the name of one");
    let target = |operation: &str| {
        let (_, path) = operation.split_once(' ').expect("a path");
        let names = document.parameters(operation);
        names.fold(path.to_owned(), |target, name| match name {
            "file" => target.replace("{file}", file),
            "choice" => target + "?choice=:joy:",
            "Idempotency-Key" => target, // as a header, and only of what is to be recognised
            other => panic!("{operation} has a parameter {other}"),
        })
    };
    let operations = document.operations().into_keys().filter(|operation| operation != WATCH);
    operations.map(|operation| (operation.clone(), target(&operation))).collect()
}

/// Answers by operation, each of which is described by the document.
struct Seen<'a> {
    document: &'a Document,
    statuses: BTreeMap<String, BTreeSet<u16>>,
    /// What is JSON of them, with its status.
    bodies: Vec<(u16, Value)>,
}

impl Seen<'_> {
    fn add(&mut self, operation: &str, answer: &Answer) {
        self.document.assert_describes(operation, answer);
        let status = answer.status.as_u16();
        self.statuses.entry(operation.to_owned()).or_default().insert(status);
        if answer.header("content-type") == JSON {
            self.bodies.push((status, answer.json()));
        }
    }

    async fn ask(&mut self, web: &Service, operation: &str, target: &str) -> u16 {
        self.send(web, operation, target, ("accept", "*/*"), "").await
    }

    async fn send(
        &mut self,
        web: &Service,
        operation: &str,
        target: &str,
        (header, value): (&str, &str),
        body: &str,
    ) -> u16 {
        let (method, _) = operation.split_once(' ').expect("a method");
        let request = ::http::Request::builder().method(method).uri(web.url(target));
        let answer = http::send(request.header(header, value), body).await.expect("an answer");
        self.add(operation, &answer);
        answer.status.as_u16()
    }

    /// Asserts that every documented status and every example has come.
    fn assert_complete(&self) {
        for operation in self.document.operations().keys() {
            let responses = self.document.responses(operation);
            let documented: BTreeSet<_> = responses.keys().copied().collect();
            assert_eq!(self.statuses[operation], documented, "{operation}");
            for (status, response) in responses {
                let content = &response["content"][JSON];
                let several = content["examples"].as_object().into_iter().flatten();
                let several = several.map(|(_, example)| &example["value"]);
                for example in several.chain(content.get("example")) {
                    let answered = self.bodies.contains(&(status, example.clone()));
                    assert!(answered, "{operation}: nothing answered {status} with {example}");
                }
            }
        }
    }
}

/// What is answered to a request in HTTP/1.0, whose answers are not chunked, until its end or `enough`.
async fn old(address: SocketAddr, request: &str, enough: &str) -> Answer {
    let done = |answer: &[u8]| !enough.is_empty() && answer.ends_with(enough.as_bytes());
    let answer = raw(address, request.as_bytes(), done).await;
    let answer = String::from_utf8(answer).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let mut response = ::http::Response::builder();
    for line in head.lines() {
        response = match line.split_once(": ") {
            Some((name, value)) => response.header(name, value),
            None => response.status(line.split(' ').nth(1).expect("a status")),
        };
    }
    let (head, ()) = response.body(()).expect("a response").into_parts();
    let (body, length) = (body.to_owned(), body.len());
    Answer { status: head.status, headers: head.headers, body, length }
}

#[tokio::test]
async fn every_answer_is_documented_and_every_documented_answer_comes() {
    let suite = Suite::start().await;
    let address = suite.web.address();
    let document = Document::of(&suite.web.url("")).await;
    let sensible = sensible(&suite.web.url(""), &document).await;
    // An empty leaderboard would say nothing of what is in one.
    assert_eq!(suite.get("/api/vote?choice=:joy:").await.status, 200);
    let mut seen = Seen { document: &document, statuses: BTreeMap::new(), bodies: Vec::new() };

    for (operation, target) in &sensible {
        assert!(seen.ask(&suite.web, operation, target).await < 400, "{operation}");
        for content_type in document.bodies(operation) {
            let body = match content_type.as_str() {
                FORM => "choice=%3Ajoy%3A",
                JSON => r#"{"choice": ":joy:"}"#,
                other => panic!("{operation} takes {other}"),
            };
            let path = target.split('?').next().expect("a path");
            let header = ("content-type", content_type.as_str());
            assert!(seen.send(&suite.web, operation, path, header, body).await < 400);
        }
        if document.responses(operation).contains_key(&406) {
            let nothing = ("accept-encoding", "*;q=0");
            assert_eq!(seen.send(&suite.web, operation, target, nothing, "").await, 406);
        }
    }
    let watched = old(address, "GET /leaderboard/live HTTP/1.0\r\n\r\n", "\n\n").await;
    assert!(watched.body.contains("event: board\n"), "{watched:?}");
    seen.add(WATCH, &watched);
    let nobody_watches = |settings: &mut emojivoto_web::FrontEnd| settings.max_viewers = 0;
    let full = web_with(suite.emoji.address(), suite.voting.address(), nobody_watches).await;
    assert_eq!(seen.ask(&full, WATCH, "/leaderboard/live").await, 503);

    for (operation, path) in
        [("POST /vote", "/vote"), ("GET /api/vote", "/api/vote"), ("POST /api/vote", "/api/vote")]
    {
        let query = |choice| format!("{path}?choice={choice}");
        assert_eq!(seen.ask(&suite.web, operation, path).await, 400);
        assert_eq!(seen.ask(&suite.web, operation, &query(":nope:")).await, 400);
        assert_eq!(seen.ask(&suite.web, operation, &query(":doughnut:")).await, 500);
        let key = operation.replace(' ', "");
        let mut under = async |key: &str, choice| {
            let header = ("idempotency-key", key);
            seen.send(&suite.web, operation, &query(choice), header, "").await
        };
        assert!(under(&key, ":joy:").await < 400);
        assert_eq!(under(&key, ":ghost:").await, 422);
        assert_eq!(under("no key", ":joy:").await, 400);
    }
    assert_eq!(seen.ask(&suite.web, "GET /picked", "/picked").await, 400);
    assert_eq!(seen.ask(&suite.web, "GET /static/{file}", "/static/app.css").await, 404);
    for (operation, path) in [("POST /vote", "/vote"), ("POST /api/vote", "/api/vote")] {
        for (content_type, body, status) in [
            (FORM, "choice=:joy:&choice=:joy:", 400),
            (JSON, "{}", 400),
            (JSON, "[", 400),
            (FORM, &"x".repeat(5_000), 413),
            ("text/plain", ":joy:", 415),
        ] {
            let header = ("content-type", content_type);
            assert_eq!(seen.send(&suite.web, operation, path, header, body).await, status);
        }
    }
    // At the same time, as each takes ten seconds.
    let unfinished = |path: &str| {
        format!("POST {path} HTTP/1.0\r\ncontent-type: {FORM}\r\ncontent-length: 9\r\n\r\nchoice")
    };
    let unfinished = ["/vote", "/api/vote"].map(unfinished);
    let (page, api) =
        tokio::join!(old(address, &unfinished[0], ""), old(address, &unfinished[1], ""));
    assert_eq!((page.status.as_u16(), api.status.as_u16()), (408, 408));
    seen.add("POST /vote", &page);
    seen.add("POST /api/vote", &api);

    // With backends that are away; that know nothing of what they are asked for, as each is the other one;
    // and that accept connections, and never answer.
    let away = web(nobody().await, nobody().await).await;
    let swapped = web(suite.voting.address(), suite.emoji.address()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let silent = listener.local_addr().expect("an address");
    let impatient =
        |settings: &mut emojivoto_web::FrontEnd| settings.grpc_timeout = Duration::from_millis(200);
    let slow = web_with(silent, silent, impatient).await;
    for (operation, target) in &sensible {
        if !document.responses(operation).contains_key(&503) {
            assert_eq!(seen.ask(&away, operation, target).await, 200, "{operation}");
            continue;
        }
        assert_eq!(seen.ask(&away, operation, target).await, 503, "{operation}");
        assert_eq!(seen.ask(&swapped, operation, target).await, 500, "{operation}");
        // Until it is connected, a backend is not slow but away.
        let too_slow = async { while seen.ask(&slow, operation, target).await != 504 {} };
        within(&format!("504 of {operation}"), too_slow).await;
    }

    seen.assert_complete();
}

#[tokio::test]
async fn methods_that_are_not_documented_are_refused() {
    let suite = Suite::start().await;
    let document = Document::of(&suite.web.url("")).await;
    let sensible = sensible(&suite.web.url(""), &document).await;
    for (path, operations) in document.paths() {
        let mut answered: BTreeSet<_> = operations.keys().map(String::as_str).collect();
        // As for the document itself: a vote is no matter for HEAD.
        if answered.contains("GET") && path != "/api/vote" {
            answered.insert("HEAD");
        }
        let operation = operations.keys().map(|method| format!("{method} {path}")).next();
        let target = operation.and_then(|operation| sensible.get(operation.as_str()));
        let url = suite.web.url(target.map_or(path, |target| target));
        for method in
            ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY", "BREW"]
        {
            if answered.contains(method) && method != "HEAD" {
                continue;
            }
            let request = ::http::Request::builder().method(method).uri(&url);
            let answer = http::send(request, "").await.expect("an answer");
            if answered.contains(method) {
                assert_eq!(answer.status, 200, "{method} {path}");
                continue;
            }
            assert_eq!(answer.status, 405, "{method} {path}");
            let allowed = answer.header("allow").split(',').map(str::trim);
            assert_eq!(allowed.collect::<BTreeSet<_>>(), answered, "{method} {path}");
        }
    }
    assert_eq!(suite.votes().await, 0);
}

#[tokio::test]
async fn requests_are_counted_by_the_paths_of_the_document() {
    let suite = Running::without_bot();
    let document = Document::of(&suite.url("")).await;
    let sensible = sensible(&suite.url(""), &document).await;
    for (operation, target) in sensible {
        let (method, _) = operation.split_once(' ').expect("a method");
        let request = ::http::Request::builder().method(method).uri(suite.url(&target));
        http::send(request, "").await.expect("an answer");
    }
    old(suite.web, "GET /leaderboard/live HTTP/1.0\r\n\r\n", "\n\n").await;
    for operation in document.operations().keys() {
        let (method, path) = operation.split_once(' ').expect("a method");
        let series = format!(
            r#"http_server_request_duration_seconds_count{{http_request_method="{method}",http_route="{path}","#
        );
        eventually(&series, || async { suite.scrape().await.contains(&series).then_some(()) })
            .await;
    }
}

#[tokio::test]
async fn the_choices_are_the_ballot() {
    let suite = Suite::start().await;
    let Document(document) = Document::of(&suite.web.url("")).await;
    let ballot = BALLOT.lines().skip(1).map(|line| line.split('\t').next().expect("a shortcode"));
    assert_eq!(document["components"]["schemas"]["Choice"]["enum"], ballot.collect::<Value>());
}
