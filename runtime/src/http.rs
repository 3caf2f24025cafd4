//! Serves HTTP/1.1 and HTTP/2 (h2c) until told to stop.

use std::io;

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::net::TcpListener;

use crate::{
    Lifecycle,
    accept::accept,
    limits::{KEEPALIVE, MAX_HEAD_BYTES, MAX_STREAMS, SILENCE},
};

/// Serves `app` on `listener` until the service is told to stop; returns when every request in
/// flight has been answered.
pub async fn serve(listener: TcpListener, app: Router, lifecycle: &Lifecycle) -> io::Result<()> {
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
