//! Serves HTTP/1.1 and HTTP/2 (h2c) until told to stop.

use std::{io, net::SocketAddr, time::Duration};

use axum::{Router, serve::Listener};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::net::TcpListener;

use crate::{Lifecycle, first_bytes::FirstBytes};

/// How long a client may take to send the head of a request, or keep a connection without one.
/// As long as nginx keeps them: shorter, and proxies send requests into closed connections.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);
/// An HTTP/2 client that vanished without a word is noticed after this long, and as long again.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// The head of a request, target and headers, may be this long; beyond, the answer is 431.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Requests that one HTTP/2 connection may have in flight.
const MAX_STREAMS: u32 = 1024;

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
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .max_header_list_size(u32::try_from(MAX_HEAD_BYTES).expect("64 KiB fit"));

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
