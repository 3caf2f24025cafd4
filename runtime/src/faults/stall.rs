//! Half an answer.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http_body::{Body, Frame};
use hyper::body::Bytes;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use super::Reset;
use crate::Error;

pin_project! {
    /// A body that goes on to the middle of its first piece, and no further. It fails when nobody waits for the rest.
    pub struct Stalled<B> {
        #[pin]
        body: B,
        halfway: bool,
        patience: Pin<Box<Sleep>>,
        rules: String,
    }
}

impl<B> Stalled<B> {
    pub(super) fn new(body: B, until: Instant, rules: String) -> Self {
        Self { body, halfway: false, patience: Box::pin(sleep_until(until)), rules }
    }
}

impl<B: Body<Data = Bytes, Error: Into<Error>>> Body for Stalled<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.project();
        if !*this.halfway
            && let Poll::Ready(frame) = this.body.poll_frame(cx)
        {
            *this.halfway = true;
            let data = match frame.transpose().map_err(Into::into)? {
                Some(frame) => frame.into_data().unwrap_or_default(),
                None => Bytes::new(),
            };
            let half = data.slice(..data.len() / 2);
            if !half.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(half))));
            }
        }
        ready!(this.patience.as_mut().poll(cx));
        Poll::Ready(Some(Err(Reset::by(this.rules.clone()).into())))
    }
}
