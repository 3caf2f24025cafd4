//! Which calls web makes: the edges that a mesh draws.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use emojivoto_proto::{
    IdempotencyKey, Shortcode,
    emoji::{
        self, EmojiList, FindByShortcodeRequest, FindByShortcodeResponse, ListAllEmojiRequest,
        ListAllEmojiResponse,
        emoji_service_server::{EmojiService, EmojiServiceServer},
    },
    voting::{self, ResultsResponse, Voting, VotingServer},
};
use emojivoto_runtime::{Error, Lifecycle, Stop, grpc};
use emojivoto_telemetry::Telemetry;
use emojivoto_testkit::{http, web};
use tokio::{net::TcpListener, sync::Barrier};
use tonic::{Request, Response, Status, metadata::MetadataMap};

/// Both backends in one, counting what they are asked.
#[derive(Clone)]
struct Backend {
    lists: Arc<AtomicUsize>,
    finds: Arc<AtomicUsize>,
    votes: Arc<AtomicUsize>,
    results: Arc<AtomicUsize>,
    /// What came with the last find.
    metadata: Arc<Mutex<MetadataMap>>,
    /// The keys of the votes.
    keys: Arc<Mutex<Vec<String>>>,
    /// Passed by a list and a results call together, and by neither alone.
    together: Arc<Barrier>,
}

#[tonic::async_trait]
impl EmojiService for Backend {
    async fn list_all(
        &self,
        _: Request<ListAllEmojiRequest>,
    ) -> Result<Response<ListAllEmojiResponse>, Status> {
        self.lists.fetch_add(1, SeqCst);
        self.together.wait().await;
        let list = Shortcode::all().map(Into::into).collect();
        Ok(Response::new(EmojiList { list }.into()))
    }

    async fn find_by_shortcode(
        &self,
        request: Request<FindByShortcodeRequest>,
    ) -> Result<Response<FindByShortcodeResponse>, Status> {
        self.finds.fetch_add(1, SeqCst);
        *self.metadata.lock().expect("no panic") = request.metadata().clone();
        let emoji = request.get_ref().shortcode.parse::<Shortcode>().ok().map(Into::into);
        Ok(Response::new(FindByShortcodeResponse { emoji }))
    }
}

impl Voting for Backend {
    async fn vote(&self, _: Shortcode, key: Option<IdempotencyKey>) -> Result<(), Status> {
        self.votes.fetch_add(1, SeqCst);
        let key = key.expect("web gives every vote a key");
        let key = String::from_utf8(key.as_bytes().to_owned()).expect("ASCII");
        self.keys.lock().expect("no panic").push(key);
        Ok(())
    }

    async fn results(&self) -> Result<ResultsResponse, Status> {
        self.results.fetch_add(1, SeqCst);
        self.together.wait().await;
        Ok(ResultsResponse::default())
    }
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

impl Backend {
    /// A counting backend, and where its two services are. They end with the test.
    async fn start() -> (Self, SocketAddr, SocketAddr, [Stop; 2]) {
        let counter = Arc::<AtomicUsize>::default;
        let together = Arc::new(Barrier::new(2));
        let backend = Self {
            lists: counter(),
            finds: counter(),
            votes: counter(),
            results: counter(),
            metadata: Arc::default(),
            keys: Arc::default(),
            together,
        };
        let ((emoji, at_emoji), (voting, at_voting)) = (listener().await, listener().await);
        let ((life_1, stop_1), (life_2, stop_2)) = (Lifecycle::new(), Lifecycle::new());
        let service = EmojiServiceServer::new(backend.clone());
        let server = grpc::Server::new(service, emoji::DESCRIPTORS, &Telemetry::off());
        spawn(server.serve(emoji, life_1));
        let service = VotingServer::new(backend.clone());
        let server = grpc::Server::new(service, voting::DESCRIPTORS, &Telemetry::off());
        spawn(server.serve(voting, life_2));
        (backend, at_emoji, at_voting, [stop_1, stop_2])
    }

    fn counts(&self) -> [usize; 4] {
        [&self.lists, &self.finds, &self.votes, &self.results].map(|counter| counter.load(SeqCst))
    }
}

fn spawn(serve: impl Future<Output = Result<(), Error>> + Send + 'static) {
    tokio::spawn(async move { serve.await.expect("it serves") });
}

#[tokio::test]
async fn a_leaderboard_is_two_calls_at_the_same_time_and_a_vote_two_that_are_never_saved() {
    let (backend, emoji, voting, _stops) = Backend::start().await;
    // Being ready takes one leaderboard, which passes the barrier only if it makes both calls at once.
    let web = web(emoji, voting).await.ready().await;
    assert_eq!(backend.counts(), [1, 0, 0, 1]);
    for path in ["/leaderboard", "/api/leaderboard", "/leaderboard"] {
        assert_eq!(http::get(&web.url(path)).await.status, 200, "{path}");
    }
    assert_eq!(backend.counts(), [4, 0, 0, 4]);
    for _ in 0..5 {
        assert_eq!(http::get(&web.url("/api/vote?choice=:joy:")).await.status, 200);
    }
    assert_eq!(backend.counts(), [4, 5, 5, 4]);
    assert_eq!(http::get(&web.url("/api/vote?choice=:nope:")).await.status, 400);
    assert_eq!(backend.counts(), [4, 6, 5, 4], "emoji-svc decides what is an emoji");
}

/// Proxies of a mesh make spans of their own, and need what came in to know of which trace.
#[tokio::test]
async fn a_trace_is_handed_on_where_nothing_is_traced() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    let (backend, emoji, voting, _stops) = Backend::start().await;
    let web = web(emoji, voting).await;
    let url = web.url("/api/vote?choice=:joy:");
    let handed_on = |name: &str| {
        let metadata = backend.metadata.lock().expect("no panic");
        metadata.get(name).map(|value| value.to_str().expect("text").to_owned())
    };
    let w3c = format!("00-{TRACE}-b7ad6b7169203331-01");
    let vote = ::http::Request::get(&url).header("traceparent", &w3c);
    let vote = vote.header("tracestate", "vendor=1").header("baggage", "customer=42,tier=gold");
    assert_eq!(http::send(vote, "").await.expect("an answer").status, 200);
    assert_eq!(handed_on("traceparent"), Some(w3c.clone()));
    assert_eq!(handed_on("tracestate").as_deref(), Some("vendor=1"));
    let baggage = handed_on("baggage").expect("baggage");
    assert!(baggage.contains("customer=42") && baggage.contains("tier=gold"), "{baggage}");

    let b3 = format!("{TRACE}-b7ad6b7169203331-1");
    let vote = ::http::Request::get(&url).header("b3", b3);
    assert_eq!(http::send(vote, "").await.expect("an answer").status, 200);
    assert_eq!((handed_on("traceparent"), handed_on("baggage")), (Some(w3c), None));

    assert_eq!(http::get(&url).await.status, 200);
    assert_eq!(handed_on("traceparent"), None, "there is nothing to hand on");
}

/// The ways of a vote to web.
const WAYS: [(&str, &str); 3] = [("GET", "/api/vote"), ("POST", "/api/vote"), ("POST", "/vote")];

#[tokio::test]
async fn a_vote_keeps_its_key_and_one_without_gets_a_new_one() {
    let (backend, emoji, voting, _stops) = Backend::start().await;
    let web = web(emoji, voting).await;
    let vote = async |(method, path), key: Option<&str>| {
        let url = web.url(&format!("{path}?choice=:joy:"));
        let mut request = ::http::Request::builder().method(method).uri(url);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        assert!(http::send(request, "").await.expect("an answer").status.as_u16() < 400);
    };
    let keys = || std::mem::take(&mut *backend.keys.lock().expect("no panic"));
    let visible: String = ('!'..='~').collect();
    for key in [r#""8e03978e-40d5-43dd-bc93-6894a57f9324""#, "x", &visible, &"x".repeat(128)] {
        for way in WAYS {
            vote(way, Some(key)).await;
        }
        assert_eq!(keys(), [key; WAYS.len()]);
    }
    for way in WAYS.repeat(2) {
        vote(way, None).await;
    }
    let keys = keys();
    let different: BTreeSet<_> = keys.iter().collect();
    assert_eq!((keys.len(), different.len()), (6, 6), "{keys:?}");
    assert!(keys.iter().all(|key| key.len() == 16), "{keys:?}");
}
