//! How connections are accepted, whatever they speak.

use std::net::SocketAddr;

use axum::serve::Listener;
use tokio::net::TcpListener;

use crate::first_bytes::FirstBytes;

/// The next connection, and who made it.
///
/// Where the process has no file descriptor left for it, axum says so in the log and waits a second: the
/// connection stays with the kernel, and whoever is connected is served meanwhile.
pub(crate) async fn accept(listener: &mut TcpListener) -> (FirstBytes, SocketAddr) {
    let (stream, peer) = Listener::accept(listener).await; // not its own, which may fail
    // Answers are small and complete: waiting to fill a segment would only delay them.
    let _ = stream.set_nodelay(true);
    (FirstBytes::of(stream), peer)
}
