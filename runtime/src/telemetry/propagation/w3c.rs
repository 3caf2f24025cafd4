//! Trace context as W3C writes it, see <https://www.w3.org/TR/trace-context/>.
//!
//! This is read and written several times in each vote. OpenTelemetry's own propagator costs a
//! multiple of it, and takes ids that are too short.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState},
};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// `00-<32 digits>-<16 digits>-<2 digits>`
const LENGTH: usize = 55;
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// What the headers say, if there is one valid `traceparent`. An invalid `tracestate` is ignored.
pub(super) fn extract(headers: &HeaderMap) -> Option<Context> {
    let mut lines = headers.get_all(TRACEPARENT).iter();
    let (Some(only), None) = (lines.next(), lines.next()) else {
        return None;
    };
    let (trace_id, span_id, flags) = parse(only.as_bytes().trim_ascii())?;
    let state = super::joined(headers, &TRACESTATE).parse().unwrap_or(TraceState::NONE);
    let span = SpanContext::new(trace_id, span_id, flags, true, state);
    span.is_valid().then(|| Context::new().with_remote_span_context(span))
}

fn parse(value: &[u8]) -> Option<(TraceId, SpanId, TraceFlags)> {
    let (fields, more) = value.split_at_checked(LENGTH)?;
    let &[v0, v1, b'-', ref ids @ .., b'-', f0, f1] = fields else { return None };
    let well_formed = match (&[v0, v1], more) {
        (b"00", []) => true,
        (b"00" | b"ff", _) => false,
        // Later versions may have more fields.
        (version, [] | [b'-', ..]) => number(version).is_some(),
        _ => false,
    };
    let (trace_id, span_id) = ids.split_at(32);
    let [b'-', span_id @ ..] = span_id else { return None };
    let flags = u8::try_from(number(&[f0, f1])?).ok()?;
    let span_id = u64::try_from(number(span_id)?).ok()?;
    // Flags other than this one are not handed on.
    let flags = TraceFlags::new(flags) & TraceFlags::SAMPLED;
    well_formed.then_some((TraceId::from(number(trace_id)?), SpanId::from(span_id), flags))
}

/// Up to 32 hexadecimal digits, of which letters must be small.
fn number(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some((number << 4) | u128::from(digit))
    })
}

/// Over what the headers held: a `tracestate` that was there is not of this trace.
pub(super) fn inject(cx: &Context, headers: &mut HeaderMap) {
    let span = cx.span();
    let span = span.span_context();
    if !span.is_valid() {
        return;
    }
    super::insert(headers, TRACEPARENT, traceparent(span));
    // OpenTelemetry's type can hold bytes that a header may not.
    match HeaderValue::try_from(span.trace_state().header()) {
        Ok(state) if !state.is_empty() => super::insert(headers, TRACESTATE, state),
        _ => drop(headers.remove(TRACESTATE)),
    }
}

fn traceparent(span: &SpanContext) -> HeaderValue {
    let mut text = *b"00-................................-................-00";
    write(&mut text[3..35], &span.trace_id().to_bytes());
    write(&mut text[36..52], &span.span_id().to_bytes());
    text[LENGTH - 1] = DIGITS[usize::from(span.is_sampled())];
    HeaderValue::from_bytes(&text).expect("digits and hyphens")
}

fn write(digits: &mut [u8], bytes: &[u8]) {
    for (digits, byte) in digits.as_chunks_mut().0.iter_mut().zip(bytes) {
        *digits = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xf)]];
    }
}
