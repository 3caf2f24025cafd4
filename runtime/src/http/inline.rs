//! How hyper runs what is no part of its connection: each request over HTTP/2, for one.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    task::{Context, Waker},
};

use hyper::rt::Executor;

/// Makes a task only of what is not done at once. An RPC that waits for nothing is over before a task of it would be
/// scheduled, on another core as likely as not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inline;

impl<F> Executor<F> for Inline
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    fn execute(&self, future: F) {
        let mut future = Box::pin(future);
        // It is polled again by its task, which is when it gets to know who is to be woken.
        let mut nobody = Context::from_waker(Waker::noop());
        // What panics ends by itself, as a task of its own would, and not with all others of the connection.
        let first = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut nobody)));
        if first.is_ok_and(|polled| polled.is_pending()) {
            tokio::spawn(future);
        }
    }
}
