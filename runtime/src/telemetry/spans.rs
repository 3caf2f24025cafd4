//! Spans: the parts of a trace that this process contributes.
//!
//! They are made with OpenTelemetry's own API, see `docs/decisions/0005-spans-by-opentelemetrys-own-api.md`.

use std::{
    borrow::Cow,
    error::Error,
    future::Future,
    pin::Pin,
    task::{Context as TaskContext, Poll},
};

use http::HeaderMap;
use opentelemetry::{
    Context, KeyValue,
    trace::{Span as _, SpanBuilder, SpanKind, Status, TraceContextExt as _, Tracer as _},
};
use opentelemetry_sdk::trace::SdkTracer;
use opentelemetry_semantic_conventions::attribute::EXCEPTION_MESSAGE;
use pin_project_lite::pin_project;

use super::propagation::Propagator;

/// Starts the spans of a service. Clones are cheap.
#[derive(Debug, Clone, Default)]
pub struct Spans {
    tracer: Option<SdkTracer>,
    /// Starts traces where there is no tracer; nothing is kept of what it starts.
    starter: Option<SdkTracer>,
    propagator: Propagator,
}

impl Spans {
    pub(super) fn new(tracer: Option<SdkTracer>, propagator: Propagator) -> Self {
        Self { tracer, starter: None, propagator }
    }

    /// The same with something that starts traces where there is no tracer.
    pub(super) fn with_starter(self, starter: impl FnOnce() -> Option<SdkTracer>) -> Self {
        let starter = if self.tracer.is_none() { starter() } else { None };
        Self { starter, ..self }
    }

    /// What a request is answered in: the trace that it came with, or a new one, with a span of kind
    /// server. Without tracing, what it came with, to be handed on; `None` if that is nothing.
    pub fn server<N: Into<Cow<'static, str>>>(
        &self,
        name: impl FnOnce() -> N,
        headers: &HeaderMap,
    ) -> Option<Context> {
        let parent = self.propagator.extract(headers);
        let Some(tracer) = &self.tracer else { return parent };
        let parent = parent.unwrap_or_default();
        let span = SpanBuilder::from_name(name()).with_kind(SpanKind::Server);
        Some(parent.with_span(tracer.build_with_context(span, &parent)))
    }

    /// A span of kind client below the current one, whose context goes into `headers`. Without
    /// tracing, the current context does, unless there is something that starts traces.
    pub fn client<N: Into<Cow<'static, str>>>(
        &self,
        name: impl FnOnce() -> N,
        headers: &mut HeaderMap,
    ) -> Option<Context> {
        let context = self.tracer.as_ref().or(self.starter.as_ref()).map(|tracer| {
            let parent = Context::current();
            let span = SpanBuilder::from_name(name()).with_kind(SpanKind::Client);
            let span = tracer.build_with_context(span, &parent);
            if self.tracer.is_some() {
                parent.with_span(span)
            } else {
                // Its ids alone, so that nobody takes the trouble to say more of it.
                parent.with_remote_span_context(span.span_context().clone())
            }
        });
        match &context {
            Some(context) => self.propagator.inject(context, headers),
            None => Context::map_current(|current| self.propagator.inject(current, headers)),
        }
        context
    }
}

/// Ends the span of `context`, with the attributes if it is recorded. `failed` makes it red.
pub fn end_span<const N: usize>(
    context: &Context,
    failed: bool,
    attributes: impl FnOnce() -> [Option<KeyValue>; N],
) {
    let span = context.span();
    if span.is_recording() {
        span.set_attributes(attributes().into_iter().flatten());
        if failed {
            // What went wrong is in the attributes, and where it did, in an event.
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

/// Whether what happens in `context` becomes part of a trace that is kept.
pub fn is_recorded(context: Option<&Context>) -> bool {
    context.is_some_and(|context| context.span().is_recording())
}

/// Records an error, with what caused it, in the current span: to be done once, where it arises.
/// See <https://opentelemetry.io/docs/specs/semconv/exceptions/exceptions-spans/>.
pub fn record_error(error: &dyn Error) {
    Context::map_current(|context| record_error_in(context, error));
}

/// The same in the span of `context`.
pub fn record_error_in(context: &Context, error: &dyn Error) {
    let span = context.span();
    if span.is_recording() {
        span.add_event("exception", vec![KeyValue::new(EXCEPTION_MESSAGE, chain(error))]);
    }
}

/// An error and what caused it, in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let message = error.to_string();
        // Some errors repeat their cause in their own words.
        if !text.ends_with(&message) {
            text.extend([": ", &message]);
        }
        source = error.source();
    }
    text
}

pin_project! {
    /// A future that runs in a context, so that what it calls and logs belongs to the trace.
    #[derive(Debug)]
    pub struct InContext<F> {
        #[pin]
        future: F,
        context: Option<Context>,
    }
}

impl<F> InContext<F> {
    /// Runs `future` in `context`, if there is one.
    pub fn new(future: F, context: Option<Context>) -> Self {
        Self { future, context }
    }
}

impl<F: Future> Future for InContext<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _in_context = this.context.clone().map(Context::attach);
        this.future.poll(cx)
    }
}
