//! What a line says besides its message: where in which trace it was written.

use opentelemetry::{
    Context,
    trace::{SpanContext, TraceContextExt as _},
};

/// The span that is being worked on, if there is one.
pub(super) fn current_span() -> Option<SpanContext> {
    Context::map_current(|context| {
        context.has_active_span().then(|| context.span().span_context().clone())
    })
    .filter(SpanContext::is_valid)
}
