//! A network that delivers some votes twice.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    response::Response,
};
use emojivoto_proto::IdempotencyKey;
use emojivoto_runtime::http;
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use crate::{ANY_PORT, services::Service};

/// A proxy that sends three votes of ten twice, as they are. It ends with the test.
///
/// It does so in two ways, in turn: as if the answer to the first had got lost, one after the other; and both at once.
#[derive(Debug)]
pub struct Resending {
    service: Service,
    proxy: Arc<Proxy>,
}

#[derive(Debug)]
struct Proxy {
    to: SocketAddr,
    http_1: Client<HttpConnector, Full<Bytes>>,
    http_2: Client<HttpConnector, Full<Bytes>>,
    votes: AtomicU64,
    resent: AtomicU64,
    counted: Mutex<HashSet<Vec<u8>>>,
}

impl Resending {
    /// One in front of web, or of voting-svc.
    pub async fn to(to: SocketAddr) -> Self {
        let client = |only_2| Client::builder(TokioExecutor::new()).http2_only(only_2).build_http();
        let proxy = Arc::new(Proxy {
            to,
            http_1: client(false),
            http_2: client(true),
            votes: AtomicU64::default(),
            resent: AtomicU64::default(),
            counted: Mutex::default(),
        });
        let router = Router::new().fallback(pass).with_state(Arc::clone(&proxy));
        let service = Service::start(ANY_PORT, |listener, lifecycle| async move {
            lifecycle.ready();
            Ok(http::serve(listener, router, &lifecycle).await?)
        });
        Self { service: service.await, proxy }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.service.address()
    }

    /// How many votes came.
    pub fn votes(&self) -> u64 {
        self.proxy.votes.load(SeqCst)
    }

    /// How many of them it has sent twice.
    pub fn resent(&self) -> u64 {
        self.proxy.resent.load(SeqCst)
    }

    /// How many keys there were among the votes that were answered with 200.
    pub fn keys(&self) -> usize {
        self.proxy.counted.lock().expect("no panic").len()
    }
}

async fn pass(State(proxy): State<Arc<Proxy>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = body.collect().await.expect("a whole request").to_bytes();
    proxy.pass(Request::from_parts(head, Full::new(body))).await
}

impl Proxy {
    async fn pass(&self, request: Request<Full<Bytes>>) -> Response {
        let path = request.uri().path();
        if !(path == "/api/vote" || path.contains("VotingService/Vote")) {
            return self.send(request).await;
        }
        let key = request.headers().get(IdempotencyKey::HEADER).expect("votes have a key").clone();
        let vote = self.votes.fetch_add(1, SeqCst);
        let answer = if vote * 3 % 10 >= 3 {
            self.send(request).await
        } else if self.resent.fetch_add(1, SeqCst).is_multiple_of(2) {
            self.send(request.clone()).await;
            self.send(request).await
        } else {
            tokio::join!(self.send(request.clone()), self.send(request)).0
        };
        if answer.status() == 200 {
            self.counted.lock().expect("no panic").insert(key.as_bytes().to_owned());
        }
        answer
    }

    async fn send(&self, mut request: Request<Full<Bytes>>) -> Response {
        let path = request.uri().path_and_query().expect("a path").to_string();
        *request.uri_mut() = format!("http://{}{path}", self.to).parse().expect("an address");
        let is_2 = request.version() == ::http::Version::HTTP_2;
        let client = if is_2 { &self.http_2 } else { &self.http_1 };
        let (head, body) = client.request(request).await.expect("an answer").into_parts();
        // With its trailers.
        let body = body.collect().await.expect("a whole answer");
        Response::from_parts(head, Body::new(body))
    }
}
