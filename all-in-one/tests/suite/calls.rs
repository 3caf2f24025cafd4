//! Which calls web makes: the edges that a mesh draws.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use emojivoto_proto::{
    Shortcode,
    emoji::{
        self, EmojiList, FindByShortcodeRequest, FindByShortcodeResponse, ListAllEmojiRequest,
        ListAllEmojiResponse,
        emoji_service_server::{EmojiService, EmojiServiceServer},
    },
    voting::{self, ResultsResponse, Voting, VotingServer},
};
use emojivoto_runtime::{Error, Lifecycle, Stop, Telemetry, grpc};
use emojivoto_testkit::{http, web};
use tokio::{net::TcpListener, sync::Barrier};
use tonic::{Request, Response, Status};

/// Both backends in one, counting what they are asked.
#[derive(Clone)]
struct Backend {
    lists: Arc<AtomicUsize>,
    finds: Arc<AtomicUsize>,
    votes: Arc<AtomicUsize>,
    results: Arc<AtomicUsize>,
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
        let emoji = request.get_ref().shortcode.parse::<Shortcode>().ok().map(Into::into);
        Ok(Response::new(FindByShortcodeResponse { emoji }))
    }
}

impl Voting for Backend {
    async fn vote(&self, _: Shortcode) -> Result<(), Status> {
        self.votes.fetch_add(1, SeqCst);
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
            together,
        };
        let ((emoji, at_emoji), (voting, at_voting)) = (listener().await, listener().await);
        let ((life_1, stop_1), (life_2, stop_2)) = (Lifecycle::new(), Lifecycle::new());
        let service = EmojiServiceServer::new(backend.clone());
        spawn(grpc::serve(emoji, service, emoji::DESCRIPTORS, Telemetry::off(), life_1));
        let service = VotingServer::new(backend.clone());
        spawn(grpc::serve(voting, service, voting::DESCRIPTORS, Telemetry::off(), life_2));
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
