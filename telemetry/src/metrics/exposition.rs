//! How metrics are written down: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use http::{HeaderMap, HeaderValue, header};
use prometheus_client::{encoding::text, registry::Registry};

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text format 0.0.4, what everything reads.
    Prometheus,
    /// OpenMetrics 1.0, which has exemplars.
    OpenMetrics,
}

impl Format {
    /// The format that a client asks for. Scrapers name several; those that can read OpenMetrics
    /// name it first.
    pub fn accepted(accept: Option<&HeaderValue>) -> Self {
        let accept = accept.and_then(|value| value.to_str().ok()).unwrap_or_default();
        if accept.contains("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// The value of `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    pub(super) fn render(self, registry: &Registry) -> String {
        let mut written = String::new();
        text::encode(&mut written, registry).expect("writing to a string cannot fail");
        match self {
            Self::OpenMetrics => written,
            Self::Prometheus => without_what_is_new(&written),
        }
    }
}

/// Whether a scraper that sends these headers reads gzip, as Prometheus does: it names it, and not in order to refuse it.
pub fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).into_iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(
        |coding| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            let refused = weight
                .trim()
                .strip_prefix("q=")
                .is_some_and(|q| q.parse::<f32>().map_or(true, |q| q <= 0.0));
            name.trim().eq_ignore_ascii_case("gzip") && !refused
        },
    )
}

/// OpenMetrics as the older format has it, which the library does not write: a counter is described
/// under the name of its sample, which ends in `_total`, and there are no units, exemplars and end.
fn without_what_is_new(open_metrics: &str) -> String {
    let mut written = String::with_capacity(open_metrics.len());
    let mut help = None;
    for line in open_metrics.lines() {
        if let Some(described) = line.strip_prefix("# HELP ") {
            help = described.split_once(' '); // what kind of metric it is stands in the next line
        } else if let Some((name, kind)) =
            line.strip_prefix("# TYPE ").and_then(|typed| typed.split_once(' '))
        {
            let suffix = if kind == "counter" { "_total" } else { "" };
            if let Some((_, help)) = help.take() {
                written.extend(["# HELP ", name, suffix, " ", help, "\n"]);
            }
            written.extend(["# TYPE ", name, suffix, " ", kind, "\n"]);
        } else if !line.starts_with('#') {
            // No label of ours holds what an exemplar begins with.
            let sample = line.split_once(" # {").map_or(line, |(sample, _exemplar)| sample);
            written.extend([sample, "\n"]);
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use prometheus_client::{
        metrics::{counter::Counter, exemplar::HistogramWithExemplars},
        registry::{Registry, Unit},
    };

    use super::*;

    fn registry() -> Registry {
        let mut registry = Registry::default();
        let (votes, held) =
            (Counter::<u64>::default(), HistogramWithExemplars::new([0.5].into_iter()));
        votes.inc_by(3);
        held.observe(0.25, Some([("trace_id", "abc")]), None);
        registry.register("votes", "Votes", votes);
        registry.register_with_unit("held", "Time", Unit::Seconds, held);
        registry
    }

    #[test]
    fn the_older_format_is_what_a_browser_gets() {
        assert_eq!(
            Format::Prometheus.render(&registry()),
            "# HELP votes_total Votes.\n# TYPE votes_total counter\nvotes_total 3\n\
             # HELP held_seconds Time.\n# TYPE held_seconds histogram\n\
             held_seconds_sum 0.25\nheld_seconds_count 1\n\
             held_seconds_bucket{le=\"0.5\"} 1\nheld_seconds_bucket{le=\"+Inf\"} 1\n"
        );
    }

    #[test]
    fn open_metrics_has_units_exemplars_and_an_end() {
        let written = Format::OpenMetrics.render(&registry());
        for part in [
            "# TYPE votes counter\n",
            "# UNIT held_seconds seconds\n",
            " # {trace_id=\"abc\"} 0.25\n",
        ] {
            assert!(written.contains(part), "{part} in {written}");
        }
        assert!(written.ends_with("# EOF\n"), "{written}");
    }

    #[test]
    fn scrapers_get_what_they_ask_for() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        for (accept, format) in [
            (Some(prometheus), Format::OpenMetrics),
            (Some("text/html,*/*;q=0.8"), Format::Prometheus),
            (None, Format::Prometheus),
        ] {
            let accept = accept.map(HeaderValue::from_static);
            assert_eq!(Format::accepted(accept.as_ref()), format, "{accept:?}");
        }
    }

    #[test]
    fn gzip_is_for_those_who_name_it() {
        let takes = |encodings: &[&'static str]| {
            let values = encodings.iter().map(|value| HeaderValue::from_static(value));
            takes_gzip(&values.map(|value| (header::ACCEPT_ENCODING, value)).collect())
        };
        for encodings in
            [&["gzip"][..], &["br, GZIP;q=0.5"], &["br", "deflate,gzip"], &["gzip; q=1"]]
        {
            assert!(takes(encodings), "{encodings:?}");
        }
        for encodings in [&[][..], &["br"], &["gzip;q=0"], &["gzip; q=0.000, br"], &["gzip;q=x"]] {
            assert!(!takes(encodings), "{encodings:?}");
        }
    }
}
