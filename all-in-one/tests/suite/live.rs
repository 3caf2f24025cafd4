//! The live leaderboard, as many browsers see it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use emojivoto_proto::{
    IdempotencyKey, Shortcode,
    voting::{DESCRIPTORS, ResultsResponse, Voting, VotingResult, VotingServer},
};
use emojivoto_runtime::{Lifecycle, grpc};
use emojivoto_telemetry::Telemetry;
use emojivoto_testkit::{emoji, eventually, web, within};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::{TcpListener, TcpStream},
};
use tonic::Status;

use crate::Suite;

/// A browser that watches.
struct Viewer(Lines<BufReader<TcpStream>>);

impl Viewer {
    async fn open(web: std::net::SocketAddr) -> Self {
        let mut stream = TcpStream::connect(web).await.expect("a connection");
        let request = format!(
            "GET /leaderboard/live HTTP/1.1\r\nhost: {web}\r\nconnection: close\r\naccept-encoding: gzip\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("a request");
        let mut viewer = Self(BufReader::new(stream).lines());
        assert_eq!(viewer.line_with("HTTP/1.1").await, "HTTP/1.1 200 OK");
        viewer.line_with("content-type: text/event-stream").await;
        viewer
    }

    async fn line_with(&mut self, text: &str) -> String {
        let line = async {
            loop {
                let line = self.0.next_line().await.expect("a stream").expect("more of the stream");
                if line.contains(text) {
                    break line;
                }
            }
        };
        within(&format!("a line with {text}"), line).await
    }

    /// Whether the stream comes to its end.
    async fn ends(mut self) {
        let end = async { while let Ok(Some(_)) = self.0.next_line().await {} };
        within("the end of the stream", end).await;
    }
}

#[tokio::test]
async fn viewers_see_the_board_move() {
    let suite = Suite::start().await;
    let mut viewer = Viewer::open(suite.web.address()).await;
    viewer.line_with("event: board").await;
    viewer.line_with("No votes yet").await;
    suite.get("/api/vote?choice=:ghost:").await;
    viewer.line_with("event: board").await;
    viewer.line_with(":ghost:").await;
}

#[tokio::test]
async fn viewers_are_told_when_there_is_no_board_and_when_it_is_back() {
    let suite = Suite::start().await;
    let address = suite.voting.address();
    let mut viewer = Viewer::open(suite.web.address()).await;
    viewer.line_with("event: board").await;
    suite.voting.drained().await;
    viewer.line_with("event: unavailable").await;
    viewer.line_with("voting-svc is not available").await;
    let (_voting, _) = emojivoto_testkit::voting_at(address, Duration::ZERO).await;
    viewer.line_with("event: board").await;
}

#[tokio::test]
async fn streams_end_when_web_drains() {
    let suite = Suite::start().await;
    let mut viewer = Viewer::open(suite.web.address()).await;
    viewer.line_with("event: board").await;
    suite.web.stop().drain();
    viewer.ends().await;
}

/// A voting service that counts how often it is asked for results.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicUsize>);

impl Voting for Counting {
    async fn vote(&self, _: Shortcode, _: Option<IdempotencyKey>) -> Result<(), Status> {
        Ok(())
    }

    async fn results(&self) -> Result<ResultsResponse, Status> {
        let votes = 1 + i32::try_from(self.0.fetch_add(1, SeqCst)).expect("few polls");
        Ok(ResultsResponse { results: vec![VotingResult { shortcode: ":joy:".to_owned(), votes }] })
    }
}

#[tokio::test]
async fn one_poll_serves_all_viewers_and_none_is_made_for_nobody() {
    let polls = Counting::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (lifecycle, _stop) = Lifecycle::new();
    let service = VotingServer::new(polls.clone());
    let server = grpc::Server::new(service, DESCRIPTORS, &Telemetry::off());
    let voting = tokio::spawn(server.serve(listener, lifecycle));
    let emoji = emoji().await;
    let web = web(emoji.address(), address).await.ready().await;
    let count = || polls.0.load(SeqCst);
    let before = count();

    let mut viewers = Vec::new();
    for _ in 0..20 {
        viewers.push(Viewer::open(web.address()).await);
    }
    // Each poll changes the board, so each viewer sees every poll from when it came: after three
    // boards for each of twenty viewers there were a few polls, not sixty.
    for viewer in &mut viewers {
        for _ in 0..3 {
            viewer.line_with("event: board").await;
        }
    }
    let polled = count() - before;
    assert!((3..=6).contains(&polled), "{polled} polls for 20 viewers and 3 boards");

    drop(viewers);
    // Two looks, further apart than polls are, that see the same.
    eventually("no more polls", || async {
        let then = count();
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        (count() == then).then_some(())
    })
    .await;
    voting.abort();
}
