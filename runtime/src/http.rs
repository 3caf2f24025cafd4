//! Serves HTTP/1.1 and HTTP/2 (h2c) until told to stop.

use std::{io, net::SocketAddr};

use axum::{Router, serve::Listener};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::net::TcpListener;

use crate::{
    Lifecycle,
    first_bytes::FirstBytes,
    limits::{KEEPALIVE, MAX_HEAD_BYTES, MAX_STREAMS, SILENCE},
};

/// Serves `app` on `listener` until the service is told to stop; returns when every request in
/// flight has been answered.
pub async fn serve(
    mut listener: TcpListener,
    app: Router,
    lifecycle: &Lifecycle,
) -> io::Result<()> {
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
        let (stream, peer): (_, SocketAddr) = tokio::select! {
            // axum's accept, which goes on when the process is short of file descriptors
            accepted = Listener::accept(&mut listener) => accepted,
            () = &mut shutdown => break,
        };
        // Answers are small and complete: waiting to fill a segment would only delay them.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(app.clone());
        let connection =
            server.serve_connection(TokioIo::new(FirstBytes::of(stream)), service).into_owned();
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
