//! The deadline of an RPC.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use emojivoto_telemetry::{grpc::timeout, record_error};
use http::{Request, Response};
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};
use tonic::{Status, body::Body};
use tower::Service;

/// Answers in the time that the caller gives: if not what `inner` does, that it was too late. tonic's own servers would
/// say then that the call was cancelled.
#[derive(Debug, Clone)]
pub(super) struct InTime<S>(pub(super) S);

impl<S> Service<Request<Body>> for InTime<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Answer<S::Future> {
        let deadline = timeout(request.headers()).map(sleep);
        Answer { answer: Some(self.0.call(request)), deadline }
    }
}

pin_project! {
    /// An answer that comes in time.
    pub(super) struct Answer<F> {
        #[pin]
        answer: Option<F>,
        #[pin]
        deadline: Option<Sleep>,
    }
}

impl<F: Future<Output = Result<Response<Body>, Infallible>>> Future for Answer<F> {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(answer) = this.answer.as_mut().as_pin_mut()
            && let Poll::Ready(answer) = answer.poll(cx)
        {
            return Poll::Ready(answer);
        }
        match this.deadline.as_pin_mut().map(|deadline| deadline.poll(cx)) {
            Some(Poll::Ready(())) => {
                // What has been begun ends here.
                this.answer.set(None);
                record_error(&TooLate);
                Poll::Ready(Ok(too_late()))
            }
            _ => Poll::Pending,
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("deadline has elapsed")]
struct TooLate;

/// That the deadline has passed.
pub(super) fn too_late() -> Response<Body> {
    Status::deadline_exceeded("no answer in time").into_http()
}
