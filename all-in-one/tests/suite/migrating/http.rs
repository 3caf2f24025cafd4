//! What web and the gRPC ports answer.

use std::time::Duration;

use emojivoto_testkit::{
    Service, defaults,
    http::{self, post, post_h2, raw},
    voting, web_with,
};

use super::Rows;
use crate::{Suite, upstreams::nobody};

const SCRIPT: &str = include_str!("../../../../web/static/app.js");

const PROTO: [&str; 2] =
    [include_str!("../../../../proto/Emoji.proto"), include_str!("../../../../proto/Voting.proto")];

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

pub(super) async fn requests(rows: &mut Rows) {
    let suite = Suite::start().await;
    let (status, url) =
        (async |path: &str| suite.get(path).await.status, suite.web.url("/api/vote"));

    rows.row("slow bodies");
    let head = format!(
        "POST /api/vote HTTP/1.1\r\nhost: x\r\ncontent-type: {JSON}\r\ncontent-length: 9\r\n\r\n"
    );
    let web = suite.web.address();
    let slow =
        tokio::spawn(async move { raw(web, head.as_bytes(), |answer| answer.len() > 12).await });

    rows.row("the ballot");
    let list = suite.get("/api/list").await;
    let ballot = list.json();
    assert_eq!((ballot[99]["shortcode"].as_str(), ballot[100].as_str()), (Some(":relaxed:"), None));
    rows.row("content type of JSON");
    assert!(list.header("content-type") == JSON && list.body.ends_with("}]"));

    rows.row("texts of 400 and 500");
    let unknown = suite.get("/api/vote?choice=:nope:").await;
    assert!(unknown.status == 400 && unknown.error().contains("expected a shortcode"));
    let doughnut = suite.get("/api/vote?choice=:doughnut:").await;
    assert!(doughnut.status == 500 && !doughnut.error().contains("ERROR"), "{doughnut:?}");
    rows.row("unknown paths");
    assert_eq!(status("/nope").await, 404);
    rows.row("methods");
    for method in ["HEAD", "PUT"] {
        let vote = ::http::Request::builder().method(method).uri(format!("{url}?choice=:joy:"));
        assert_eq!(http::send(vote, "").await.expect("an answer").status, 405);
    }
    rows.row("multipart forms");
    let part = "--b\r\ncontent-disposition: form-data; name=\"choice\"\r\n\r\n:joy:\r\n--b--\r\n";
    assert_eq!(post(&url, "multipart/form-data; boundary=b", part).await.status, 415);
    rows.row("`choice` twice in a query or form");
    assert_eq!(status("/api/vote?choice=:joy:&choice=:joy:").await, 400);
    assert_eq!(post(&url, FORM, "choice=:joy:&choice=:joy:").await.status, 400);
    rows.row("long requests");
    let long = |length| "x".repeat(length);
    assert_eq!(post(&url, FORM, &format!("choice={}", long(4096))).await.status, 413);
    assert_eq!(status(&format!("/api/vote?choice={}", long(65))).await, 400);
    let head = ::http::Request::get(&url).header("x", long(65 * 1024));
    assert_eq!(http::send(head, "").await.expect("an answer").status, 431);
    assert_eq!(suite.votes().await, 0);

    rows.row("a vote as JSON");
    assert_eq!(post(&url, JSON, r#"{"choice":":joy:"}"#).await.status, 200);
    assert_eq!(suite.votes().await, 1);
    rows.row("order of ties");
    assert_eq!(status("/api/vote?choice=:100:").await, 200);
    assert_eq!(status("/api/vote?choice=:ghost:").await, 200);
    let board = suite.get("/api/leaderboard").await.json();
    let order =
        [0, 1, 2].map(|rank: usize| board[rank]["shortcode"].as_str().expect("text").to_owned());
    assert_eq!(order, [":joy:", ":ghost:", ":100:"]);
    rows.row("a vote that is sent again");
    for (choice, status) in [(":joy:", 200), (":joy:", 200), (":ghost:", 422)] {
        let vote = ::http::Request::get(format!("{url}?choice={choice}"));
        let vote = vote.header("idempotency-key", "a-key");
        assert_eq!(http::send(vote, "").await.expect("an answer").status, status, "{choice}");
    }
    assert_eq!(suite.votes().await, 4);

    rows.row("a backend that is away");
    let lonely = web_with(nobody().await, nobody().await, |_| {}).await;
    assert_eq!(http::get(&lonely.url("/api/list")).await.status, 503);
    rows.row("a backend that is slow");
    assert_eq!(defaults::<emojivoto_web::FrontEnd>().grpc_timeout, Duration::from_secs(5));
    let (slow_voting, _) = voting(Duration::from_mins(1)).await;
    let impatient = web_with(suite.emoji.address(), slow_voting.address(), |settings| {
        settings.grpc_timeout = Duration::from_secs(1);
    });
    let vote = impatient.await.url("/api/vote?choice=:joy:");
    assert_eq!(http::get(&vote).await.status, 504);

    let slow = slow.await.expect("no panic");
    assert!(slow.starts_with(b"HTTP/1.1 408"), "{}", slow.escape_ascii());
}

pub(super) async fn pages_and_ports(rows: &mut Rows) {
    let suite = Suite::start().await;
    let page = suite.get("/").await;
    rows.row("the pages");
    assert!(page.body.contains("\"/static/app.") && page.body.contains(":joy:"), "{}", page.body);
    for path in ["/js", "/dist/index_bundle.js"] {
        assert_eq!(suite.get(path).await.status, 404);
    }
    rows.row("a vote on the page");
    assert!(page.body.contains("action=\"/vote\"") && SCRIPT.contains("method: \"POST\""));
    rows.row("other people's scripts");
    let scripts: Vec<_> = page.body.split("src=\"").skip(1).collect();
    assert!(!scripts.is_empty() && scripts.iter().all(|script| script.starts_with("/static/")));
    rows.row("headers of pages");
    assert!(page.header("content-security-policy").contains("frame-ancestors 'none'"));
    assert_eq!(page.header("cache-control"), "no-store");

    rows.row("HTTP/2 on web's port");
    let vote = suite.web.url("/api/vote?choice=:joy:");
    assert_eq!(post_h2(&vote, FORM, b"").await.status, 200);
    rows.row("HTTP/1 on a gRPC port");
    assert_eq!(http::get(&suite.voting.url("/")).await.status, 505);
    rows.row("health checking and reflection by gRPC");
    let ask = async |service: &Service, path: &str| {
        let empty_message = [0; 5];
        post_h2(&service.url(path), "application/grpc", &empty_message).await
    };
    for service in [&suite.emoji, &suite.voting] {
        let health = ask(service, "/grpc.health.v1.Health/Check").await;
        assert_eq!(health.header("grpc-status"), "0");
        let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
        assert_ne!(ask(service, path).await.header("grpc-status"), "12", "unimplemented");
    }
    rows.row("`option go_package` of the `.proto` files");
    for proto in PROTO {
        assert!(
            proto.contains("\noption go_package = \"github.com/buoyantio/emojivoto/proto\";\n")
        );
    }
    rows.row("`/openapi.json`");
    assert_eq!(suite.get("/openapi.json").await.json()["openapi"], "3.1.0");
}
