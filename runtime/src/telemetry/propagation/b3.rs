//! Trace context as Zipkin and older meshes write it, see
//! <https://github.com/openzipkin/b3-propagation>. There is no crate
//! for it that is looked after.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState},
};

const SINGLE: HeaderName = HeaderName::from_static("b3");
const TRACE_ID: HeaderName = HeaderName::from_static("x-b3-traceid");
const SPAN_ID: HeaderName = HeaderName::from_static("x-b3-spanid");
const SAMPLED: HeaderName = HeaderName::from_static("x-b3-sampled");
const FLAGS: HeaderName = HeaderName::from_static("x-b3-flags");

/// What B3 can ask for and a span context cannot say; kept as a value of the [`Context`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::telemetry) enum Wish {
    /// Record this trace whatever it costs; told on to whoever is called.
    Debug,
    /// Who is called decides whether to record.
    Defer,
    /// Do not record; there was no trace yet.
    Deny,
}

/// The sampling state: `1`, `0`, `d`, or nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Accept,
    Deny,
    Debug,
    Defer,
}

impl State {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "1" | "true" => Self::Accept,
            "0" | "false" => Self::Deny,
            "d" => Self::Debug,
            _ => return None,
        })
    }
}

/// What the headers say; the single one wins, as OpenTelemetry's specification wants it.
pub(super) fn extract(headers: &HeaderMap) -> Option<Context> {
    text(headers, &SINGLE).and_then(single).or_else(|| multi(headers))
}

/// `b3: <trace id>-<span id>[-<state>[-<parent span id>]]`, or `b3: <state>`
fn single(value: &str) -> Option<Context> {
    let mut fields = value.trim().split('-');
    let first = fields.next()?;
    let Some(span_id) = fields.next() else {
        return without_ids(State::parse(first)?);
    };
    let state = fields.next().map_or(Some(State::Defer), State::parse)?;
    let parent_is_well_formed = fields.next().is_none_or(|parent| is_hex(parent, &[16]));
    if !parent_is_well_formed || fields.next().is_some() {
        return None;
    }
    with_ids(first, span_id, state)
}

fn multi(headers: &HeaderMap) -> Option<Context> {
    let state = match (text(headers, &FLAGS), text(headers, &SAMPLED)) {
        (Some("1"), _) => State::Debug, // implies that it is accepted
        (_, Some(sampled)) => State::parse(sampled)?,
        (_, None) => State::Defer,
    };
    match (text(headers, &TRACE_ID), text(headers, &SPAN_ID)) {
        (Some(trace_id), Some(span_id)) => with_ids(trace_id, span_id, state),
        (None, None) => without_ids(state),
        _ => None,
    }
}

fn with_ids(trace_id: &str, span_id: &str, state: State) -> Option<Context> {
    if !is_hex(trace_id, &[16, 32]) || !is_hex(span_id, &[16]) {
        return None;
    }
    // A number has no leading zeros to lose: 64 bits become the low half of 128.
    let trace_id = TraceId::from_hex(trace_id).ok()?;
    let span_id = SpanId::from_hex(span_id).ok()?;
    let flags = match state {
        State::Accept | State::Debug => TraceFlags::SAMPLED,
        State::Deny | State::Defer => TraceFlags::default(),
    };
    let span = SpanContext::new(trace_id, span_id, flags, true, TraceState::NONE);
    if !span.is_valid() {
        return None;
    }
    let cx = Context::new().with_remote_span_context(span);
    Some(match state {
        State::Debug => cx.with_value(Wish::Debug),
        State::Defer => cx.with_value(Wish::Defer),
        State::Accept | State::Deny => cx,
    })
}

/// A state may come alone, to keep those who are called from starting a trace.
fn without_ids(state: State) -> Option<Context> {
    (state == State::Deny).then(|| Context::new().with_value(Wish::Deny))
}

/// `b3: <trace id>-<span id>[-<state>]`, or `b3: 0`
pub(super) fn inject_single(cx: &Context, headers: &mut HeaderMap) {
    let Some((span, state)) = outgoing(cx) else {
        if forbids_a_trace(cx) {
            insert(headers, SINGLE, "0".to_owned());
        }
        return;
    };
    let (trace_id, span_id) = (span.trace_id(), span.span_id());
    let value = match state {
        State::Accept => format!("{trace_id}-{span_id}-1"),
        State::Deny => format!("{trace_id}-{span_id}-0"),
        State::Debug => format!("{trace_id}-{span_id}-d"),
        State::Defer => format!("{trace_id}-{span_id}"),
    };
    insert(headers, SINGLE, value);
}

/// `X-B3-TraceId`, `X-B3-SpanId`, and `X-B3-Sampled` or `X-B3-Flags`; or `X-B3-Sampled: 0` alone
pub(super) fn inject_multi(cx: &Context, headers: &mut HeaderMap) {
    let Some((span, state)) = outgoing(cx) else {
        if forbids_a_trace(cx) {
            insert(headers, SAMPLED, "0".to_owned());
        }
        return;
    };
    insert(headers, TRACE_ID, span.trace_id().to_string());
    insert(headers, SPAN_ID, span.span_id().to_string());
    headers.remove(SAMPLED);
    headers.remove(FLAGS);
    match state {
        State::Accept => insert(headers, SAMPLED, "1".to_owned()),
        State::Deny => insert(headers, SAMPLED, "0".to_owned()),
        State::Debug => insert(headers, FLAGS, "1".to_owned()), // implies that it is accepted
        State::Defer => {}
    }
}

/// Whether there is no trace, and the caller wants none to be started further on either.
fn forbids_a_trace(cx: &Context) -> bool {
    cx.get() == Some(&Wish::Deny)
}

fn outgoing(cx: &Context) -> Option<(SpanContext, State)> {
    let span = cx.span().span_context().clone();
    let state = match cx.get() {
        Some(Wish::Debug) => State::Debug,
        // Nobody has decided where the span of the caller is passed on as it came.
        Some(Wish::Defer) if span.is_remote() => State::Defer,
        _ if span.is_sampled() => State::Accept,
        _ => State::Deny,
    };
    span.is_valid().then_some((span, state))
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: String) {
    let value = HeaderValue::try_from(value).expect("letters, digits and hyphens");
    super::insert(headers, name, value);
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn is_hex(text: &str, lengths: &[usize]) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
