use opentelemetry::{baggage::BaggageExt as _, trace::TraceContextExt as _};

use super::*;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";
const OTHER: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, value.parse().expect("a header's value"));
    }
    headers
}

fn propagator(formats: &str) -> Propagator {
    formats.parse().expect("formats")
}

/// Trace id, span id and whether it is recorded; that it comes from elsewhere is asserted.
fn span(cx: &Context) -> (String, String, bool) {
    let span = cx.span().span_context().clone();
    assert!(span.is_remote());
    (span.trace_id().to_string(), span.span_id().to_string(), span.is_sampled())
}

fn extracted(lines: &[(&'static str, &str)]) -> Option<Context> {
    Propagator::default().extract(&headers(lines))
}

fn passed_on(formats: &str, lines: &[(&'static str, &str)]) -> Vec<String> {
    let propagator = propagator(formats);
    let cx = propagator.extract(&headers(lines)).expect("a context");
    let mut passed_on = HeaderMap::new();
    propagator.inject(&cx, &mut passed_on);
    let line = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        format!("{name}: {}", value.to_str().expect("text"))
    };
    let mut lines: Vec<_> = passed_on.iter().map(line).collect();
    lines.sort();
    lines
}

#[test]
fn traceparent_is_understood() {
    for (flags, sampled) in [("00", false), ("01", true), ("03", true), ("02", false)] {
        let parent = format!("00-{TRACE}-{SPAN}-{flags}");
        let cx = extracted(&[("traceparent", &parent)]).expect("a context");
        assert_eq!(span(&cx), (TRACE.to_owned(), SPAN.to_owned(), sampled), "{parent}");
    }
    let future = format!("cc-{TRACE}-{SPAN}-01-what-will-come");
    let cx = extracted(&[("traceparent", &future)]).expect("a context");
    assert_eq!(span(&cx).0, TRACE);
}

#[test]
fn what_is_not_a_traceparent_is_ignored() {
    let zeros = "0".repeat(32);
    for parent in [
        "",
        "00",
        "nonsense",
        "00-1-2-01",
        &format!("00-{TRACE}-{SPAN}"),
        &format!("00-{TRACE}-{SPAN}-1"),
        &format!("00-{TRACE}-{SPAN}-01-"),
        &format!("00-{TRACE}-{SPAN}-01-more"),
        &format!("cc-{TRACE}-{SPAN}-01more"),
        &format!("cC-{TRACE}-{SPAN}-01"),
        &format!("0-{TRACE}0-{SPAN}-01"),
        &format!("00-{TRACE}_{SPAN}-01"),
        &format!("00-{TRACE}-{SPAN}-0G"),
        &format!("ff-{TRACE}-{SPAN}-01"),
        &format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
        &format!("00-{zeros}-{SPAN}-01"),
        &format!("00-{TRACE}-0000000000000000-01"),
        &format!("00-+{}-{SPAN}-01", &TRACE[1..]),
        &format!("00-{}g-{SPAN}-01", &TRACE[1..]),
    ] {
        assert!(extracted(&[("traceparent", parent)]).is_none(), "{parent}");
    }
    let twice = format!("00-{TRACE}-{SPAN}-01");
    assert!(extracted(&[("traceparent", &twice), ("traceparent", &twice)]).is_none());
}

#[test]
fn tracestate_and_baggage_pass_through_also_from_several_lines() {
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let lines = passed_on(
        "tracecontext,baggage",
        &[
            ("traceparent", &parent),
            ("tracestate", "a=1"),
            ("tracestate", "b=2,c=3"),
            ("baggage", "who=Zo%C3%AB"),
            ("baggage", "team=red;kind=x"),
        ],
    );
    let [baggage, traceparent, tracestate] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(traceparent, &format!("traceparent: {parent}"));
    assert_eq!(tracestate, "tracestate: a=1,b=2,c=3");
    let mut items: Vec<_> = baggage.trim_start_matches("baggage: ").split(',').collect();
    items.sort_unstable(); // baggage has no order
    assert_eq!(items, ["team=red;kind=x", "who=Zo%C3%AB"]);
}

#[test]
fn baggage_alone_is_a_context() {
    let cx = extracted(&[("baggage", "a=1")]).expect("a context");
    assert_eq!(cx.baggage().get("a").map(ToString::to_string), Some("1".to_owned()));
    assert!(!cx.span().span_context().is_valid());
    for nothing in ["", ",", "=", "a", &format!("a={}", "x".repeat(9000))] {
        assert!(extracted(&[("baggage", nothing)]).is_none(), "{nothing}");
    }
}

#[test]
fn b3_is_understood() {
    let padded = format!("{}{}", "0".repeat(16), &TRACE[..16]);
    let single = |state: &str| format!("{TRACE}-{SPAN}{state}");
    for (value, trace, sampled, wish) in [
        (single("-1"), TRACE, true, None),
        (single("-0"), TRACE, false, None),
        (single("-true"), TRACE, true, None),
        (single("-false"), TRACE, false, None),
        (single("-d"), TRACE, true, Some(B3State::Debug)),
        (single(""), TRACE, false, Some(B3State::Defer)),
        (single("-1-05e3ac9a4f6e3b90"), TRACE, true, None),
        (single("-1").to_uppercase(), TRACE, true, None),
        (format!("{}-{SPAN}-1", &TRACE[..16]), padded.as_str(), true, None),
    ] {
        let cx = extracted(&[("b3", &value)]).unwrap_or_else(|| panic!("{value}"));
        assert_eq!(span(&cx), (trace.to_owned(), SPAN.to_owned(), sampled), "{value}");
        assert_eq!(cx.get::<B3State>().copied(), wish, "{value}");
    }
    for (state, sampled, wish) in [
        (&[("x-b3-sampled", "1")][..], true, None),
        (&[("x-b3-sampled", "true")], true, None),
        (&[("x-b3-sampled", "0")], false, None),
        (&[("x-b3-sampled", "false")], false, None),
        (&[("x-b3-flags", "1")], true, Some(B3State::Debug)),
        (&[("x-b3-flags", "1"), ("x-b3-sampled", "0")], true, Some(B3State::Debug)),
        (&[("x-b3-flags", "0"), ("x-b3-sampled", "1")], true, None),
        (&[], false, Some(B3State::Defer)),
    ] {
        for (id, trace) in [(TRACE, TRACE), (&TRACE[..16], padded.as_str())] {
            let lines = [&[("x-b3-traceid", id), ("x-b3-spanid", SPAN)], state].concat();
            let cx = extracted(&lines).unwrap_or_else(|| panic!("{lines:?}"));
            assert_eq!(span(&cx), (trace.to_owned(), SPAN.to_owned(), sampled), "{lines:?}");
            assert_eq!(cx.get::<B3State>().copied(), wish, "{lines:?}");
        }
    }
}

#[test]
fn what_is_not_b3_is_ignored() {
    for value in [
        "",
        "-",
        "1",
        "d",
        "x",
        TRACE,
        &format!("{TRACE}-"),
        &format!("{TRACE}-{SPAN}-"),
        &format!("{TRACE}-{SPAN}-2"),
        &format!("{TRACE}-{SPAN}-1-short"),
        &format!("{TRACE}-{SPAN}-1-{SPAN}-"),
        &format!("{TRACE}0-{SPAN}-1"),
        &format!("{}-{SPAN}-1", &TRACE[..15]),
        &format!("{TRACE}-{}-1", &SPAN[..15]),
        &format!("+{}-{SPAN}-1", &TRACE[1..]),
        &format!("{}-{SPAN}-1", "0".repeat(32)),
        &format!("{TRACE}-{}-1", "0".repeat(16)),
    ] {
        assert!(extracted(&[("b3", value)]).is_none(), "{value}");
    }
    for lines in [
        &[("x-b3-traceid", TRACE)][..],
        &[("x-b3-spanid", SPAN)],
        &[("x-b3-sampled", "1")],
        &[("x-b3-traceid", TRACE), ("x-b3-sampled", "0")],
        &[("x-b3-spanid", SPAN), ("x-b3-sampled", "0")],
        &[("x-b3-traceid", TRACE), ("x-b3-spanid", "short")],
        &[("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN), ("x-b3-sampled", "perhaps")],
    ] {
        assert!(extracted(lines).is_none(), "{lines:?}");
    }
}

#[test]
fn b3_can_ask_for_no_trace_at_all() {
    for line in [("b3", "0"), ("x-b3-sampled", "0"), ("x-b3-sampled", "false")] {
        let cx = extracted(&[line]).unwrap_or_else(|| panic!("{line:?}"));
        assert_eq!(cx.get(), Some(&B3State::Deny), "{line:?}");
        assert!(!cx.span().span_context().is_valid());
    }
}

#[test]
fn w3c_wins_then_the_single_header() {
    let w3c = format!("00-{TRACE}-{SPAN}-01");
    let (single, multi) = (format!("{OTHER}-{SPAN}-0"), ("x-b3-traceid", OTHER));
    let cx = extracted(&[("b3", &single), ("traceparent", &w3c)]).expect("a context");
    assert_eq!(span(&cx), (TRACE.to_owned(), SPAN.to_owned(), true));

    let cx = extracted(&[("b3", &single), ("traceparent", "broken")]).expect("a context");
    assert_eq!(span(&cx).0, OTHER);

    let single = format!("{TRACE}-{SPAN}-1");
    let cx = extracted(&[("b3", &single), multi, ("x-b3-spanid", SPAN)]).expect("a context");
    assert_eq!(span(&cx).0, TRACE);
    let cx = extracted(&[("b3", "broken"), multi, ("x-b3-spanid", SPAN)]).expect("a context");
    assert_eq!(span(&cx).0, OTHER);

    let with_baggage = extracted(&[("b3", &single), ("baggage", "a=1")]).expect("a context");
    assert_eq!(span(&with_baggage).0, TRACE);
    assert_eq!(with_baggage.baggage().len(), 1);
}

#[test]
fn by_default_only_w3c_is_written() {
    let propagator = Propagator::default();
    let single = format!("{TRACE}-{SPAN}-1");
    let cx = propagator.extract(&headers(&[("b3", &single)])).expect("a context");
    let mut written = headers(&[("traceparent", "stale"), ("tracestate", "stale=1")]);
    propagator.inject(&cx, &mut written);
    let parent = format!("00-{TRACE}-{SPAN}-01");
    assert_eq!(written, headers(&[("traceparent", &parent)]));

    let mut written = HeaderMap::new();
    propagator.inject(&Context::new(), &mut written);
    assert!(written.is_empty(), "{written:?}");
}

#[test]
fn b3_is_written_when_asked_for() {
    let single = |state: &str| format!("{TRACE}-{SPAN}{state}");
    for state in ["-1", "-0", "-d", ""] {
        let b3 = single(state);
        assert_eq!(passed_on("b3", &[("b3", &b3)]), [format!("b3: {b3}")]);
    }
    let ids = [format!("x-b3-spanid: {SPAN}"), format!("x-b3-traceid: {TRACE}")];
    for (state, line) in [
        ("-1", Some("x-b3-sampled: 1")),
        ("-0", Some("x-b3-sampled: 0")),
        ("-d", Some("x-b3-flags: 1")),
        ("", None),
    ] {
        let b3 = single(state);
        let expected: Vec<_> = line.map(str::to_owned).into_iter().chain(ids.clone()).collect();
        assert_eq!(passed_on("b3multi", &[("b3", &b3)]), expected);
    }
    let everywhere = passed_on("b3multi, b3,TraceContext", &[("b3", &single("-1"))]);
    assert_eq!(everywhere.len(), 5, "{everywhere:?}");
}

#[test]
fn only_what_is_asked_for_is_understood() {
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let all = headers(&[("traceparent", &parent), ("b3", "0"), ("baggage", "a=1")]);
    assert!(propagator("none").extract(&all).is_none());
    assert!(propagator("baggage").extract(&headers(&[("traceparent", &parent)])).is_none());
    assert!(propagator("tracecontext").extract(&headers(&[("baggage", "a=1")])).is_none());
    assert!(propagator("tracecontext").extract(&headers(&[("b3", "0")])).is_none());
    for multi in ["b3", "b3multi"] {
        let cx = propagator(multi).extract(&headers(&[("x-b3-sampled", "0")]));
        assert!(cx.is_some(), "{multi}");
    }
}

#[test]
fn unknown_formats_are_refused() {
    for text in ["", "x", "xray", "tracecontext,", "none,b3", "tracecontext;baggage", "jaeger"] {
        assert!(text.parse::<Propagator>().is_err(), "{text}");
    }
}

#[test]
fn that_no_trace_is_wanted_is_handed_on_in_the_words_of_b3() {
    for asked in [[("b3", "0")], [("x-b3-sampled", "0")]] {
        assert_eq!(passed_on("b3", &asked), ["b3: 0"]);
        assert_eq!(passed_on("b3multi", &asked), ["x-b3-sampled: 0"]);
    }
    // W3C has no words for it.
    assert_eq!(passed_on("tracecontext,b3", &[("b3", "0")]), ["b3: 0"]);
}
