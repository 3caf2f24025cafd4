use http::{HeaderMap, HeaderValue};
use opentelemetry::trace::TraceContextExt as _;

use super::*;

const IDS: &str = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";

/// Which of some callers' requests end in a recorded span.
async fn recorded(sampler: &str, argument: &str, b3: &[&'static str]) -> Vec<bool> {
    let collector = Collector::start().await;
    let variables = [("OTEL_TRACES_SAMPLER", sampler), ("OTEL_TRACES_SAMPLER_ARG", argument)];
    let exports = exporting_to(collector.address(), &variables);
    let mut recorded = Vec::new();
    for b3 in b3 {
        let mut headers = HeaderMap::new();
        headers.insert("b3", HeaderValue::from_static(b3));
        let parent = exports.propagator().extract(&headers).unwrap_or_default();
        let tracer = exports.tracer("web").expect("traces are on");
        let cx = parent.with_span(tracer.start_with_context("server", &parent));
        let server = cx.span().span_context().clone();
        assert!(server.is_valid(), "what is not recorded is passed on all the same");
        if b3.contains('-') {
            assert!(IDS.starts_with(&server.trace_id().to_string()), "{server:?}");
        }
        // What is below it is recorded if it is, whatever the caller wished.
        let client = child(&exports, "client", &cx);
        assert_eq!(client.is_sampled(), server.is_sampled());
        cx.span().end();
        recorded.push(server.is_sampled());
    }
    exports.shutdown(PATIENCE).await;
    let servers = recorded.iter().filter(|recorded| **recorded).count();
    assert_eq!(collector.spans().len(), servers * 2, "a client below each server");
    let processed = count(&exports, PROCESSED, "");
    assert_eq!(processed, collector.spans().len() as u64, "the queue saw nothing else");
    recorded
}

/// No wish, accepted, debug, denied, left to us, denied without a trace.
const CALLERS: [&str; 6] = [
    "nothing",
    "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
    "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-d",
    "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
    "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
    "0",
];

#[tokio::test]
async fn samplers_follow_their_callers_if_they_shall() {
    let (yes, no) = (true, false);
    for (sampler, argument, expected) in [
        ("always_on", "", [yes; 6]),
        ("always_off", "", [no; 6]),
        ("traceidratio", "1", [yes; 6]),
        ("traceidratio", "0", [no; 6]),
        ("parentbased_always_on", "", [yes, yes, yes, no, yes, no]),
        ("parentbased_always_off", "", [no, yes, yes, no, no, no]),
        ("parentbased_traceidratio", "1", [yes, yes, yes, no, yes, no]),
        ("parentbased_traceidratio", "0.0", [no, yes, yes, no, no, no]),
    ] {
        assert_eq!(recorded(sampler, argument, &CALLERS).await, expected, "{sampler} {argument}");
    }
}

#[tokio::test]
async fn a_ratio_is_about_that_share_of_the_traces() {
    let sampled = recorded("parentbased_traceidratio", "0.25", &["nothing"; 400]).await;
    let number = sampled.iter().filter(|sampled| **sampled).count();
    // Ten standard deviations to either side are 13 to 187.
    assert!((13..=187).contains(&number), "{number} of 400");
}
