use emojivoto_testkit::collector::SpanKind as Kind;

use super::*;

const HTTP: (&str, &str) = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
const GRPC: (&str, &str) = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");

#[tokio::test]
async fn spans_arrive_over_both_protocols_with_and_without_a_scheme() {
    for (protocol, path) in [
        (GRPC, "/opentelemetry.proto.collector.trace.v1.TraceService/Export"),
        (HTTP, "/v1/traces"),
    ] {
        for scheme in ["", "http://"] {
            let collector = Collector::start().await;
            let endpoint = format!("{scheme}{}", collector.address());
            let variables = [protocol, ("OTEL_EXPORTER_OTLP_HEADERS", "x-token=open%20sesame")];
            let exports = exporting_as(Hosted::One, &endpoint, &variables);
            let told = span(&exports, "GET /api/vote");
            exports.shutdown(PATIENCE).await;

            let spans = collector.spans();
            let [span] = &spans[..] else { panic!("{spans:?}") };
            assert_eq!((span.name.as_str(), span.kind()), ("GET /api/vote", Kind::Server));
            assert_eq!((span.service.as_str(), span.parent_id()), ("web", None));
            assert_eq!(span.scope, "emojivoto-telemetry");
            assert_eq!(span.trace_id(), told.trace_id().to_string());
            assert_eq!(span.span_id(), told.span_id().to_string());
            assert_eq!(span.attribute("http.route"), Some("/api/vote"));
            let headers = collector.headers();
            let [(asked, headers)] = &headers[..] else { panic!("{headers:?}") };
            assert_eq!((asked.as_str(), headers.get_all("x-token").iter().count()), (path, 1));
            assert_eq!(headers["x-token"], "open sesame");
            assert_eq!((count(&exports, PROCESSED, ""), count(&exports, EXPORTED, "")), (1, 1));
        }
    }
}

#[tokio::test]
async fn a_signal_can_go_to_a_place_of_its_own() {
    let (general, own) = (Collector::start().await, Collector::start().await);
    let endpoint = format!("{}/v1/traces", own.address());
    let variables = [HTTP, ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &endpoint)];
    let exports = exporting_to(general.address(), &variables);
    span(&exports, "x");
    exports.shutdown(PATIENCE).await;
    assert_eq!((general.headers().len(), own.spans().len()), (0, 1));
}

#[tokio::test]
async fn gzip_when_asked_for() {
    for (protocol, header) in [(GRPC, "grpc-encoding"), (HTTP, "content-encoding")] {
        let collector = Collector::start().await;
        let variables = [protocol, ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")];
        let exports = exporting_to(collector.address(), &variables);
        span(&exports, "x");
        exports.shutdown(PATIENCE).await;
        assert_eq!(collector.spans().len(), 1);
        assert_eq!(collector.headers()[0].1[header], "gzip");
    }
}

#[tokio::test]
async fn https_with_an_authority_of_ones_own() {
    for (index, protocol) in [GRPC, HTTP].into_iter().enumerate() {
        let (collector, authority) = Collector::encrypted().await;
        let endpoint = format!("https://localhost:{}", collector.address().port());
        let name = format!("emojivoto-otlp-{}-{index}.pem", std::process::id());
        let file = std::env::temp_dir().join(name);
        std::fs::write(&file, authority).expect("a file");
        let path = file.to_str().expect("text");
        let variables = [protocol, ("OTEL_EXPORTER_OTLP_CERTIFICATE", path)];
        let exports = exporting_as(Hosted::One, &endpoint, &variables);
        std::fs::remove_file(&file).expect("it was read at start");
        span(&exports, "x");
        exports.shutdown(PATIENCE).await;
        assert_eq!(collector.spans().len(), 1, "{protocol:?}");

        // The authorities of the world do not know this one.
        let lines = LogLines::default();
        let _guard = lines.listen();
        let exports = exporting_as(Hosted::One, &endpoint, &[protocol]);
        span(&exports, "x");
        exports.shutdown(PATIENCE).await;
        assert_eq!(collector.spans().len(), 1, "{protocol:?}");
        assert_eq!(count(&exports, EXPORTED, "unavailable"), 1, "{protocol:?}");
        let warnings = lines.with("cannot export");
        assert!(warnings.len() == 1 && warnings[0].contains("UnknownIssuer"), "{warnings:?}");
    }
}

#[tokio::test]
async fn a_service_says_who_it_is() {
    let collector = Collector::start().await;
    let sent = async |hosted, variables: &[(&str, &str)], service| {
        let endpoint = format!("http://{}", collector.address());
        let exports = exporting_as(hosted, &endpoint, variables);
        exports.announce();
        let tracer = exports.tracer(service).expect("traces are on");
        tracer.start("x").end();
        exports.shutdown(PATIENCE).await;
        collector.resources().pop().expect("a resource")
    };
    let own = sent(Hosted::One, &[], "voting").await;
    let names = [
        "service.instance.id",
        "service.name",
        "service.namespace",
        "service.version",
        "telemetry.sdk.language",
        "telemetry.sdk.name",
        "telemetry.sdk.version",
    ];
    assert_eq!(own.names(), names);
    assert_eq!(own.attribute("service.name"), Some("voting"));
    assert_eq!(own.attribute("service.namespace"), Some("emojivoto"));
    assert_eq!(own.attribute("service.version"), Some(env!("CARGO_PKG_VERSION")));
    let again = sent(Hosted::One, &[], "voting").await;
    let id = "service.instance.id";
    assert_ne!(own.attribute(id), again.attribute(id));

    let told = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,service.namespace=b,zone=c%2Cd");
    let resource = sent(Hosted::One, &[told], "voting").await;
    assert_eq!(resource.attribute("service.name"), Some("a"));
    assert_eq!(resource.attribute("service.namespace"), Some("b"));
    assert_eq!(resource.attribute("zone"), Some("c,d"));
    let name = ("OTEL_SERVICE_NAME", "wins");
    let resource = sent(Hosted::One, &[told, name], "voting").await;
    assert_eq!(resource.attribute("service.name"), Some("wins"));

    let lines = LogLines::default();
    let _guard = lines.listen();
    let argument = ("OTEL_TRACES_SAMPLER_ARG", "0.5");
    let resource = sent(Hosted::Several, &[told, name, argument], "voting").await;
    assert_eq!(resource.attribute("service.name"), Some("voting"));
    assert_eq!(resource.attribute("zone"), Some("c,d"));
    assert_eq!(lines.with("OTEL_SERVICE_NAME").len(), 1);
    assert_eq!(lines.with("OTEL_TRACES_SAMPLER_ARG is ignored").len(), 1);
    assert_eq!(lines.with(&format!("exporting spans to http://{}/", collector.address())).len(), 1);
}

#[tokio::test]
async fn several_services_of_a_process_report_under_their_names() {
    let collector = Collector::start().await;
    let exports = exporting_as(Hosted::Several, &collector.address().to_string(), &[]);
    let services = ["web", "emoji", "voting", "vote-bot"];
    for service in services {
        for _ in 0..2 {
            exports.tracer(service).expect("traces are on").start(service).end();
        }
    }
    exports.shutdown(PATIENCE).await;
    let spans = collector.spans();
    assert_eq!(spans.len(), 8);
    assert!(spans.iter().all(|span| span.service == span.name), "{spans:?}");
    assert_eq!(collector.resources().len(), 4, "a batch each");
    for service in services {
        let line = format!(
            "{EXPORTED}{{otel_component_name=\"otlp_grpc_span_exporter/{service}\",error_type=\"\"}} 2\n"
        );
        assert!(metrics(&exports).contains(&line), "{line} is not in {}", metrics(&exports));
    }
}

#[tokio::test]
async fn a_whole_batch_does_not_wait_and_others_not_long() {
    let collector = Collector::start().await;
    let slow = [
        ("OTEL_BSP_SCHEDULE_DELAY", "3600000"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "1000"),
    ];
    let exports = exporting_to(collector.address(), &slow);
    for _ in 0..10 {
        span(&exports, "x");
    }
    let come = async |number| {
        eventually("spans", async || (collector.spans().len() >= number).then_some(())).await;
        collector.spans().len()
    };
    assert_eq!(come(10).await, 10);
    for _ in 0..5 {
        span(&exports, "x");
    }
    assert_eq!(collector.spans().len(), 10, "five still wait");
    exports.shutdown(PATIENCE).await;
    assert_eq!(collector.spans().len(), 15);
    assert_eq!(collector.headers().len(), 2);

    let quick = exporting_to(collector.address(), &[("OTEL_BSP_SCHEDULE_DELAY", "1")]);
    span(&quick, "y");
    assert_eq!(come(16).await, 16, "it did not need another");
}

#[tokio::test]
async fn off_means_off() {
    for variables in [
        &[][..],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "c:4317"), ("OTEL_SDK_DISABLED", "true")],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "c:4317"), ("OTEL_TRACES_EXPORTER", "none")],
    ] {
        let exports = exporting(settings(variables), Hosted::One);
        assert!(exports.tracer("web").is_none());
        assert!(exports.log_layer::<tracing_subscriber::Registry>("web").is_none());
        assert_eq!(metrics(&exports), "# EOF\n");
        exports.shutdown(PATIENCE).await;

        let mut headers = http::HeaderMap::new();
        let b3 = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1";
        headers.insert("b3", http::HeaderValue::from_static(b3));
        let cx = exports.propagator().extract(&headers).expect("a context");
        exports.propagator().inject(&cx, &mut headers);
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(headers["traceparent"], parent);
    }
}
