//! The message of an RPC, which has to come in time.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};
use tonic::{Status, codegen::StdError};

/// How long a client may take to send the message of an RPC that it has begun.
pub(super) const IN_TIME: Duration = Duration::from_secs(10);

pin_project! {
    /// The body of a request that fails when it does not come in time: as a whole, or, where it is a stream of messages,
    /// the beginning of the first one. Only that RPC ends.
    pub(super) struct Punctual<B> {
        #[pin]
        body: B,
        is_stream: bool,
        clock: Clock,
    }
}

enum Clock {
    /// Most messages are there when they are first looked for, and need no timer.
    Stopped,
    Running(Pin<Box<Sleep>>),
    /// What had to come has come.
    Over,
}

impl<B> Punctual<B> {
    pub(super) fn new(body: B, is_stream: bool) -> Self {
        Self { body, is_stream, clock: Clock::Stopped }
    }
}

impl<B: Body<Error: Into<StdError>>> Body for Punctual<B> {
    type Data = B::Data;
    type Error = StdError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, StdError>>> {
        let this = self.project();
        if let Poll::Ready(frame) = this.body.poll_frame(cx) {
            if *this.is_stream || frame.is_none() {
                *this.clock = Clock::Over;
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        if let Clock::Stopped = this.clock {
            *this.clock = Clock::Running(Box::pin(sleep(IN_TIME)));
        }
        if let Clock::Running(sleep) = this.clock
            && sleep.as_mut().poll(cx).is_ready()
        {
            *this.clock = Clock::Over;
            let late = format!("the message of the request did not come within {IN_TIME:?}");
            return Poll::Ready(Some(Err(Status::deadline_exceeded(late).into())));
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, pin::pin};

    use futures_util::{StreamExt as _, stream};
    use http_body_util::{BodyExt as _, StreamBody};
    use hyper::body::Bytes;
    use tokio::time::{Instant, timeout};

    use super::*;

    /// A body that begins like this, and goes on only after a while.
    fn body(begins: Option<&'static [u8]>) -> impl Body<Data = Bytes, Error = Infallible> {
        let frame = |data| Ok(Frame::data(Bytes::from_static(data)));
        let later = stream::once(async move {
            sleep(IN_TIME * 100).await;
            frame(b"rest")
        });
        StreamBody::new(stream::iter(begins.map(frame)).chain(later))
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_come_in_time_does_not_come() {
        for (begins, is_stream) in [(None, false), (None, true), (Some(&b"half"[..]), false)] {
            let start = Instant::now();
            let error = pin!(Punctual::new(body(begins), is_stream)).collect().await.map(|_| ());
            let error = error.expect_err("no end");
            let status = error.downcast_ref::<Status>().expect("a status");
            assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
            assert!(start.elapsed() < IN_TIME * 2, "{:?}", start.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_has_begun_may_take_its_time() {
        let mut body = pin!(Punctual::new(body(Some(b"begin")), true));
        body.frame().await.expect("a frame").expect("no error");
        let rest = timeout(IN_TIME * 200, body.frame()).await.expect("no end of the waiting");
        rest.expect("a frame").expect("no error");
    }
}
