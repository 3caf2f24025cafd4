//! The body of an answer, which knows when the client has taken it.

use std::{
    io::IoSlice,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http_body::{Body, Frame, SizeHint};
use hyper::body::{Buf, Bytes};
use pin_project_lite::pin_project;

use super::connection::{Generation, Ticket};

pin_project! {
    /// The body of an answer. Its request is in flight until both the body and all that came out of it are gone.
    pub(super) struct Answer<B> {
        #[pin]
        body: B,
        ticket: Arc<Ticket>,
    }
}

impl<B> Answer<B> {
    pub(super) fn new(body: B, ticket: Ticket) -> Self {
        Self { body, ticket: Arc::new(ticket) }
    }
}

impl<B: Body> Body for Answer<B> {
    type Data = Piece<B::Data>;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx));
        Poll::Ready(frame.map(|frame| Ok(frame?.map_data(|data| Piece::new(data, this.ticket)))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A piece of an answer. hyper keeps it for as long as the client has not made room for it: it is the client's
/// turn as long as it exists. That holds for HTTP/2's windows as well, of which a body by itself sees nothing
/// once its last piece has been polled.
pub(super) struct Piece<D> {
    data: D,
    ticket: Arc<Ticket>,
    began: Generation,
}

impl<D> Piece<D> {
    fn new(data: D, ticket: &Arc<Ticket>) -> Self {
        Self { data, ticket: Arc::clone(ticket), began: ticket.connection.turns().begin() }
    }
}

impl<D> Drop for Piece<D> {
    fn drop(&mut self) {
        self.ticket.connection.turns().end(self.began);
    }
}

impl<D: Buf> Buf for Piece<D> {
    fn remaining(&self) -> usize {
        self.data.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.data.chunk()
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.data.chunks_vectored(slices)
    }

    fn advance(&mut self, count: usize) {
        self.data.advance(count);
    }

    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        self.data.copy_to_bytes(count)
    }
}
