//! Headers as OpenTelemetry's propagators read and write them.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector};

/// The headers of a request that has come. One of them may be split over several lines, which mean
/// the same as one line with commas (RFC 9110, section 5.3).
pub(super) struct Incoming<'a> {
    headers: &'a HeaderMap,
    list: &'static str,
    joined: Cow<'a, str>,
}

impl<'a> Incoming<'a> {
    pub(super) fn new(headers: &'a HeaderMap, list: &'static str) -> Self {
        let mut lines = headers.get_all(list).iter().filter_map(|line| line.to_str().ok());
        let mut joined = Cow::Borrowed(lines.next().unwrap_or_default());
        for line in lines {
            let joined = joined.to_mut();
            joined.push(',');
            joined.push_str(line);
        }
        Self { headers, list, joined }
    }
}

impl Extractor for Incoming<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        if key == self.list {
            return Some(&*self.joined).filter(|text| !text.is_empty());
        }
        self.headers.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.headers.keys().map(HeaderName::as_str).collect()
    }
}

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const BAGGAGE: HeaderName = HeaderName::from_static("baggage");

/// The headers of a request that goes out. An empty value removes the header: what was there is not
/// of this trace, and an empty `tracestate` says nothing.
pub(super) struct Outgoing<'a>(pub(super) &'a mut HeaderMap);

impl Injector for Outgoing<'_> {
    fn set(&mut self, key: &str, value: String) {
        if value.is_empty() {
            self.0.remove(key);
            return;
        }
        let name = match key {
            "traceparent" => TRACEPARENT,
            "tracestate" => TRACESTATE,
            "baggage" => BAGGAGE,
            // The propagators of OpenTelemetry write no others.
            _ => return,
        };
        // Baggage may hold what a header may not.
        if let Ok(value) = HeaderValue::try_from(value) {
            self.0.insert(name, value);
        }
    }
}

/// Whether there is any header that could be of use. Most requests have none, and one look at each
/// name costs less than to look for each of those.
pub(super) fn may_hold_context(headers: &HeaderMap) -> bool {
    headers
        .keys()
        .map(HeaderName::as_str)
        .any(|name| matches!(name, "traceparent" | "baggage" | "b3") || name.starts_with("x-b3-"))
}

/// Whether there is one `traceparent` with fields of the right lengths; OpenTelemetry's parser
/// checks the rest, but takes short ids as well. See
/// <https://www.w3.org/TR/trace-context/#traceparent-header>.
pub(super) fn is_traceparent(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all("traceparent").iter();
    let (Some(only), None) = (lines.next(), lines.next()) else {
        return false;
    };
    let fields = only.as_bytes().trim_ascii().split(|byte| *byte == b'-');
    let mut hex_digits =
        fields.map(|field| if field.iter().all(u8::is_ascii_hexdigit) { field.len() } else { 0 });
    [2, 32, 16, 2].iter().all(|length| hex_digits.next() == Some(*length))
}
