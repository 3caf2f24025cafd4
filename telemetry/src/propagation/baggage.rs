//! What the user of a trace sends along, see <https://www.w3.org/TR/baggage/>. OpenTelemetry's
//! propagator reads and writes it.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context,
    baggage::BaggageExt as _,
    propagation::{Extractor, Injector, TextMapPropagator as _},
};
use opentelemetry_sdk::propagation::BaggagePropagator;

const BAGGAGE: HeaderName = HeaderName::from_static("baggage");

/// `cx` with the baggage of the headers, if they hold any.
pub(super) fn extract(cx: Option<&Context>, headers: &HeaderMap) -> Option<Context> {
    if !headers.contains_key(BAGGAGE) {
        return None;
    }
    let incoming = Incoming(super::joined(headers, &BAGGAGE));
    let cx = cx.cloned().unwrap_or_default();
    let cx = BaggagePropagator::new().extract_with_context(&cx, &incoming);
    (!cx.baggage().is_empty()).then_some(cx)
}

pub(super) fn inject(cx: &Context, headers: &mut HeaderMap) {
    BaggagePropagator::new().inject_context(cx, &mut Outgoing(headers));
}

/// The header as the propagator reads it; it asks for no other.
struct Incoming<'a>(Cow<'a, str>);

impl Extractor for Incoming<'_> {
    fn get(&self, _key: &str) -> Option<&str> {
        Some(&self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec!["baggage"]
    }
}

/// The headers as the propagator writes them.
struct Outgoing<'a>(&'a mut HeaderMap);

impl Injector for Outgoing<'_> {
    fn set(&mut self, _key: &str, value: String) {
        // It may hold what a header may not.
        if let Ok(value) = HeaderValue::try_from(value) {
            super::insert(self.0, BAGGAGE, value);
        }
    }
}
