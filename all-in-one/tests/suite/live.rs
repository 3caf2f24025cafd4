//! The live leaderboard, as many browsers see it, and pages that are kept from one request to the next.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use emojivoto_proto::{
    IdempotencyKey, Shortcode,
    emoji::{
        self, EmojiList, FindByShortcodeRequest, FindByShortcodeResponse, ListAllEmojiRequest,
        ListAllEmojiResponse,
        emoji_service_server::{EmojiService, EmojiServiceServer},
    },
    voting::{DESCRIPTORS, ResultsResponse, Voting, VotingResult, VotingServer},
};
use emojivoto_runtime::{Lifecycle, grpc};
use emojivoto_telemetry::Telemetry;
use emojivoto_testkit::{ANY_PORT, Service, emoji, eventually, http, web, web_with, within};
use futures_util::future::join_all;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::{TcpListener, TcpStream},
};
use tonic::{Request, Response, Status};

use crate::Suite;

/// A browser that watches.
struct Viewer(Lines<BufReader<TcpStream>>);

impl Viewer {
    async fn open(web: SocketAddr) -> Self {
        let mut viewer = Self::ask(web).await;
        assert_eq!(viewer.line_with("HTTP/1.1").await, "HTTP/1.1 200 OK");
        viewer.line_with("content-type: text/event-stream").await;
        viewer
    }

    /// Without a look at the answer.
    async fn ask(web: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(web).await.expect("a connection");
        let request = format!(
            "GET /leaderboard/live HTTP/1.1\r\nhost: {web}\r\nconnection: close\r\naccept-encoding: gzip\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("a request");
        Self(BufReader::new(stream).lines())
    }

    /// The next event, with all of its lines.
    async fn event(&mut self) -> Vec<String> {
        let mut event = vec![self.line_with("event: ").await];
        while !event.last().is_some_and(String::is_empty) {
            event.push(self.line_with("").await);
        }
        event
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
    // Who comes all the same is not kept.
    Viewer::open(suite.web.address()).await.ends().await;
}

#[tokio::test]
async fn a_crowd_sees_one_and_the_same_change_and_is_let_go_at_the_end() {
    let suite = Suite::start().await;
    let web = suite.web.address();
    let mut crowd = join_all((0..200).map(|_| Viewer::open(web))).await;
    // They read nothing, and keep nobody from anything.
    let _idle = join_all((0..20).map(|_| Viewer::ask(web))).await;
    let first = join_all(crowd.iter_mut().map(Viewer::event)).await;
    assert!(first[0].iter().any(|line| line.contains("No votes yet")), "{:?}", first[0]);
    suite.get("/api/vote?choice=:ghost:").await;
    let second = join_all(crowd.iter_mut().map(Viewer::event)).await;
    assert!(second[0].iter().any(|line| line.contains(":ghost:")), "{:?}", second[0]);
    for events in [first, second] {
        assert!(events.iter().all(|event| *event == events[0]), "one event for all");
    }
    suite.web.stop().drain();
    join_all(crowd.into_iter().map(Viewer::ends)).await;
}

#[tokio::test]
async fn who_is_one_too_many_is_refused_until_somebody_leaves() {
    let suite = Suite::start().await;
    let (emoji, voting) = (suite.emoji.address(), suite.voting.address());
    let web = web_with(emoji, voting, |settings| settings.max_viewers = 2).await.ready().await;
    let live = web.url("/leaderboard/live");
    let mut viewers = Vec::new();
    for _ in 0..2 {
        viewers.push(Viewer::open(web.address()).await);
    }
    // Whose connection ends well, and whose breaks.
    for breaks in [false, true] {
        let refused = http::get(&live).await;
        assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, "10"));
        assert!(
            refused.body.contains("HTTP 503") && refused.body.contains("Too many"),
            "{refused:?}"
        );
        assert_eq!(http::get(&web.url("/leaderboard")).await.status, 200, "others are served");

        let Viewer(lines) = viewers.remove(0);
        let connection = lines.into_inner().into_inner();
        if breaks {
            connection.set_zero_linger().expect("a reset, not an end");
        }
        drop(connection);
        // Until the server has noticed, it refuses.
        let viewer = eventually("a place that is free again", || async {
            let mut viewer = Viewer::ask(web.address()).await;
            (viewer.line_with("HTTP/1.1").await == "HTTP/1.1 200 OK").then_some(viewer)
        });
        let mut viewer = viewer.await;
        viewer.line_with("event: board").await;
        viewers.push(viewer);
    }
}

#[tokio::test]
async fn nobody_watches_where_nobody_may() {
    let suite = Suite::start().await;
    let (emoji, voting) = (suite.emoji.address(), suite.voting.address());
    let web = web_with(emoji, voting, |settings| settings.max_viewers = 0).await.ready().await;
    assert_eq!(http::get(&web.url("/leaderboard/live")).await.status, 503);
}

/// An emoji service that has two versions of the ballot.
#[derive(Default)]
struct Versions(Arc<AtomicBool>);

#[tonic::async_trait]
impl EmojiService for Versions {
    async fn list_all(
        &self,
        _: Request<ListAllEmojiRequest>,
    ) -> Result<Response<ListAllEmojiResponse>, Status> {
        let mut list: Vec<emoji::Emoji> = Shortcode::all().map(Into::into).collect();
        if self.0.load(SeqCst) {
            ":second_version:".clone_into(&mut list[0].shortcode);
        }
        Ok(Response::new(EmojiList { list }.into()))
    }

    async fn find_by_shortcode(
        &self,
        _: Request<FindByShortcodeRequest>,
    ) -> Result<Response<FindByShortcodeResponse>, Status> {
        Ok(Response::new(FindByShortcodeResponse { emoji: None }))
    }
}

#[tokio::test]
async fn a_page_is_the_same_until_a_backend_answers_something_else() {
    let suite = Suite::start().await;
    let second = Arc::new(AtomicBool::new(false));
    let versions = EmojiServiceServer::new(Versions(Arc::clone(&second)));
    let server = grpc::Server::new(versions, emoji::DESCRIPTORS, &Telemetry::off());
    let emoji = Service::start(ANY_PORT, |listener, lifecycle| server.serve(listener, lifecycle));
    let emoji = emoji.await;
    let web = web(emoji.address(), suite.voting.address()).await.ready().await;
    let ask = async |method: &str, path: &str, encoding: &str| {
        let request = ::http::Request::builder().method(method).uri(web.url(path));
        let answer = http::send(request.header("accept-encoding", encoding), "").await;
        answer.expect("an answer")
    };
    // Before the first vote, the leaderboard shows nothing of the ballot.
    suite.get("/api/vote?choice=:ghost:").await;
    for path in ["/", "/leaderboard", "/api/list"] {
        for encoding in ["identity", "gzip", "br"] {
            second.store(false, SeqCst);
            // A look at the head alone is no answer to keep.
            let head = ask("HEAD", path, encoding).await;
            let before = ask("GET", path, encoding).await;
            assert_eq!((head.status, head.length), (before.status, 0));
            assert!(before.length > 0, "{path} in {encoding}");
            for name in ["content-encoding", "content-type", "vary"] {
                assert_eq!(
                    head.header(name),
                    before.header(name),
                    "{name} of {path} in {encoding}"
                );
            }
            let decoded = if encoding == "identity" { "" } else { encoding };
            assert_eq!(before.header("content-encoding"), decoded, "{path}");
            assert_eq!(ask("GET", path, encoding).await.body, before.body, "{path} in {encoding}");
            second.store(true, SeqCst);
            let after = ask("GET", path, encoding).await;
            assert_ne!(after.body, before.body, "{path} in {encoding}");
        }
        assert!(ask("GET", path, "identity").await.body.contains(":second_version:"), "{path}");
    }

    for votes in ["2", "3"] {
        suite.get("/api/vote?choice=:ghost:").await;
        let page = ask("GET", "/leaderboard", "identity").await.body;
        assert!(page.contains(&format!("<b data-text>{votes}</b>")), "{page}");
        assert_eq!(ask("GET", "/api/leaderboard", "identity").await.json()[0]["votes"], votes);
    }
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
