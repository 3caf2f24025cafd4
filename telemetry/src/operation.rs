//! What a service does, or asks another one for, as it is observed: an RPC, an HTTP exchange.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use opentelemetry::{
    Context, KeyValue,
    trace::{FutureExt as _, Status, TraceContextExt as _, WithContext},
};

use crate::spans;

/// On which side of an operation a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// It answers.
    Server,
    /// It asks.
    Client,
}

/// What one kind of operation tells of itself when it has ended.
pub trait Observed {
    /// Counts it, and says whether it failed, which makes its span red. It took this long, in this context.
    fn ended(&mut self, took: Duration, context: &Context) -> bool;

    /// What its span says, if it is recorded.
    fn attributes(&self, failed: bool) -> impl IntoIterator<Item = Option<KeyValue>>;
}

/// An operation from its start to its end, which is when this is dropped.
#[derive(Debug)]
pub struct Operation<O: Observed> {
    /// What has become of it so far.
    pub observed: O,
    start: Instant,
    context: Context,
}

impl<O: Observed> Operation<O> {
    /// Starts now. `context` holds its span, or what is to be handed on of a trace, or nothing.
    pub fn start(context: Context, observed: O) -> Self {
        Self { observed, start: Instant::now(), context }
    }

    /// The context that it happens in.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Makes a future part of it: what that calls and logs belongs to its trace.
    pub fn run<F>(&self, future: F) -> WithContext<F> {
        future.with_context(self.context.clone())
    }

    /// Records an error in its span, to be done where the error is first known.
    pub fn record_error(&self, error: &dyn Error) {
        spans::record_error_in(&self.context, error);
    }
}

impl<O: Observed> Drop for Operation<O> {
    fn drop(&mut self) {
        let failed = self.observed.ended(self.start.elapsed(), &self.context);
        let span = self.context.span();
        if span.is_recording() {
            span.set_attributes(self.observed.attributes(failed).into_iter().flatten());
            if failed {
                // What went wrong is in the attributes, and where it did, in an event.
                span.set_status(Status::error(""));
            }
            span.end();
        }
    }
}
