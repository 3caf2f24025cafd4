//! What one connection may cost, whatever it speaks.

use std::time::Duration;

/// How long a client may take to send the head of a request, or keep a connection without one.
/// As long as nginx keeps them: shorter, and proxies send requests into closed connections.
pub const SILENCE: Duration = Duration::from_secs(75);
/// An HTTP/2 client that vanished without a word is noticed after this long, and as long again.
pub const KEEPALIVE: Duration = Duration::from_secs(30);
/// The head of a request (target and headers, or metadata) may be this long; beyond, the answer is 431.
pub const MAX_HEAD_BYTES: u32 = 64 * 1024;
/// Requests that one HTTP/2 connection may have in flight. Meshes and gRPC clients multiplex over few.
pub const MAX_STREAMS: u32 = 1024;
