use emojivoto_testkit::collector::{Log, SeverityNumber};
use opentelemetry::trace::TraceContextExt as _;

use super::*;

const LOGS: (&str, &str) = ("OTEL_LOGS_EXPORTER", "otlp");

#[tokio::test]
async fn logs_arrive_with_the_ids_of_their_span() {
    for protocol in ["grpc", "http/protobuf"] {
        let collector = Collector::start().await;
        let protocol = ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
        let exports = exporting_to(collector.address(), &[LOGS, protocol]);
        let layer = exports.log_layer("web").expect("logs are on");
        let tracer = exports.tracer("web").expect("traces are on");
        let cx = Context::new().with_span(tracer.start("vote"));
        let ids = cx.span().span_context().clone();
        tracing::subscriber::with_default(registry().with(layer), || {
            tracing::info!(votes = 3, "before");
            let _current = cx.attach();
            tracing::warn!(target: "emojivoto_web", choice = ":doughnut:", "failed {}", 1);
        });
        exports.shutdown(PATIENCE).await;

        let mut logs = collector.logs();
        logs.sort_by_key(Log::body); // OTLP groups them by what has logged them
        let [before, failed] = &logs[..] else { panic!("{logs:?}") };
        assert_eq!((before.body().as_str(), before.attribute("votes")), ("before", Some("3")));
        assert_eq!((before.trace_id().as_str(), before.span_id().as_str()), ("", ""));
        assert_eq!(before.severity_number(), SeverityNumber::Info);
        assert_eq!((failed.body().as_str(), failed.service.as_str()), ("failed 1", "web"));
        assert_eq!(failed.scope, "emojivoto_web");
        assert_eq!(failed.attribute("choice"), Some(":doughnut:"));
        assert_eq!(failed.trace_id(), ids.trace_id().to_string());
        assert_eq!(failed.span_id(), ids.span_id().to_string());
        assert_eq!(
            (failed.severity_number(), failed.severity_text.as_str()),
            (SeverityNumber::Warn, "WARN")
        );
        let exported = count(&exports, "otel_sdk_exporter_log_exported_total", "");
        assert_eq!(exported, 2);
    }
}

#[tokio::test]
async fn what_the_exporters_log_is_not_exported() {
    let collector = Collector::start().await;
    // Everything at once, so that each export that was logged would lead to another.
    let variables = [LOGS, ("OTEL_BLRP_SCHEDULE_DELAY", "1")];
    let exports = exporting_to(collector.address(), &variables);
    let layer = exports.log_layer("web").expect("logs are on");
    let _guard = tracing::subscriber::set_default(registry().with(layer));
    tracing::info!(target: "h2::client", "no");
    tracing::info!(target: "hyper_util::client", "no");
    tracing::info!(target: "tonic", "no");
    tracing::info!(target: "tower::buffer", "no");
    tracing::info!(target: "opentelemetry_sdk", "no");
    tracing::info!("yes");
    eventually("a log", async || collector.logs().pop()).await;
    exports.shutdown(PATIENCE).await;
    let bodies: Vec<_> = collector.logs().iter().map(Log::body).collect();
    assert_eq!(bodies, ["yes"]);
}

#[tokio::test]
async fn logs_can_be_exported_without_traces() {
    let collector = Collector::start().await;
    let variables = [LOGS, ("OTEL_TRACES_EXPORTER", "none")];
    let exports = exporting_to(collector.address(), &variables);
    assert!(exports.tracer("web").is_none());
    let layer = exports.log_layer("web").expect("logs are on");
    tracing::subscriber::with_default(registry().with(layer), || tracing::error!("lonely"));
    exports.shutdown(PATIENCE).await;
    assert_eq!(collector.logs().len(), 1);
    assert!(!metrics(&exports).contains("span"), "{}", metrics(&exports));
}
