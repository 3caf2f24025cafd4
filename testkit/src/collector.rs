//! A collector of spans and logs: a server of OTLP, over gRPC and HTTP on one port, that keeps what it
//! gets. See <https://opentelemetry.io/docs/specs/otlp/>.

mod received;
mod server;
mod tls;

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    http::HeaderMap,
    serve::{Listener, ListenerExt as _},
};
pub use opentelemetry_proto::tonic::{
    logs::v1::SeverityNumber,
    trace::v1::{span::SpanKind, status::StatusCode},
};
pub use received::{Attributes, Log, Span};
use server::{Answer, Received};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::ANY_PORT;

/// A running collector. It ends with the test.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    received: Arc<Mutex<Received>>,
    task: JoinHandle<()>,
}

impl Collector {
    /// One that takes everything.
    pub async fn start() -> Self {
        Self::start_at(ANY_PORT).await
    }

    /// The same at an address where there was none, or another, before.
    pub async fn start_at(address: SocketAddr) -> Self {
        Self::answering(Answer::Thanks, address).await
    }

    /// One that asks to be left alone for now: `UNAVAILABLE` over gRPC, 503 over HTTP.
    pub async fn refusing() -> Self {
        Self::answering(Answer::NotNow, ANY_PORT).await
    }

    /// One that asks to be left alone for longer than anybody waits: `RESOURCE_EXHAUSTED` over gRPC, 503 with
    /// `Retry-After` over HTTP.
    pub async fn refusing_for_an_hour() -> Self {
        Self::answering(Answer::Later, ANY_PORT).await
    }

    /// One that does not know whoever calls: `UNAUTHENTICATED` over gRPC, 401 over HTTP.
    pub async fn rejecting() -> Self {
        Self::answering(Answer::Never, ANY_PORT).await
    }

    /// One that accepts connections and never says a word.
    pub async fn hanging() -> Self {
        let (address, listener) = listen(ANY_PORT).await;
        let task = tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok(connection) = listener.accept().await {
                held.push(connection);
            }
        });
        Self { address, received: Arc::default(), task }
    }

    /// One that speaks TLS as `localhost`, and the authority to trust for that, in PEM.
    pub async fn encrypted() -> (Self, String) {
        let (address, listener) = listen(ANY_PORT).await;
        let (listener, authority) = tls::encrypt(listener);
        (Self::serving(address, listener, Answer::Thanks), authority)
    }

    async fn answering(answer: Answer, address: SocketAddr) -> Self {
        let (address, listener) = listen(address).await;
        let listener = listener.tap_io(|connection| {
            let _ = connection.set_nodelay(true);
        });
        Self::serving(address, listener, answer)
    }

    fn serving<L: Listener<Addr: fmt::Debug>>(
        address: SocketAddr,
        listener: L,
        answer: Answer,
    ) -> Self {
        let received = Arc::default();
        let app = server::router(answer, &received);
        let serve = axum::serve(listener, app).into_future();
        let task = tokio::spawn(async { serve.await.expect("it never ends") });
        Self { address, received, task }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The spans that have come so far.
    pub fn spans(&self) -> Vec<Span> {
        self.received().spans.clone()
    }

    /// The log records that have come so far.
    pub fn logs(&self) -> Vec<Log> {
        self.received().logs.clone()
    }

    /// The attributes of those that sent something, once a request.
    pub fn resources(&self) -> Vec<Attributes> {
        self.received().resources.clone()
    }

    /// The path and the headers of the requests that have come, whatever was answered.
    pub fn headers(&self) -> Vec<(String, HeaderMap)> {
        self.received().headers.clone()
    }

    /// # Panics
    /// When a request made no sense.
    fn received(&self) -> MutexGuard<'_, Received> {
        let received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(received.errors.is_empty(), "{:?}", received.errors);
        received
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(address: SocketAddr) -> (SocketAddr, TcpListener) {
    let listener = TcpListener::bind(address).await.expect("a port");
    (listener.local_addr().expect("a bound address"), listener)
}
