use std::time::Instant;

use tokio::task::JoinSet;

use super::*;

const HTTP: (&str, &str) = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
const GRPC: (&str, &str) = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
/// Of tests that would take tens of seconds if something waited.
const QUICK: Duration = Duration::from_secs(8);

#[tokio::test]
async fn nobody_listens() {
    for protocol in [GRPC, HTTP] {
        let lines = LogLines::default();
        let _guard = lines.listen();
        let (address, reserved) = nobody();
        let secret = ("OTEL_EXPORTER_OTLP_HEADERS", "x-token=hunter2");
        let variables = [protocol, ("OTEL_BSP_SCHEDULE_DELAY", "1"), secret];
        let exports = exporting_to(address, &variables);
        for lost in 1..=2 {
            span(&exports, "x");
            let unavailable = async || count(&exports, EXPORTED, "unavailable");
            eventually("a loss", async || (unavailable().await == lost).then_some(())).await;
        }
        let warnings = lines.with("cannot export");
        assert_eq!(warnings.len(), 1, "not one a batch: {warnings:?}");
        for part in ["WARN", "spans", &format!("http://{address}/"), "refused"] {
            assert!(warnings[0].contains(part), "no {part} in {warnings:?}");
        }

        // What comes back is said, too.
        drop(reserved);
        let collector = Collector::start_at(address).await;
        span(&exports, "y");
        eventually("a span", async || collector.spans().pop()).await;
        eventually("the news", async || lines.with("again").pop()).await;
        assert!(lines.with("again")[0].contains("INFO"));
        exports.shutdown(PATIENCE).await;
        assert_eq!(count(&exports, EXPORTED, ""), 1);
        assert!(lines.with("hunter2").is_empty());
    }
}

#[tokio::test]
async fn at_the_end_nobody_is_waited_for() {
    for protocol in [GRPC, HTTP] {
        let small = [("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1"), protocol];
        let (address, _reserved) = nobody();
        let exports = exporting_to(address, &small);
        for _ in 0..100 {
            span(&exports, "x");
        }
        let start = Instant::now();
        exports.shutdown(PATIENCE).await;
        assert!(start.elapsed() < QUICK, "a hundred failures, one after the other");
        let unavailable = count(&exports, EXPORTED, "unavailable");
        assert_eq!(count(&exports, PROCESSED, ""), unavailable);
        assert!(unavailable >= 1);
        assert_eq!(count(&exports, PROCESSED, "shutdown"), 100 - unavailable);
    }
}

#[tokio::test]
async fn a_collector_that_cannot_or_does_not_want() {
    for protocol in [GRPC, HTTP] {
        for (collector, error_type, cause) in [
            (Collector::refusing().await, "unavailable", ["Unavailable", "503"]),
            (Collector::rejecting().await, "rejected", ["Unauthenticated", "401"]),
        ] {
            let lines = LogLines::default();
            let _guard = lines.listen();
            let exports = exporting_to(collector.address(), &[protocol]);
            span(&exports, "x");
            exports.shutdown(PATIENCE).await;
            assert_eq!(count(&exports, EXPORTED, error_type), 1, "{}", metrics(&exports));
            assert!(collector.spans().is_empty());
            let warnings = lines.with("cannot export");
            let known = cause.iter().any(|cause| warnings[0].contains(cause));
            assert!(warnings.len() == 1 && known, "{warnings:?}");
            // What may pass is tried again, what does not is not.
            assert_eq!(collector.headers().len() > 1, error_type == "unavailable");
        }
    }
}

#[tokio::test]
async fn a_collector_that_wants_to_be_left_alone_is() {
    for protocol in [GRPC, HTTP] {
        let lines = LogLines::default();
        let _guard = lines.listen();
        let collector = Collector::refusing_for_an_hour().await;
        let exports = exporting_to(collector.address(), &[protocol]);
        let start = Instant::now();
        span(&exports, "x");
        exports.shutdown(PATIENCE).await;
        assert!(start.elapsed() < QUICK, "nobody waits for an hour, or until time is up");
        assert_eq!(count(&exports, EXPORTED, "unavailable"), 1, "{}", metrics(&exports));
        assert_eq!(collector.headers().len(), 1, "it is asked once");
        let warnings = lines.with("cannot export");
        let known = ["ResourceExhausted", "503"].iter().any(|cause| warnings[0].contains(cause));
        assert!(warnings.len() == 1 && known, "{warnings:?}");
    }
}

#[tokio::test]
async fn a_collector_that_hangs_costs_a_batch_at_a_time() {
    for protocol in [GRPC, HTTP] {
        let collector = Collector::hanging().await;
        let variables = [
            protocol,
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "50"),
            ("OTEL_BSP_SCHEDULE_DELAY", "1"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2"),
        ];
        let exports = exporting_to(collector.address(), &variables);
        for _ in 0..4 {
            span(&exports, "x");
        }
        let timeouts = async || count(&exports, EXPORTED, "timeout");
        eventually("timeouts", async || (timeouts().await == 4).then_some(())).await;
    }
}

#[tokio::test]
async fn the_queue_is_bounded_and_the_end_is_near() {
    for protocol in [GRPC, HTTP] {
        let collector = Collector::hanging().await;
        let variables = [protocol, ("OTEL_BSP_MAX_QUEUE_SIZE", "4")];
        let exports = exporting_to(collector.address(), &variables);
        for _ in 0..20 {
            span(&exports, "x");
            tokio::task::yield_now().await; // the task at the other end may take some
        }
        let lost = count(&exports, PROCESSED, "queue_full");
        assert!((12..=16).contains(&lost), "four wait, at most four are under way: {lost}");

        let start = Instant::now();
        exports.shutdown(Duration::from_millis(100)).await;
        assert!(start.elapsed() < QUICK, "{:?}", start.elapsed());
        let (left, never) =
            (count(&exports, EXPORTED, "shutdown"), count(&exports, PROCESSED, "shutdown"));
        assert_eq!(left + never + lost, 20, "every span is counted once: {}", metrics(&exports));

        span(&exports, "too late");
        assert_eq!(count(&exports, PROCESSED, "shutdown"), never + 1);
        exports.shutdown(PATIENCE).await; // once more does no harm
    }
}

/// As many threads as the product has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_under_load() {
    let collector = Collector::start().await;
    let exports = exporting_to(collector.address(), &[("OTEL_BSP_MAX_QUEUE_SIZE", "100000")]);
    let mut work = JoinSet::new();
    for _ in 0..4 {
        let exports = exports.clone();
        work.spawn_blocking(move || {
            for _ in 0..5_000 {
                span(&exports, "x");
            }
        });
    }
    work.join_all().await;
    exports.shutdown(PATIENCE).await;
    assert_eq!(collector.spans().len(), 20_000);
    assert_eq!(count(&exports, EXPORTED, ""), 20_000);
}
