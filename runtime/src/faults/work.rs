//! Work that nobody waits for any more.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use emojivoto_telemetry::prometheus::metrics::counter::Counter;
use pin_project_lite::pin_project;
use tower::Service;

use crate::Lifecycle;

/// Counts the requests that end before `inner` has answered them, although it has begun to.
#[derive(Debug, Clone)]
pub struct Working<S> {
    inner: S,
    wasted: Counter,
}

impl<S> Working<S> {
    /// Counts with the other services of the process.
    pub fn new(inner: S, lifecycle: &Lifecycle) -> Self {
        Self { inner, wasted: lifecycle.faults().0.wasted.clone() }
    }
}

impl<S: Service<R>, R> Service<R> for Working<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = Work<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Work<S::Future> {
        Work { answer: self.inner.call(request), begun: Begun(None), wasted: self.wasted.clone() }
    }
}

pin_project! {
    /// What `inner` does for a request.
    pub struct Work<F> {
        #[pin]
        answer: F,
        begun: Begun,
        wasted: Counter,
    }
}

/// There is a counter from the first look at the work until it is done.
struct Begun(Option<Counter>);

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(wasted) = &self.0 {
            wasted.inc();
        }
    }
}

impl<F: Future> Future for Work<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let answer = this.answer.poll(cx);
        this.begun.0 = match &answer {
            Poll::Pending => Some(this.wasted.clone()),
            Poll::Ready(_) => None,
        };
        answer
    }
}
