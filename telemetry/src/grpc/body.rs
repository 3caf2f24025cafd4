//! The messages of an RPC on their way, and the status that comes last.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use prometheus_client::metrics::counter::Counter;
use tonic::codegen::Bytes;

use super::call::Call;
use crate::operation::Operation;

/// Finds where messages begin: each has a head of five bytes, the last four of which are its length
/// (gRPC over HTTP/2, "Length-Prefixed-Message").
#[derive(Debug)]
struct Messages {
    count: &'static Counter,
    head: [u8; 5],
    /// Bytes of the head that have come.
    head_bytes: usize,
    /// Bytes of the message that are still to come.
    rest: usize,
}

impl Messages {
    fn see(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            if self.rest > 0 {
                let skipped = self.rest.min(data.len());
                (self.rest, data) = (self.rest - skipped, &data[skipped..]);
                continue;
            }
            let taken = data.len().min(self.head.len() - self.head_bytes);
            self.head[self.head_bytes..][..taken].copy_from_slice(&data[..taken]);
            (self.head_bytes, data) = (self.head_bytes + taken, &data[taken..]);
            if self.head_bytes == self.head.len() {
                let [_compressed, length @ ..] = self.head;
                self.rest = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
                self.head_bytes = 0;
                self.count.inc();
            }
        }
    }
}

pin_project! {
    /// A body whose messages are counted as they pass. That of a response holds its call as well, which ends with
    /// the status in the trailers.
    #[derive(Debug)]
    pub struct ObservedBody<B> {
        #[pin]
        body: B,
        messages: Option<Messages>,
        call: Option<Operation<Call>>,
    }
}

impl<B> ObservedBody<B> {
    pub(super) fn new(body: B, count: &'static Counter, call: Option<Operation<Call>>) -> Self {
        let messages = Some(Messages { count, head: [0; 5], head_bytes: 0, rest: 0 });
        Self { body, messages, call }
    }

    /// Of an answer to what is no RPC, of which nothing is counted.
    pub fn unobserved(body: B) -> Self {
        Self { body, messages: None, call: None }
    }
}

impl<B: Body<Data = Bytes>> Body for ObservedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(messages) = this.messages
                    && let Some(data) = frame.data_ref()
                {
                    messages.see(data);
                }
                if let Some(trailers) = frame.trailers_ref()
                    && let Some(mut call) = this.call.take()
                {
                    call.observed.take_status(trailers);
                }
            }
            // No status will come any more. The stream is reset, if that is not because the client went away.
            Some(Err(_)) => {
                if let Some(mut call) = this.call.take() {
                    call.observed.breaks_off = true;
                }
            }
            None => drop(this.call.take()),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
