//! Connections on which nothing is said.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

use crate::limits::SILENCE;

/// What HTTP/2 connections begin with is this long, and no HTTP/1 request is much shorter.
const ENOUGH: usize = 24;

/// A connection that ends when the client does not begin to speak in time: until then no protocol
/// is known whose time-outs could do it, and silent clients could take all file descriptors.
#[derive(Debug)]
pub struct FirstBytes {
    stream: TcpStream,
    /// What the client still has to say, and until when; nothing once it has.
    missing: Option<(usize, Pin<Box<Sleep>>)>,
}

impl FirstBytes {
    pub(crate) fn of(stream: TcpStream) -> Self {
        Self { stream, missing: Some((ENOUGH, Box::pin(sleep(SILENCE)))) }
    }
}

impl AsyncRead for FirstBytes {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let Some((missing, deadline)) = &mut self.missing else { return read };
        if read.is_pending() {
            ready!(deadline.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        *missing = missing.saturating_sub(buf.filled().len() - before);
        if *missing == 0 {
            self.missing = None;
        }
        read
    }
}

impl AsyncWrite for FirstBytes {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
        time::{Instant, timeout},
    };

    use super::*;

    async fn connection() -> (TcpStream, FirstBytes) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let client = TcpStream::connect(listener.local_addr().expect("an address")).await;
        let (server, _) = listener.accept().await.expect("a connection");
        (client.expect("a connection"), FirstBytes::of(server))
    }

    /// The clock is the test's own: it jumps to the next timer when nothing else is to be done.
    #[tokio::test(start_paused = true)]
    async fn a_client_that_says_too_little_is_left() {
        for said in [&b""[..], b"PRI * HTTP/2.0"] {
            let (mut client, mut server) = connection().await;
            client.write_all(said).await.expect("a few bytes");
            let start = Instant::now();
            let error = server.read_to_end(&mut Vec::new()).await.expect_err("a time-out");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert!(start.elapsed() >= SILENCE);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_has_spoken_may_be_silent() {
        let (mut client, mut server) = connection().await;
        client.write_all(&[b'x'; ENOUGH]).await.expect("enough bytes");
        server.read_exact(&mut [0; ENOUGH]).await.expect("enough bytes");
        let silence = timeout(SILENCE * 10, server.read(&mut [0; 1])).await;
        assert!(silence.is_err(), "still open: {silence:?}");
    }
}
