//! The socket of a connection, which sees whose turn it is.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

use super::connection::{Connection, Generation, Protocol};

/// What HTTP/2 connections begin with. No HTTP/1 request is much shorter.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long an HTTP/1 client is not listened to that was told to come back later, asked at once, and was told again. It
/// was told a second, and one that does not care would take the processor for refusals.
const PAUSE: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    connection: Arc<Connection>,
    /// How many bytes of the preface have come, until it is known what the connection speaks.
    preface: Option<usize>,
    /// Since when the client does not take what it is sent.
    unread: Option<Generation>,
    /// Who wants to read, and waits for the client to read.
    reader: Option<Waker>,
    pause: Option<Pin<Box<Sleep>>>,
    /// How many refusals in a row it has paused for.
    paused_for: u32,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, connection: Arc<Connection>) -> Self {
        let preface = Some(0);
        Self { stream, connection, preface, unread: None, reader: None, pause: None, paused_for: 0 }
    }

    fn said(&mut self, bytes: &[u8]) {
        let Some(preface) = &mut self.preface else { return };
        let expected = &PREFACE[*preface..];
        let compared = expected.len().min(bytes.len());
        *preface += compared;
        if bytes[..compared] != expected[..compared] {
            self.connection.speaks(Protocol::Http1);
            self.preface = None;
        } else if compared == expected.len() {
            self.connection.speaks(Protocol::Http2);
            self.preface = None;
        }
    }

    fn wrote(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_pending() {
            self.unread.get_or_insert_with(|| self.connection.turns().begin());
        } else if let Some(began) = self.unread.take() {
            self.connection.turns().end(began);
            if let Some(reader) = self.reader.take() {
                reader.wake();
            }
        }
        written
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Who does not read is not read: answers to what it goes on to ask would pile up.
        if self.unread.is_some() {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        // Once, it may have been somebody else who shares the connection. HTTP/2 is for many by design.
        let refused = self.connection.refused();
        if refused > 1
            && refused != self.paused_for
            && self.connection.protocol() == Protocol::Http1
        {
            self.paused_for = refused;
            self.pause = Some(Box::pin(sleep(PAUSE)));
        }
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.said(&buf.filled()[before..]);
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wrote(written)
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
