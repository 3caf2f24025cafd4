//! Which traces are recorded.

use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanContext, SpanKind, TraceContextExt as _, TraceId},
};
use opentelemetry_sdk::trace::{Sampler, SamplingResult, ShouldSample};

use super::settings;
use crate::propagation::B3State;

/// The sampler that the settings ask for.
pub(super) fn sampler(settings: settings::Sampler) -> Box<dyn ShouldSample> {
    // A ratio is compared with the trace id; these two do not depend on how exactly.
    let root = match settings.ratio {
        0.0 => Sampler::AlwaysOff,
        1.0 => Sampler::AlwaysOn,
        ratio => Sampler::TraceIdRatioBased(ratio),
    };
    if settings.parent_based { Box::new(ParentBased { root }) } else { Box::new(root) }
}

/// Follows the caller, also in what B3 lets it ask for and W3C does not, which is more than the SDK's can do.
#[derive(Debug, Clone)]
struct ParentBased {
    /// Decides where the caller has left that to us.
    root: Sampler,
}

impl ShouldSample for ParentBased {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let state = parent.and_then(Context::get::<B3State>);
        let span = parent.map(|parent| parent.span().span_context().clone());
        let sampler = match (span.filter(SpanContext::is_valid), state) {
            (Some(span), _) if span.is_sampled() => &Sampler::AlwaysOn,
            (Some(span), Some(B3State::Defer)) if span.is_remote() => &self.root,
            (Some(_), _) | (None, Some(B3State::Deny)) => &Sampler::AlwaysOff,
            (None, _) => &self.root,
        };
        sampler.should_sample(parent, trace_id, name, kind, attributes, links)
    }
}
