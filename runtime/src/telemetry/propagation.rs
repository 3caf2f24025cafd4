//! How a trace finds its way from one service to the next.

use http::HeaderMap;
use opentelemetry::{Context, propagation::TextMapPropagator as _, trace::TraceContextExt as _};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::TraceContextPropagator;

#[derive(Debug, Clone, Default)]
pub(crate) struct Propagator;

impl Propagator {
    pub(crate) fn extract(&self, headers: &HeaderMap) -> Option<Context> {
        headers.get("traceparent")?;
        let context = TraceContextPropagator::new()
            .extract_with_context(&Context::new(), &HeaderExtractor(headers));
        context.has_active_span().then_some(context)
    }

    pub(crate) fn inject(&self, context: &Context, headers: &mut HeaderMap) {
        if context.has_active_span() {
            TraceContextPropagator::new().inject_context(context, &mut HeaderInjector(headers));
        }
    }
}
