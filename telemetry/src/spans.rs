//! Spans: the parts of a trace that this process contributes.
//!
//! They are made with OpenTelemetry's own API, see `docs/decisions/0005-spans-by-opentelemetrys-own-api.md`.

use std::{borrow::Cow, error::Error};

use http::HeaderMap;
use opentelemetry::{
    Context, KeyValue,
    trace::{Span as _, SpanBuilder, SpanKind, TraceContextExt as _, Tracer as _},
};
use opentelemetry_sdk::trace::SdkTracer;
use opentelemetry_semantic_conventions::attribute::EXCEPTION_MESSAGE;

use crate::{causes::causes, propagation::Propagator};

/// Starts the spans of a service. Clones are cheap.
#[derive(Debug, Clone, Default)]
pub struct Spans {
    tracer: Option<SdkTracer>,
    /// Starts traces where there is no tracer; nothing is kept of what it starts.
    starter: Option<SdkTracer>,
    propagator: Propagator,
}

impl Spans {
    pub(crate) fn new(tracer: Option<SdkTracer>, propagator: Propagator) -> Self {
        Self { tracer, starter: None, propagator }
    }

    /// The same with something that starts traces where there is no tracer.
    pub(crate) fn with_starter(self, starter: impl FnOnce() -> Option<SdkTracer>) -> Self {
        let starter = if self.tracer.is_none() { starter() } else { None };
        Self { starter, ..self }
    }

    /// What a request is answered in: the trace that it came with, or a new one, with a span of kind
    /// server. Without tracing, what it came with, to be handed on.
    pub fn server<N: Into<Cow<'static, str>>>(
        &self,
        name: impl FnOnce() -> N,
        headers: &HeaderMap,
    ) -> Context {
        let parent = self.propagator.extract(headers).unwrap_or_default();
        let Some(tracer) = &self.tracer else { return parent };
        let span = SpanBuilder::from_name(name()).with_kind(SpanKind::Server);
        parent.with_span(tracer.build_with_context(span, &parent))
    }

    /// A span of kind client below the current one, whose context goes into `headers`. Without
    /// tracing, the current context does, unless there is something that starts traces.
    pub fn client<N: Into<Cow<'static, str>>>(
        &self,
        name: impl FnOnce() -> N,
        headers: &mut HeaderMap,
    ) -> Context {
        let mut context = Context::current();
        if let Some(tracer) = self.tracer.as_ref().or(self.starter.as_ref()) {
            let span = SpanBuilder::from_name(name()).with_kind(SpanKind::Client);
            let span = tracer.build_with_context(span, &context);
            context = if self.tracer.is_some() {
                context.with_span(span)
            } else {
                // Its ids alone, so that nobody takes the trouble to say more of it.
                context.with_remote_span_context(span.span_context().clone())
            };
        } else if context.has_active_span() {
            // Handed on as it came: whoever made the span of it ends it.
            let ids = context.span().span_context().clone();
            context = context.with_remote_span_context(ids);
        }
        self.propagator.inject(&context, headers);
        context
    }
}

/// Whether what happens in `context` becomes part of a trace that is kept.
pub fn is_recorded(context: &Context) -> bool {
    context.span().is_recording()
}

/// Adds an attribute to the current span.
pub fn set_attribute(attribute: KeyValue) {
    Context::map_current(|context| context.span().set_attribute(attribute));
}

/// Records an error, with what caused it, in the current span: to be done once, where it arises.
/// See <https://opentelemetry.io/docs/specs/semconv/exceptions/exceptions-spans/>.
pub fn record_error(error: &dyn Error) {
    Context::map_current(|context| record_error_in(context, error));
}

pub(crate) fn record_error_in(context: &Context, error: &dyn Error) {
    let span = context.span();
    if span.is_recording() {
        span.add_event("exception", vec![KeyValue::new(EXCEPTION_MESSAGE, causes(error))]);
    }
}
