//! Trace context as W3C writes it, see <https://www.w3.org/TR/trace-context/>.
//!
//! OpenTelemetry's own propagator takes ids that are too short and signs before digits, reads one line of a
//! `tracestate` that may have several, and writes an empty one.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState},
};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// What the headers say, if there is one valid `traceparent`. An invalid `tracestate` is ignored.
pub(super) fn extract(headers: &HeaderMap) -> Option<Context> {
    let mut lines = headers.get_all(TRACEPARENT).iter();
    let (Some(only), None) = (lines.next(), lines.next()) else {
        return None;
    };
    let (trace_id, span_id, flags) = parse(only.to_str().ok()?.trim())?;
    let state = super::joined(headers, &TRACESTATE).parse().unwrap_or(TraceState::NONE);
    let span = SpanContext::new(trace_id, span_id, flags, true, state);
    span.is_valid().then(|| Context::new().with_remote_span_context(span))
}

/// `00-<32 digits>-<16 digits>-<2 digits>`
fn parse(value: &str) -> Option<(TraceId, SpanId, TraceFlags)> {
    let mut fields = value.split('-');
    let mut field = |length| {
        let is_digit = |digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
        fields.next().filter(|field| field.len() == length && field.bytes().all(is_digit))
    };
    let (version, trace_id, span_id, flags) = (field(2)?, field(32)?, field(16)?, field(2)?);
    // Later versions may have more fields.
    let well_formed = match version {
        "00" => fields.next().is_none(),
        version => version != "ff",
    };
    // Flags other than this one are not handed on.
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
    let ids = (TraceId::from_hex(trace_id).ok()?, SpanId::from_hex(span_id).ok()?);
    well_formed.then_some((ids.0, ids.1, flags))
}

/// Over what the headers held: a `tracestate` that was there is not of this trace.
pub(super) fn inject(cx: &Context, headers: &mut HeaderMap) {
    let span = cx.span();
    let span = span.span_context();
    if !span.is_valid() {
        return;
    }
    let (trace_id, span_id, flag) = (span.trace_id(), span.span_id(), u8::from(span.is_sampled()));
    let parent = HeaderValue::try_from(format!("00-{trace_id}-{span_id}-0{flag}"));
    super::insert(headers, TRACEPARENT, parent.expect("digits and hyphens"));
    // OpenTelemetry's type can hold bytes that a header may not.
    match HeaderValue::try_from(span.trace_state().header()) {
        Ok(state) if !state.is_empty() => super::insert(headers, TRACESTATE, state),
        _ => drop(headers.remove(TRACESTATE)),
    }
}
