//! What no well-meaning client sends. The process stays up, and no other client notices.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use emojivoto_testkit::{
    eventually,
    http::{self, raw},
    voting,
};

use emojivoto_voting_svc::store::VoteStore as _;

use tokio::task::JoinHandle;

use crate::{
    Suite,
    running::{Running, on_free_ports, value},
};

/// What must never reach a client.
fn assert_tells_nothing_internal(text: &str) {
    for internal in
        ["127.0.0.1", "panicked", "src/", ".rs:", "tonic::", "hyper::", "os error", "Error {"]
    {
        assert!(!text.contains(internal), "{internal:?} in {text}");
    }
}

/// A client that means well, at the same time.
struct Others {
    done: Arc<AtomicBool>,
    statuses: JoinHandle<Vec<u16>>,
}

impl Others {
    fn start(url: String) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let is_done = Arc::clone(&done);
        let statuses = tokio::spawn(async move {
            let mut statuses = Vec::new();
            while !is_done.load(SeqCst) {
                statuses.push(http::get(&url).await.status.as_u16());
            }
            statuses
        });
        Self { done, statuses }
    }

    async fn noticed_nothing(self) {
        self.done.store(true, SeqCst);
        let statuses = self.statuses.await.expect("no panic");
        assert!(
            !statuses.is_empty() && statuses.iter().all(|status| *status == 200),
            "{statuses:?}"
        );
    }
}

async fn status_of(address: SocketAddr, request: &[u8]) -> String {
    let answer = raw(address, request, |answer| answer.windows(2).any(|end| end == b"\r\n")).await;
    let text = String::from_utf8_lossy(&answer).into_owned();
    assert_tells_nothing_internal(&text);
    text.lines().next().unwrap_or("closed").to_owned()
}

#[tokio::test]
async fn web_answers_nonsense_with_a_status_and_stays_up() {
    let suite = Suite::start().await;
    let address = suite.web.address();
    let others = Others::start(suite.web.url("/api/list"));
    let head =
        |target: &str, headers: &str| format!("GET {target} HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
    let many = "h: v\r\n".repeat(500);
    for (request, expected) in [
        (head(&format!("/{}", "x".repeat(100_000)), ""), "HTTP/1.1 431 "),
        (head("/", &format!("long: {}\r\n", "x".repeat(200_000))), "HTTP/1.1 431 "),
        (head("/", &many), "HTTP/1.1 431 "),
        (head("/ /", ""), "HTTP/1.1 400 "),
        (head("/", "no colon\r\n"), "HTTP/1.1 400 "),
        (head("/", "control: a\u{1}b\r\n"), "HTTP/1.1 400 "),
        ("NONSENSE\r\n\r\n".to_owned(), "HTTP/1.1 400 "),
        ("\u{0}\u{1}\u{2}\r\n\r\n".to_owned(), "HTTP/1.1 400 "),
        (head("/api/vote?choice=%zz%", ""), "HTTP/1.1 400 "),
        (head("/api/vote?choice=%c3%28", ""), "HTTP/1.1 400 "),
        (head("/%zz/%ff", ""), "HTTP/1.1 404 "),
        (head("/static/%ff%00", ""), "HTTP/1.1 404 "),
        (
            "POST /api/vote HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99999999\r\n\r\n"
                .to_owned(),
            "HTTP/1.1 413 ",
        ),
        ("POST /api/vote HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n".to_owned(), "HTTP/1.1 400 "),
        (
            "POST /vote HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"
                .to_owned(),
            "HTTP/1.1 400 ",
        ),
    ] {
        let status = status_of(address, request.as_bytes()).await;
        assert!(status.starts_with(expected), "{status} for {:?}", request.get(..60).unwrap_or(&request));
        assert!(!status.starts_with("HTTP/1.1 5"), "{status} for {request:?}");
    }
    // TLS, and gRPC, spoken to the web port.
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n";
    assert_eq!(status_of(address, hello).await, "HTTP/1.1 400 Bad Request");
    let url = suite.web.url("/emojivoto.v1.VotingService/VoteJoy");
    let answer = http::post_h2(&url, "application/grpc", EMPTY_MESSAGE).await;
    assert_eq!(answer.status, 404);
    assert_tells_nothing_internal(&answer.body);

    others.noticed_nothing().await;
    assert_eq!(suite.votes().await, 0);
    assert_eq!(suite.get("/api/vote?choice=:joy:").await.status, 200);
}

#[tokio::test]
async fn a_process_without_file_descriptors_says_so_waits_and_goes_on() {
    let mut suite = Running::start(on_free_ports().env("NO_BOT", "true").open_files(64));
    // Which it reads from a file: as long as it has no descriptor left, it cannot.
    let cpu = async |suite: &Running| {
        eventually("its processor time", || async {
            value(&suite.scrape().await, "process_cpu_seconds_total")
        })
        .await
    };
    for port in [suite.voting, suite.web] {
        let (before, start) = (cpu(&suite).await, Instant::now());
        let connect = (0..100).map(|_| tokio::net::TcpStream::connect(port));
        let connections = futures_util::future::try_join_all(connect).await.expect("a backlog");
        // Twice, because the time in between is what is measured.
        for _ in 0..2 {
            let line = suite.run.line(&format!("cannot accept connections on {port}"));
            assert!(line.contains(" ERROR ") && line.contains("open files"), "{line}");
        }
        drop(connections);
        let (used, elapsed) = (cpu(&suite).await - before, start.elapsed().as_secs_f64());
        assert!(used < elapsed / 2.0, "{used} s of processor time in {elapsed} s of waiting");
        assert_eq!(suite.vote(":joy:").await, 200);
    }
}

/// An uncompressed gRPC message of no bytes.
const EMPTY_MESSAGE: &[u8] = &[0, 0, 0, 0, 0];

#[tokio::test]
async fn grpc_ports_tell_others_what_they_speak() {
    let (voting, _) = voting(Duration::ZERO).await;
    for path in ["/", "/emojivoto.v1.VotingService/VoteJoy", "/api/list"] {
        let answer = http::get(&voting.url(path)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.body.as_str()),
            (505, "this port speaks gRPC, which needs HTTP/2\n")
        );
    }
    let url = voting.url("/emojivoto.v1.VotingService/VoteJoy");
    for content_type in [
        "text/plain",
        "application/json",
        "application/grpc-web",
        "application/grpc-web+proto",
        "application/grpc-web-text",
        "application/grpcs",
        "application/grpc/proto",
    ] {
        let answer = http::post_h2(&url, content_type, EMPTY_MESSAGE).await;
        assert_eq!(answer.status, 415);
        assert!(answer.body.contains("expected content-type application/grpc"), "{answer:?}");
    }
    for content_type in
        ["application/grpc", "application/grpc+proto", "application/grpc; charset=utf-8"]
    {
        let answer = http::post_h2(&url, content_type, EMPTY_MESSAGE).await;
        assert_eq!(answer.header("grpc-status"), "0", "{content_type}");
    }
}

#[tokio::test]
async fn grpc_services_answer_nonsense_with_a_status_and_stay_up() {
    let (emoji, (voting, store)) = (emojivoto_testkit::emoji().await, voting(Duration::ZERO).await);
    let message = |length: u32, bytes: &[u8]| [&[0][..], &length.to_be_bytes(), bytes].concat();
    let vote = "/emojivoto.v1.VotingService/VoteJoy";
    let find = "/emojivoto.v1.EmojiService/FindByShortcode";
    let megabyte = vec![0_u8; 1024 * 1024];
    let unimplemented = "12";
    for (service, path, body, statuses) in [
        (&voting, "/emojivoto.v1.VotingService/VoteNothing", message(0, b""), &[unimplemented][..]),
        (&voting, "/emojivoto.v1.VotingService/", message(0, b""), &[unimplemented]),
        (&voting, "/emojivoto.v2.VotingService/VoteJoy", message(0, b""), &[unimplemented]),
        (&voting, "/", message(0, b""), &[unimplemented]),
        (&voting, "/%ff%00/..", message(0, b""), &[unimplemented]),
        (&emoji, "/emojivoto.v1.EmojiService/Nothing", message(0, b""), &[unimplemented]),
        (&voting, vote, message(2, b"\xff\xff"), &["13"]), // a field that never ends
        (&emoji, find, message(4, b"\x0a\x02\xc3\x28"), &["13"]), // a string that is not UTF-8
        (&emoji, find, message(2, b"\x0a\x7f"), &["13"]),  // a string longer than the message
        (&voting, vote, message(u32::MAX, b"x"), &["11", "8"]), // a message of 4 GiB
        (&voting, vote, message(1024 * 1024, &megabyte), &["11", "8"]),
        (&voting, vote, vec![1, 0, 0, 0, 0], &["12", "13"]), // compressed, which nobody agreed to
        (&voting, vote, vec![7, 0, 0, 0, 0], &["13"]),       // a flag that does not exist
        (&voting, vote, vec![0, 0], &["13"]),                // half a prefix
        (&voting, vote, vec![], &["13"]),                    // no message at all
    ] {
        let answer = http::post_h2(&service.url(path), "application/grpc", &body).await;
        let status = answer.header("grpc-status").to_owned();
        let shown = format!("{path} {:?}: {answer:?}", body.get(..8).unwrap_or(&body));
        assert!(statuses.contains(&status.as_str()), "{shown}");
        assert_tells_nothing_internal(&format!("{answer:?}"));
    }
    let huge = format!("application/grpc+{}", "x".repeat(20_000));
    let answer = http::post_h2(&voting.url(vote), &huge, EMPTY_MESSAGE).await;
    assert_eq!(answer.status, 431);

    assert_eq!(store.tally().await.expect("a tally").iter().sum::<u64>(), 0);
    let answer = http::post_h2(&voting.url(vote), "application/grpc", EMPTY_MESSAGE).await;
    assert_eq!(answer.header("grpc-status"), "0");
}
