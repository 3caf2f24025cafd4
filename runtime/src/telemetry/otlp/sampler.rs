//! Which traces are recorded.

use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanKind, TraceId},
};
use opentelemetry_sdk::trace::{ParentBasedSampler, Sampler, SamplingResult, ShouldSample};

use super::settings;
use crate::telemetry::propagation::Wish;

/// The sampler that the settings ask for. One that follows its callers also follows what B3 lets them
/// ask for and W3C does not.
pub(super) fn sampler(settings: settings::Sampler) -> Box<dyn ShouldSample> {
    // A ratio is compared with the trace id; these two do not depend on how exactly.
    let root = match settings.ratio {
        0.0 => Sampler::AlwaysOff,
        1.0 => Sampler::AlwaysOn,
        ratio => Sampler::TraceIdRatioBased(ratio),
    };
    if !settings.parent_based {
        return Box::new(root);
    }
    let unless_denied = Wishes { root: root.clone(), of_no_span: true };
    let if_deferred = Wishes { root, of_no_span: false };
    let sampler =
        ParentBasedSampler::new(unless_denied).with_remote_parent_not_sampled(if_deferred);
    Box::new(sampler)
}

/// Decides like `root` where a caller has left that to us.
#[derive(Debug, Clone)]
struct Wishes {
    root: Sampler,
    /// Where the caller has no span: it must have asked for no trace, or we are free. Where it has
    /// one, which is not recorded: it must have left the decision to us.
    of_no_span: bool,
}

impl ShouldSample for Wishes {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let wish = parent.and_then(Context::get::<Wish>);
        let free = match wish {
            Some(Wish::Deny) => false,
            Some(Wish::Defer) => true,
            Some(Wish::Debug) | None => self.of_no_span,
        };
        let sampler = if free { &self.root } else { &Sampler::AlwaysOff };
        sampler.should_sample(parent, trace_id, name, kind, attributes, links)
    }
}
