//! The messages of an RPC on their way, and the status that comes last.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::Response;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::{Status, codegen::Bytes};

use super::call::Call;
use crate::telemetry::metrics::Rpc;

/// In which direction messages go, as seen from here.
#[derive(Debug, Clone, Copy)]
pub(super) enum Direction {
    In,
    Out,
}

/// Finds where messages begin: each has a head of five bytes, the last four of which are its length
/// (gRPC over HTTP/2, "Length-Prefixed-Message").
#[derive(Debug)]
struct Messages {
    rpc: Option<Arc<Rpc>>,
    direction: Direction,
    head: [u8; 5],
    /// Bytes of the head that have come.
    head_bytes: usize,
    /// Bytes of the message that are still to come.
    rest: usize,
}

impl Messages {
    fn new(rpc: Option<Arc<Rpc>>, direction: Direction) -> Self {
        Self { rpc, direction, head: [0; 5], head_bytes: 0, rest: 0 }
    }

    fn see(&mut self, mut data: &[u8]) {
        let Some(rpc) = &self.rpc else { return };
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
                match self.direction {
                    Direction::In => rpc.message_received(),
                    Direction::Out => rpc.message_sent(),
                }
            }
        }
    }
}

pin_project! {
    /// A request: counts the messages that pass.
    pub struct RequestBody<B> {
        #[pin]
        body: B,
        messages: Messages,
    }
}

impl<B> RequestBody<B> {
    pub(super) fn new(body: B, rpc: Option<Arc<Rpc>>, direction: Direction) -> Self {
        Self { body, messages: Messages::new(rpc, direction) }
    }
}

impl<B: Body<Data = Bytes>> Body for RequestBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            frame.data_ref().into_iter().for_each(|data| this.messages.see(data));
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

pin_project! {
    /// A response: counts the messages that pass, and ends the call with the status in the trailers.
    pub struct ResponseBody<B> {
        #[pin]
        body: B,
        messages: Messages,
        call: Option<Call>,
    }
}

impl<B> ResponseBody<B> {
    /// Goes on observing where the head of the response has come. `call` is what has not ended.
    pub(super) fn of(
        response: Response<B>,
        mut call: Option<Call>,
        rpc: Option<Arc<Rpc>>,
        direction: Direction,
    ) -> Response<Self> {
        let (parts, body) = response.into_parts();
        // An error without a message has its status in the headers.
        if parts.headers.contains_key(Status::GRPC_STATUS)
            && let Some(call) = call.take()
        {
            call.end_with(&parts.headers);
        }
        let messages = Messages::new(rpc, direction);
        Response::from_parts(parts, Self { body, messages, call })
    }
}

impl<B: Body<Data = Bytes>> Body for ResponseBody<B> {
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
                frame.data_ref().into_iter().for_each(|data| this.messages.see(data));
                if let Some(trailers) = frame.trailers_ref()
                    && let Some(call) = this.call.take()
                {
                    call.end_with(trailers);
                }
            }
            Some(Err(_)) | None => {
                if let Some(call) = this.call.take() {
                    call.end_without_status();
                }
            }
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
