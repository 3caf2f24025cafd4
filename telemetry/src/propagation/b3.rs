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

/// The sampling state: `1`, `0`, `d`, or nothing. What a span context cannot say of it is kept as a value of the
/// [`Context`]: all but `Accept`, and a `Deny` that comes with a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Accept,
    /// Do not record. As a value of the context: there was no trace yet, and none is to be started.
    Deny,
    /// Record this trace whatever it costs; told on to whoever is called.
    Debug,
    /// Who is called decides whether to record.
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
    let fields: Vec<_> = value.split('-').collect();
    match fields[..] {
        [state] => context(None, State::parse(state)?),
        [trace_id, span_id] => context(Some((trace_id, span_id)), State::Defer),
        [trace_id, span_id, state] => context(Some((trace_id, span_id)), State::parse(state)?),
        [trace_id, span_id, state, parent] if is_hex(parent, &[16]) => {
            context(Some((trace_id, span_id)), State::parse(state)?)
        }
        _ => None,
    }
}

fn multi(headers: &HeaderMap) -> Option<Context> {
    let state = match (text(headers, &FLAGS), text(headers, &SAMPLED)) {
        (Some("1"), _) => State::Debug, // implies that it is accepted
        (_, Some(sampled)) => State::parse(sampled)?,
        (_, None) => State::Defer,
    };
    match (text(headers, &TRACE_ID), text(headers, &SPAN_ID)) {
        (Some(trace_id), Some(span_id)) => context(Some((trace_id, span_id)), state),
        (None, None) => context(None, state),
        _ => None,
    }
}

/// A state may come alone, to keep those who are called from starting a trace.
fn context(ids: Option<(&str, &str)>, state: State) -> Option<Context> {
    let Some((trace_id, span_id)) = ids else {
        return (state == State::Deny).then(|| Context::new().with_value(state));
    };
    if !is_hex(trace_id, &[16, 32]) || !is_hex(span_id, &[16]) {
        return None;
    }
    // A number has no leading zeros to lose: 64 bits become the low half of 128.
    let (trace_id, span_id) = (TraceId::from_hex(trace_id).ok()?, SpanId::from_hex(span_id).ok()?);
    let sampled = matches!(state, State::Accept | State::Debug);
    let flags = TraceFlags::default().with_sampled(sampled);
    let span = SpanContext::new(trace_id, span_id, flags, true, TraceState::NONE);
    let cx = span.is_valid().then(|| Context::new().with_remote_span_context(span))?;
    Some(match state {
        State::Debug | State::Defer => cx.with_value(state),
        State::Accept | State::Deny => cx,
    })
}

/// `b3: <trace id>-<span id>[-<state>]`, or `b3: 0`
pub(super) fn inject_single(cx: &Context, headers: &mut HeaderMap) {
    let value = match outgoing(cx) {
        (None, Some(_)) => "0".to_owned(),
        (Some((trace_id, span_id)), None) => format!("{trace_id}-{span_id}"),
        (Some((trace_id, span_id)), Some(state)) => format!("{trace_id}-{span_id}-{state}"),
        (None, None) => return,
    };
    insert(headers, SINGLE, value);
}

/// `X-B3-TraceId`, `X-B3-SpanId`, and `X-B3-Sampled` or `X-B3-Flags`; or `X-B3-Sampled: 0` alone
pub(super) fn inject_multi(cx: &Context, headers: &mut HeaderMap) {
    let (ids, state) = outgoing(cx);
    if let Some((trace_id, span_id)) = ids {
        insert(headers, TRACE_ID, trace_id.to_string());
        insert(headers, SPAN_ID, span_id.to_string());
        headers.remove(SAMPLED);
        headers.remove(FLAGS);
    }
    match state {
        Some('d') => insert(headers, FLAGS, "1".to_owned()), // implies that it is accepted
        Some(sampled) => insert(headers, SAMPLED, sampled.to_string()),
        None => {}
    }
}

/// The span, if there is one, and the state, unless it is left to who is called.
fn outgoing(cx: &Context) -> (Option<(TraceId, SpanId)>, Option<char>) {
    let span = cx.span();
    let span = span.span_context();
    let ids = span.is_valid().then(|| (span.trace_id(), span.span_id()));
    let state = match (ids, cx.get()) {
        (None, Some(State::Deny)) => Some('0'),
        (None, _) => None,
        (_, Some(State::Debug)) => Some('d'),
        // Nobody has decided where the span of the caller is passed on as it came.
        (_, Some(State::Defer)) if span.is_remote() => None,
        _ => Some(if span.is_sampled() { '1' } else { '0' }),
    };
    (ids, state)
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
