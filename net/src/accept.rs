//! How connections are accepted, whatever they speak.

use std::{error::Error, io::ErrorKind, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};

/// How long to wait for others to end when there is no room for one more.
const PAUSE: Duration = Duration::from_secs(1);

/// The next connection, and who made it.
///
/// A process that has no file descriptor left says so and pauses: the connection stays with the kernel, and
/// whoever is connected is served meanwhile. (axum's accept would do, but says nothing; tonic's tries again at once,
/// for ever.)
pub async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Answers are small and complete: waiting to fill a segment would only delay them.
                let _ = stream.set_nodelay(true);
                return (stream, peer);
            }
            // Whoever it was has gone again.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionAborted
                        | ErrorKind::ConnectionReset
                        | ErrorKind::ConnectionRefused
                ) => {}
            Err(error) => {
                let address = listener.local_addr().map(|address| address.to_string());
                let address = address.unwrap_or_default();
                tracing::error!(
                    error = &error as &dyn Error,
                    "cannot accept connections on {address}, trying again in {PAUSE:?}"
                );
                sleep(PAUSE).await;
            }
        }
    }
}
