//! More than a service takes on. What it has taken on it does, and the others are told at once.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use ::http::uri::PathAndQuery;
use emojivoto_proto::{
    Shortcode,
    emoji::{
        FindByShortcodeRequest, FindByShortcodeResponse, ListAllEmojiRequest,
        emoji_service_client::EmojiServiceClient,
    },
    voting::{VoteRequest, VotingClient},
};
use emojivoto_runtime::{Limits, Rejected};
use emojivoto_telemetry::Telemetry;
use emojivoto_testkit::{
    ANY_PORT, Holding, Service, channel, defaults, emoji, eventually,
    http::{self, raw},
    voting, voting_on, within,
};
use emojivoto_voting_svc::PollSettings;
use emojivoto_web::Backends;
use futures_util::stream;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::{Code, Request, client::Grpc};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_prost::ProstCodec;

use crate::running::{Running, on_free_ports, value};

const VOTE: &str = "/api/vote?choice=:joy:";

async fn limited_web(emoji: SocketAddr, voting: SocketAddr, limits: Limits) -> Service {
    let web = Service::start(ANY_PORT, |listener, lifecycle| {
        let lifecycle = lifecycle.limited(limits, Rejected::default());
        let backends = Backends::at(emoji, voting);
        emojivoto_web::serve(backends, defaults(), listener, Telemetry::off(), lifecycle)
    });
    web.await.ready().await
}

/// A connection of HTTP/1.1 that is kept.
struct Kept(TcpStream);

impl Kept {
    async fn open(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.expect("a connection"))
    }

    async fn ask(&mut self, path: &str) {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        self.0.write_all(request.as_bytes()).await.expect("an open connection");
    }

    /// The status of the answer, all of which is read.
    async fn status(&mut self) -> u16 {
        let answer = async {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(self.0.read_u8().await.expect("more of the head"));
            }
            let head = String::from_utf8(head).expect("text").to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length = length.map_or(0, |length| length.parse().expect("a length"));
            self.0.read_exact(&mut vec![0; length]).await.expect("a body");
            head[9..12].parse().expect("a status")
        };
        within("an answer", answer).await
    }

    async fn is_closed(&mut self) {
        let end = within("the end of a connection", self.0.read(&mut [0])).await;
        assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    }
}

#[tokio::test]
async fn idle_connections_make_room_for_newcomers_the_one_that_is_so_for_longest_first() {
    let (emoji, (voting, _)) = (emoji().await, voting(Duration::ZERO).await);
    let limits = Limits { connections: 3, requests: 100 };
    let web = limited_web(emoji.address(), voting.address(), limits).await;
    let mut kept = Vec::new();
    for _ in 0..3 {
        let mut connection = Kept::open(web.address()).await;
        connection.ask("/api/list").await;
        assert_eq!(connection.status().await, 200);
        kept.push(connection);
    }
    // Who asked a moment ago will ask again: only later is one of them closed for a newcomer.
    let newcomer = eventually("a newcomer that is served", || async {
        let mut newcomer = Kept::open(web.address()).await;
        newcomer.ask("/api/list").await;
        (newcomer.status().await == 200).then_some(newcomer)
    });
    let _newcomer = newcomer.await;
    kept[0].is_closed().await;
    for younger in &mut kept[1..] {
        younger.ask("/api/list").await;
        assert_eq!(younger.status().await, 200);
    }
}

#[tokio::test]
async fn where_no_connection_is_idle_a_newcomer_is_told_to_come_back() {
    let store = Arc::new(Holding::default());
    let (emoji, voting) = (emoji().await, voting_on(Arc::clone(&store)).await);
    let limits = Limits { connections: 2, requests: 100 };
    let web = limited_web(emoji.address(), voting.address(), limits).await;
    let url = web.url(VOTE);
    let votes = [tokio::spawn(get(url.clone())), tokio::spawn(get(url))];
    for _ in &votes {
        within("a vote", store.arrived.notified()).await;
    }

    let answer = raw(web.address(), b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", |_| false).await;
    let answer = String::from_utf8(answer).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    for line in ["retry-after: 1", "connection: close", "content-type: application/json"] {
        assert!(head.lines().any(|of_head| of_head == line), "{line} in {head}");
    }
    assert!(head.ends_with(&format!("content-length: {}", body.len())), "{head}");
    assert_eq!(body, r#"{"error":"web has too much to do at the moment"}"#);

    for vote in votes {
        store.go_on.notify_one();
        assert_eq!(vote.await.expect("no panic"), 200);
    }
    eventually("a newcomer that is served", || async {
        (http::get(&web.url("/")).await.status == 200).then_some(())
    })
    .await;
}

async fn get(url: String) -> u16 {
    http::get(&url).await.status.as_u16()
}

#[tokio::test]
async fn requests_that_are_too_many_are_refused_at_once_and_those_in_flight_answered() {
    let store = Arc::new(Holding::default());
    let (emoji, voting) = (emoji().await, voting_on(Arc::clone(&store)).await);
    let limits = Limits { connections: 100, requests: 1 };
    let web = limited_web(emoji.address(), voting.address(), limits).await;
    let vote = tokio::spawn(get(web.url(VOTE)));
    within("a vote", store.arrived.notified()).await;

    let refused = http::get(&web.url("/api/list")).await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, "1"));
    assert_eq!(refused.error(), "web has too much to do at the moment");
    let refused = http::send_h2(::http::Request::get(web.url("/api/list")), b"").await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, "1"));
    assert_eq!(refused.length, 0, "a client of HTTP/2 could leave it unread");
    let mut kept = Kept::open(web.address()).await;
    kept.ask("/api/list").await;
    assert_eq!(kept.status().await, 503);

    store.go_on.notify_one();
    assert_eq!(vote.await.expect("no panic"), 200);
    kept.ask("/api/list").await;
    assert_eq!(kept.status().await, 200, "the same connection, a little later");
}

#[tokio::test]
async fn rpcs_that_are_too_many_are_refused_and_web_hands_it_on() {
    let store = Arc::new(Holding::default());
    let limits = Limits { connections: 100, requests: 1 };
    let poll =
        PollSettings { failure_rate: 1.0, artificial_delay: Duration::ZERO, votes_once: true };
    let held = Arc::clone(&store);
    let voting = Service::start(ANY_PORT, |listener, lifecycle| {
        let lifecycle = lifecycle.limited(limits, Rejected::default());
        emojivoto_voting_svc::serve(poll, held, listener, Telemetry::off(), lifecycle)
    });
    let (emoji, voting) = (emoji().await, voting.await.ready().await);
    let web = emojivoto_testkit::web(emoji.address(), voting.address()).await.ready().await;
    let mut client = VotingClient::new(channel(voting.address()));
    let joy: Shortcode = ":joy:".parse().expect("on the ballot");

    let vote = tokio::spawn(get(web.url(VOTE)));
    within("a vote", store.arrived.notified()).await;
    let refused = client.vote(joy, VoteRequest {}).await.expect_err("refused");
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    // How it is can be asked all the same: whoever was not answered would take it for dead.
    let mut health = HealthClient::new(channel(voting.address()));
    let check = HealthCheckRequest::default();
    let health = within("a health check", health.check(check)).await.expect("an answer");
    assert_eq!(health.into_inner().status(), ServingStatus::Serving);
    let refused = http::get(&web.url(VOTE)).await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, "1"));
    assert_eq!(refused.error(), "voting-svc cannot take on more at the moment");

    store.go_on.notify_one();
    assert_eq!(vote.await.expect("no panic"), 200);
    store.go_on.notify_one();
    client.vote(joy, VoteRequest {}).await.expect("a vote");
    assert_eq!(store.votes().await, 2);
}

#[tokio::test]
async fn refusals_are_counted_and_said_twice_however_many_they_are() {
    let binary = on_free_ports().envs(&[
        ("NO_BOT", "true"),
        ("MAX_REQUESTS", "1"),
        ("ARTIFICIAL_DELAY", "4s"),
        ("REQUEST_LOG", "0"),
    ]);
    let mut suite = Running::start(binary);
    let rejected = async |reason: &str| {
        let series = format!("emojivoto_rejected_total{{reason=\"{reason}\"}}");
        value(&suite.scrape().await, &series)
    };
    for reason in ["connections", "requests", "streams", "viewers"] {
        assert_eq!(rejected(reason).await, Some(0.0), "{reason}, from the start");
    }
    let vote = tokio::spawn(get(suite.url(VOTE)));
    suite.rpc_started("VoteJoy").await;
    for _ in 0..3 {
        assert_eq!(http::get(&suite.url("/api/list")).await.status, 503);
    }
    assert_eq!(rejected("requests").await, Some(3.0));
    let counted = r#"http_server_request_duration_seconds_count{http_request_method="GET",http_route="/api/list",http_response_status_code="503"}"#;
    assert_eq!(value(&suite.scrape().await, counted), Some(3.0));
    assert_eq!(vote.await.expect("no panic"), 200);
    let line = suite.run.line("too many requests");
    assert!(line.contains(" WARN ") && line.contains("MAX_REQUESTS"), "{line}");
    let line = suite.run.line("no longer refusing requests: 3 in ");
    assert!(line.contains(" INFO "), "{line}");
    suite.run.signal("TERM");
    let (_, lines, _) = suite.end();
    let said = lines.iter().filter(|line| line.contains("refusing")).count();
    assert_eq!(said, 2, "{lines:#?}");
}

#[tokio::test]
async fn who_goes_away_leaves_its_place_to_others() {
    let store = Arc::new(Holding::default());
    let (emoji, voting) = (emoji().await, voting_on(Arc::clone(&store)).await);
    let limits = Limits { connections: 100, requests: 1 };
    let web = limited_web(emoji.address(), voting.address(), limits).await;
    let mut gone = Kept::open(web.address()).await;
    gone.ask(VOTE).await;
    within("a vote", store.arrived.notified()).await;
    assert_eq!(get(web.url("/api/list")).await, 503);
    drop(gone);
    let place = || async { (get(web.url("/api/list")).await == 200).then_some(()) };
    eventually("its place", place).await;
}

/// The clock is the test's own: it jumps to the next timer when nothing else is to be done.
#[tokio::test(start_paused = true)]
async fn an_rpc_whose_message_never_comes_ends_and_no_other_does() {
    let emoji = emoji().await;
    let channel = channel(emoji.address());
    let path = PathAndQuery::from_static("/emojivoto.v1.EmojiService/FindByShortcode");
    let mut silent = Grpc::new(channel.clone());
    silent.ready().await.expect("a connection");
    let never = Request::new(stream::pending::<FindByShortcodeRequest>());
    let codec = ProstCodec::<FindByShortcodeRequest, FindByShortcodeResponse>::default();
    let silent = silent.client_streaming(never, path, codec);
    let mut client = EmojiServiceClient::new(channel);
    let others = async {
        for _ in 0..3 {
            client.list_all(ListAllEmojiRequest {}).await.expect("a list");
        }
    };
    let (silent, ()) = within("an end", async { tokio::join!(silent, others) }).await;
    let status = silent.expect_err("nothing was asked");
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    client.list_all(ListAllEmojiRequest {}).await.expect("a list, on the same connection");
}

#[tokio::test]
async fn who_has_asked_for_nothing_is_not_waited_for_at_the_end() {
    let (emoji, (voting, _)) = (emoji().await, voting(Duration::ZERO).await);
    let web = limited_web(emoji.address(), voting.address(), Limits::DEFAULT).await;
    let mut half = Kept::open(web.address()).await;
    half.0.write_all(b"GET / HTTP/1.1\r\nhost").await.expect("an open connection");
    let mut idle = Kept::open(web.address()).await;
    idle.ask("/api/list").await;
    assert_eq!(idle.status().await, 200);
    let _silent = Kept::open(web.address()).await;
    web.drained().await;
}
