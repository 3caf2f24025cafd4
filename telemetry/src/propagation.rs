//! Trace context and baggage, between the headers of a request and a [`Context`].

mod b3;
mod baggage;
#[cfg(test)]
mod tests;
mod w3c;

use std::{borrow::Cow, str::FromStr};

pub(crate) use b3::State as B3State;
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;

/// Reads and writes the headers that join the spans of several processes into one trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "any combination of them makes sense")]
pub(crate) struct Propagator {
    tracecontext: bool,
    baggage: bool,
    extract_b3: bool,
    inject_b3: bool,
    inject_b3_multi: bool,
}

/// Every format is understood, since whoever calls has chosen one already; W3C's are written.
impl Default for Propagator {
    fn default() -> Self {
        Self {
            tracecontext: true,
            baggage: true,
            extract_b3: true,
            inject_b3: false,
            inject_b3_multi: false,
        }
    }
}

impl FromStr for Propagator {
    type Err = &'static str;

    /// Parses the value of `OTEL_PROPAGATORS`; what it lists is both understood and written.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const KNOWN: [&str; 4] = ["tracecontext", "baggage", "b3", "b3multi"];
        let text = text.to_ascii_lowercase();
        let listed: Vec<_> = text.split(',').map(str::trim).collect();
        if listed != ["none"] && !listed.iter().all(|name| KNOWN.contains(name)) {
            return Err("expected none, or a list of tracecontext, baggage, b3 and b3multi");
        }
        let [tracecontext, baggage, inject_b3, inject_b3_multi] =
            KNOWN.map(|format| listed.contains(&format));
        // Both encodings of B3 are understood whichever of them is asked for, as OpenTelemetry's
        // specification wants it.
        let extract_b3 = inject_b3 || inject_b3_multi;
        Ok(Self { tracecontext, baggage, extract_b3, inject_b3, inject_b3_multi })
    }
}

impl Propagator {
    /// What the headers of a request say: the span that it comes from, baggage, or both. Nothing, at
    /// no cost, when they hold none of it that is valid.
    ///
    /// W3C's `traceparent` wins over B3. B3's wishes that W3C has no words for are kept in the
    /// context for the sampler and for [`inject`](Self::inject), see [`B3State`].
    pub(crate) fn extract(self, headers: &HeaderMap) -> Option<Context> {
        if !may_hold_context(headers) {
            return None;
        }
        let mut found = None;
        if self.tracecontext {
            found = w3c::extract(headers);
        }
        if found.is_none() && self.extract_b3 {
            found = b3::extract(headers);
        }
        if self.baggage {
            found = baggage::extract(found.as_ref(), headers).or(found);
        }
        found
    }

    /// Writes what a context holds into the headers of a request, over what they held of it.
    pub(crate) fn inject(self, cx: &Context, headers: &mut HeaderMap) {
        if self.tracecontext {
            w3c::inject(cx, headers);
        }
        if self.baggage {
            baggage::inject(cx, headers);
        }
        if self.inject_b3 {
            b3::inject_single(cx, headers);
        }
        if self.inject_b3_multi {
            b3::inject_multi(cx, headers);
        }
    }
}

/// Whether there is any header that could be of use. Most requests have none, and one look at each
/// name costs less than to look for each of those.
fn may_hold_context(headers: &HeaderMap) -> bool {
    headers
        .keys()
        .map(HeaderName::as_str)
        .any(|name| matches!(name, "traceparent" | "baggage" | "b3") || name.starts_with("x-b3-"))
}

/// A list. It may be split over several lines, which mean the same as one line with commas (RFC 9110,
/// section 5.3).
fn joined<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Cow<'a, str> {
    let mut lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    let mut joined = Cow::Borrowed(lines.next().unwrap_or_default());
    for line in lines {
        let joined = joined.to_mut();
        joined.push(',');
        joined.push_str(line);
    }
    joined
}

/// A header whose value is another one in each request. Were it indexed, it would push out of HPACK's
/// table what is the same in all of them; "sensitive" is how to ask for a literal that never is (RFC
/// 7541, section 6.2.3).
fn insert(headers: &mut HeaderMap, name: HeaderName, mut value: HeaderValue) {
    value.set_sensitive(true);
    headers.insert(name, value);
}
