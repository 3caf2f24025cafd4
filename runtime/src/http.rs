//! Serves HTTP/1.1 and HTTP/2 (h2c) until told to stop; gRPC, which is HTTP/2, as well.

use std::io;

use emojivoto_net::{
    accept,
    limits::{KEEPALIVE, MAX_HEAD_BYTES, MAX_STREAMS, SILENCE},
};
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tower::Service;

use crate::{Error, Lifecycle};

/// Serves `app` on `listener` until the service is told to stop; returns when every request in
/// flight has been answered.
pub async fn serve<S, B>(listener: TcpListener, app: S, lifecycle: &Lifecycle) -> io::Result<()>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Error>,
    B: Body<Data: Send, Error: Into<Error>> + Send + 'static,
{
    let mut server = Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(SILENCE)
        .max_buf_size(usize::try_from(MAX_HEAD_BYTES).expect("64 KiB fit"));
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .max_header_list_size(MAX_HEAD_BYTES);

    let connections = GracefulShutdown::new();
    let mut shutdown = std::pin::pin!(lifecycle.shutdown());
    loop {
        let (stream, peer) = tokio::select! {
            accepted = accept(&listener) => accepted,
            () = &mut shutdown => break,
        };
        let service = TowerToHyperService::new(app.clone());
        let connection = server.serve_connection(TokioIo::new(stream), service).into_owned();
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%peer, error, "connection ended early");
            }
        });
    }
    drop(listener);
    connections.shutdown().await;
    Ok(())
}
