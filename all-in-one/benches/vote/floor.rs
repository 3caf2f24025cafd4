//! The least that a vote can cost with these libraries when nothing is tuned: a handler of axum with two plain calls of
//! tonic, and plain servers of tonic, as their documentation has them. No metrics, logs, time-outs, limits or checks.

use std::{
    collections::HashMap,
    convert::Infallible,
    fmt::Write as _,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Query, State},
    response::Html,
    routing::get,
};
use emojivoto_proto::{
    Shortcode,
    emoji::{
        EmojiList, FindByShortcodeRequest, FindByShortcodeResponse, ListAllEmojiRequest,
        ListAllEmojiResponse,
        emoji_service_client::EmojiServiceClient,
        emoji_service_server::{EmojiService, EmojiServiceServer},
    },
    voting::{ResultsRequest, ResultsResponse, VoteRequest, VoteResponse, VotingResult},
};
use emojivoto_testkit::bench::{Process, Suite};
use http::{StatusCode, uri::PathAndQuery};
use serde_json::{Value, json};
use tokio::{net::TcpListener, runtime::Runtime};
use tonic::{
    Request, Response, Status,
    body::Body,
    codegen::{BoxFuture, Context, Poll, Service},
    server::NamedService,
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;
use tower::service_fn;

const VOTE: &str = "/emojivoto.v1.VotingService/VoteJoy";
const RESULTS: &str = "/emojivoto.v1.VotingService/Results";

/// The three of them.
pub(crate) fn start() -> Suite {
    let emoji = Process::with(&["floor", "emoji"]);
    let voting = Process::with(&["floor", "voting"]);
    let backends = [&emoji, &voting].map(|process| process.address().to_string());
    let web = Process::with(&["floor", "web", &backends[0], &backends[1]]);
    Suite::of([web, emoji, voting])
}

/// Runs one of the three until it is killed.
pub(crate) fn run(service: &str, backends: &[&str]) {
    Runtime::new().expect("a runtime").block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("listening on {}", listener.local_addr().expect("an address"));
        match (service, backends) {
            ("web", [emoji, voting]) => web(listener, emoji, voting).await,
            ("emoji", []) => {
                let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
                let emoji = EmojiServiceServer::new(Emoji::default());
                let server = Server::builder().add_service(emoji);
                server.serve_with_incoming(incoming).await.expect("it serves");
            }
            ("voting", []) => {
                let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
                let server = Server::builder().add_service(Voting::default());
                server.serve_with_incoming(incoming).await.expect("it serves");
            }
            _ => panic!("no such service: {service}"),
        }
    });
}

struct Emoji(ListAllEmojiResponse);

impl Default for Emoji {
    fn default() -> Self {
        Self(EmojiList { list: Shortcode::all().map(Into::into).collect() }.into())
    }
}

#[tonic::async_trait]
impl EmojiService for Emoji {
    async fn list_all(
        &self,
        _: Request<ListAllEmojiRequest>,
    ) -> Result<Response<ListAllEmojiResponse>, Status> {
        Ok(Response::new(self.0.clone()))
    }

    async fn find_by_shortcode(
        &self,
        request: Request<FindByShortcodeRequest>,
    ) -> Result<Response<FindByShortcodeResponse>, Status> {
        let emoji = request.get_ref().shortcode.parse::<Shortcode>().ok().map(Into::into);
        Ok(Response::new(FindByShortcodeResponse { emoji }))
    }
}

/// What tonic would generate for two of the RPCs.
#[derive(Clone, Default)]
struct Voting(Arc<Mutex<i32>>);

impl NamedService for Voting {
    const NAME: &'static str = "emojivoto.v1.VotingService";
}

impl Service<http::Request<Body>> for Voting {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<http::Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let votes = Arc::clone(&self.0);
        match request.uri().path() {
            VOTE => Box::pin(async move {
                let vote = service_fn(|_: Request<VoteRequest>| {
                    let votes = Arc::clone(&votes);
                    async move {
                        *votes.lock().expect("no panic") += 1;
                        Ok(Response::new(VoteResponse {}))
                    }
                });
                Ok(tonic::server::Grpc::new(ProstCodec::default()).unary(vote, request).await)
            }),
            RESULTS => Box::pin(async move {
                let results = service_fn(|_: Request<ResultsRequest>| {
                    let votes = *votes.lock().expect("no panic");
                    let shortcode = ":joy:".to_owned();
                    let results = vec![VotingResult { shortcode, votes }];
                    async move { Ok(Response::new(ResultsResponse { results })) }
                });
                Ok(tonic::server::Grpc::new(ProstCodec::default()).unary(results, request).await)
            }),
            _ => Box::pin(async { Ok(Status::unimplemented("").into_http()) }),
        }
    }
}

#[derive(Clone)]
struct Backends {
    emoji: EmojiServiceClient<Channel>,
    voting: tonic::client::Grpc<Channel>,
}

impl Backends {
    async fn list(&mut self) -> Result<ListAllEmojiResponse, StatusCode> {
        let list = self.emoji.list_all(ListAllEmojiRequest {}).await;
        Ok(list.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?.into_inner())
    }

    async fn call<Req, Res>(&mut self, path: &'static str, message: Req) -> Result<Res, StatusCode>
    where
        Req: prost::Message + Send + Sync + 'static,
        Res: prost::Message + Default + Send + Sync + 'static,
    {
        let failed = |_| StatusCode::INTERNAL_SERVER_ERROR;
        self.voting.ready().await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
        let path = PathAndQuery::from_static(path);
        let answer = self.voting.unary(Request::new(message), path, ProstCodec::default()).await;
        Ok(answer.map_err(failed)?.into_inner())
    }
}

async fn web(listener: TcpListener, emoji: &str, voting: &str) {
    let channel = |address: &str| {
        Endpoint::from_shared(format!("http://{address}")).expect("an address").connect_lazy()
    };
    let backends = Backends {
        emoji: EmojiServiceClient::new(channel(emoji)),
        voting: tonic::client::Grpc::new(channel(voting)),
    };
    let app = Router::new()
        .route("/", get(ballot))
        .route("/api/list", get(list))
        .route("/api/leaderboard", get(leaderboard))
        .route("/api/vote", get(vote))
        .with_state(backends);
    axum::serve(listener, app).await.expect("it serves");
}

async fn vote(
    State(mut backends): State<Backends>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<StatusCode, StatusCode> {
    let shortcode = query.get("choice").ok_or(StatusCode::BAD_REQUEST)?.clone();
    let found = backends.emoji.find_by_shortcode(FindByShortcodeRequest { shortcode }).await;
    let found = found.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?.into_inner();
    found.emoji.ok_or(StatusCode::BAD_REQUEST)?;
    backends.call::<_, VoteResponse>(VOTE, VoteRequest {}).await?;
    Ok(StatusCode::OK)
}

async fn list(State(mut backends): State<Backends>) -> Result<Json<Value>, StatusCode> {
    let ballot = backends.list().await?;
    let entry = |emoji: &emojivoto_proto::emoji::Emoji| json!({"shortcode": emoji.shortcode, "unicode": emoji.unicode});
    Ok(Json(ballot.list.iter().map(entry).collect()))
}

async fn leaderboard(State(backends): State<Backends>) -> Result<Json<Value>, StatusCode> {
    let (mut one, mut other) = (backends.clone(), backends);
    let results = one.call::<_, ResultsResponse>(RESULTS, ResultsRequest {});
    let (ballot, results) = tokio::try_join!(other.list(), results)?;
    let pictures: HashMap<_, _> = ballot.list.iter().map(|e| (&e.shortcode, &e.unicode)).collect();
    let entry = |result: &VotingResult| {
        let unicode = pictures.get(&result.shortcode);
        json!({"shortcode": result.shortcode, "unicode": unicode, "votes": result.votes.to_string()})
    };
    Ok(Json(results.results.iter().map(entry).collect()))
}

async fn ballot(State(mut backends): State<Backends>) -> Result<Html<String>, StatusCode> {
    let ballot = backends.list().await?;
    let mut page = String::from("<!doctype html><title>ballot</title><form method=post>");
    for emoji in &ballot.list {
        let (name, picture) = (&emoji.shortcode, &emoji.unicode);
        let _ = write!(page, "<button name=choice value={name}>{picture} {name}</button>");
    }
    Ok(Html(page))
}
