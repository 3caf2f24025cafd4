//! Trace context and baggage, between the headers of a request and a [`Context`].

mod b3;
mod headers;
#[cfg(test)]
mod tests;

use std::str::FromStr;

pub(super) use b3::Wish;
use headers::{Incoming, Outgoing};
use http::HeaderMap;
use opentelemetry::{
    Context, baggage::BaggageExt as _, propagation::TextMapPropagator as _,
    trace::TraceContextExt as _,
};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};

/// The headers that a process understands and those that it writes, as `OTEL_PROPAGATORS` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Formats {
    tracecontext: bool,
    baggage: bool,
    extract_b3: bool,
    inject_b3: bool,
    inject_b3_multi: bool,
}

impl Formats {
    const NONE: Self = Self {
        tracecontext: false,
        baggage: false,
        extract_b3: false,
        inject_b3: false,
        inject_b3_multi: false,
    };
}

/// Every format is understood, since whoever calls has chosen one already; W3C's are written.
impl Default for Formats {
    fn default() -> Self {
        Self { tracecontext: true, baggage: true, extract_b3: true, ..Self::NONE }
    }
}

impl FromStr for Formats {
    type Err = &'static str;

    /// Parses the value of `OTEL_PROPAGATORS`; what it lists is both understood and written.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "expected none, or a list of tracecontext, baggage, b3 and b3multi";
        let mut formats = Self::NONE;
        if text.trim().eq_ignore_ascii_case("none") {
            return Ok(formats);
        }
        for name in text.split(',') {
            match name.trim().to_ascii_lowercase().as_str() {
                "tracecontext" => formats.tracecontext = true,
                "baggage" => formats.baggage = true,
                "b3" => formats.inject_b3 = true,
                "b3multi" => formats.inject_b3_multi = true,
                _ => return Err(expected),
            }
        }
        // Both encodings of B3 are understood whichever of them is asked for, as OpenTelemetry's
        // specification wants it.
        formats.extract_b3 = formats.inject_b3 || formats.inject_b3_multi;
        Ok(formats)
    }
}

/// Reads and writes the headers that join the spans of several processes into one trace.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Propagator(Formats);

impl Propagator {
    pub(crate) fn new(formats: Formats) -> Self {
        Self(formats)
    }

    /// What the headers of a request say: the span that it comes from, baggage, or both. Nothing, at
    /// no cost, when they hold none of it that is valid.
    ///
    /// W3C's `traceparent` wins over B3. B3's wishes that W3C has no words for are kept in the
    /// context for the sampler and for [`inject`](Self::inject), see [`Wish`].
    pub(crate) fn extract(&self, headers: &HeaderMap) -> Option<Context> {
        let Self(formats) = self;
        let mut found = None;
        if formats.tracecontext && headers::is_traceparent(headers) {
            let cx = TraceContextPropagator::new()
                .extract_with_context(&Context::new(), &Incoming::new(headers, "tracestate"));
            found = cx.span().span_context().is_valid().then_some(cx);
        }
        if found.is_none() && formats.extract_b3 {
            found = b3::extract(headers);
        }
        if formats.baggage && headers.contains_key("baggage") {
            let cx = found.clone().unwrap_or_default();
            let cx = BaggagePropagator::new()
                .extract_with_context(&cx, &Incoming::new(headers, "baggage"));
            if !cx.baggage().is_empty() {
                found = Some(cx);
            }
        }
        found
    }

    /// Writes what a context holds into the headers of a request, over what they held of it.
    pub(crate) fn inject(&self, cx: &Context, headers: &mut HeaderMap) {
        let Self(formats) = self;
        if formats.tracecontext {
            TraceContextPropagator::new().inject_context(cx, &mut Outgoing(headers));
        }
        if formats.baggage {
            BaggagePropagator::new().inject_context(cx, &mut Outgoing(headers));
        }
        if formats.inject_b3 {
            b3::inject_single(cx, headers);
        }
        if formats.inject_b3_multi {
            b3::inject_multi(cx, headers);
        }
    }
}
