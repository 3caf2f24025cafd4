//! What one connection may cost, whatever it speaks.

use std::time::Duration;

/// How long a client may take to send the head of a request, or keep a connection without one.
/// As long as nginx keeps them: shorter, and proxies send requests into closed connections.
pub const SILENCE: Duration = Duration::from_secs(75);
/// An HTTP/2 client that vanished without a word is noticed after this long, and as long again.
pub const KEEPALIVE: Duration = Duration::from_secs(30);
/// A client that leaves an answer untaken for one to two of these is told to go, and cut off after two more.
pub const TURN: Duration = Duration::from_secs(15);
/// The head of a request (target and headers, or metadata) may be this long; beyond, the answer is 431.
pub const MAX_HEAD_BYTES: u32 = 16 * 1024;
/// Requests that one HTTP/2 connection may have in flight. Meshes and gRPC clients multiplex over few, and RFC 9113 advises
/// against fewer than 100.
pub const MAX_STREAMS: u32 = 128;
/// The same where there are many such connections.
pub const FEWEST_STREAMS: u32 = 8;
/// What all HTTP/2 connections of a server may have in flight together, but for the fewest. Room for each, of some 1.5 kilobytes,
/// is kept until its connection ends.
pub const STREAMS: u32 = 4096;
/// What an HTTP/2 client may send of one request before it is read: no request here is longer than 4 kB.
pub const STREAM_WINDOW: u32 = 16 * 1024;
/// The same for all requests of a connection. h2 counts each small frame that waits to be read as 256 bytes, and takes a
/// connection for an attack on which half of this waits: two frames for each request.
pub const CONNECTION_WINDOW: u32 = 4 * 256 * MAX_STREAMS;
/// What the kernel keeps of what a connection has sent, and of what it is sent. Linux doubles it for its own bookkeeping.
pub const SOCKET_BUFFER: usize = 16 * 1024;
/// What of one answer waits in HTTP/2's own buffers.
pub const SEND_BUFFER_BYTES: usize = 32 * 1024;
