use std::{collections::HashMap, os::unix::ffi::OsStringExt as _};

use super::*;

fn settings(variables: &[(&str, &str)]) -> Result<Settings, InvalidSetting> {
    let variables: HashMap<_, _> = variables.iter().copied().collect();
    Settings::from_env(|name| variables.get(name).map(OsString::from))
}

fn valid(variables: &[(&str, &str)]) -> Settings {
    settings(variables).unwrap_or_else(|error| panic!("{error}"))
}

fn traces(variables: &[(&str, &str)]) -> Signal {
    valid(variables).traces.unwrap_or_else(|| panic!("no traces: {variables:?}"))
}

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

#[test]
fn off_without_an_endpoint() {
    for nothing in [&[][..], &[(ENDPOINT, "")], &[("OTEL_TRACES_EXPORTER", "otlp")]] {
        let settings = valid(nothing);
        assert!(settings.traces.is_none() && settings.logs.is_none(), "{nothing:?}");
        assert_eq!(settings.propagator, Propagator::default());
        assert_eq!(
            settings.sampler,
            Sampler { parent_based: true, ratio: 1.0, ignores_argument: false }
        );
    }
    for (variable, value, traces, logs) in [
        ("OTEL_SDK_DISABLED", "false", true, false),
        ("OTEL_SDK_DISABLED", "TRUE", false, false),
        ("OTEL_TRACES_EXPORTER", "none", false, false),
        ("OTEL_TRACES_EXPORTER", "OTLP", true, false),
        ("OTEL_LOGS_EXPORTER", "otlp", true, true),
        ("OTEL_LOGS_EXPORTER", "none", true, false),
        ("OTEL_METRICS_EXPORTER", "none", true, false),
        ("OTEL_METRICS_EXPORTER", "prometheus", true, false),
    ] {
        let settings = valid(&[(ENDPOINT, "collector:4317"), (variable, value)]);
        let told = (settings.traces.is_some(), settings.logs.is_some());
        assert_eq!(told, (traces, logs), "{variable}={value}");
    }
    let only_logs = valid(&[
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "collector:4317"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
    ]);
    assert!(only_logs.traces.is_none() && only_logs.logs.is_some());
}

#[test]
fn endpoints_with_and_without_a_scheme() {
    use Protocol::{Grpc, HttpProtobuf};
    for (endpoint, protocol, expected) in [
        ("collector:4317", Grpc, "http://collector:4317/"),
        ("http://collector:4317", Grpc, "http://collector:4317/"),
        ("https://collector.example", Grpc, "https://collector.example/"),
        ("[::1]:4317", Grpc, "http://[::1]:4317/"),
        ("127.0.0.1:55680", Grpc, "http://127.0.0.1:55680/"),
        ("collector:4318", HttpProtobuf, "http://collector:4318/v1/traces"),
        ("http://collector:4318/", HttpProtobuf, "http://collector:4318/v1/traces"),
        ("https://c:4318/otlp/", HttpProtobuf, "https://c:4318/otlp/v1/traces"),
    ] {
        let Target { endpoint: uri, protocol: spoken, .. } = traces(&[(ENDPOINT, endpoint)]).target;
        assert_eq!((uri.to_string().as_str(), spoken), (expected, protocol), "{endpoint}");
    }
    let own = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    let signal = traces(&[(ENDPOINT, "no:1"), (own, "http://c:4318/as/it/is?x=1")]);
    assert_eq!(signal.target.endpoint.to_string(), "http://c:4318/as/it/is?x=1");
    let told = [(ENDPOINT, "c:4317"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")];
    assert_eq!(traces(&told).target.endpoint.to_string(), "http://c:4317/v1/traces");
    let told = [(ENDPOINT, "c:4318"), ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc")];
    assert_eq!(traces(&told).target.protocol, Grpc);
    let logs = valid(&[(ENDPOINT, "c:4318"), ("OTEL_LOGS_EXPORTER", "otlp")]).logs;
    let logs = logs.expect("logs").target.endpoint;
    assert_eq!(logs.to_string(), "http://c:4318/v1/logs");
}

#[test]
fn a_signals_own_variable_wins() {
    let Target { headers, gzip, timeout, .. } = traces(&[
        (ENDPOINT, "c:4317"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=1, authorization=Basic%20abc==,"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "GZIP"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
    ])
    .target;
    assert!(gzip);
    assert_eq!(timeout, Duration::from_millis(1500));
    assert_eq!(headers["authorization"], "Basic abc==");
    assert_eq!((headers.len(), headers["a"].is_sensitive()), (2, true));

    let Target { headers, gzip, timeout, .. } = traces(&[
        (ENDPOINT, "c:4317"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=1"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "b=2"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "20"),
        ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "30"),
    ])
    .target;
    assert!(!gzip && !headers.contains_key("a") && headers["b"] == "2");
    assert_eq!(timeout, Duration::from_millis(20));
}

#[test]
fn batches() {
    let on = (ENDPOINT, "c:4317");
    let millis = Duration::from_millis;
    let default = Batch { delay: millis(5000), queue: 2048, size: 512, timeout: millis(30_000) };
    assert_eq!(traces(&[on]).batch, default);
    let logs = valid(&[on, ("OTEL_LOGS_EXPORTER", "otlp")]).logs.expect("logs");
    assert_eq!(logs.batch, Batch { delay: millis(1000), ..default });
    let small = traces(&[on, ("OTEL_BSP_MAX_QUEUE_SIZE", "100")]).batch;
    assert_eq!((small.queue, small.size), (100, 100));
    let told = traces(&[
        on,
        ("OTEL_BSP_SCHEDULE_DELAY", "1"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "10000"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5000"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "2"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "77"),
    ]);
    let expected = Batch { delay: millis(1), queue: 10_000, size: 5_000, timeout: millis(2) };
    assert_eq!(told.batch, expected);
}

#[test]
fn samplers() {
    for (sampler, argument, parent_based, ratio, ignores_argument) in [
        ("", "0.25", true, 1.0, true),
        ("always_on", "", false, 1.0, false),
        ("always_off", "", false, 0.0, false),
        ("traceidratio", "0.25", false, 0.25, false),
        ("traceidratio", "", false, 1.0, false),
        ("parentbased_always_on", "", true, 1.0, false),
        ("parentbased_always_off", "left over", true, 0.0, true),
        ("ParentBased_TraceIdRatio", "0", true, 0.0, false),
    ] {
        let variables = [("OTEL_TRACES_SAMPLER", sampler), ("OTEL_TRACES_SAMPLER_ARG", argument)];
        let expected = Sampler { parent_based, ratio, ignores_argument };
        assert_eq!(valid(&variables).sampler, expected, "{sampler}");
    }
}

#[test]
fn resources() {
    let settings = valid(&[
        ("OTEL_SERVICE_NAME", "shop web"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=b, k8s.pod.name = x%2Cy%20z ,empty=,"),
    ]);
    assert_eq!(settings.service_name.as_deref(), Some("shop web"));
    let pairs = [("a", "b"), ("k8s.pod.name", "x,y z"), ("empty", "")];
    let pairs: Vec<_> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    assert_eq!(settings.resource, pairs);
}

#[test]
fn what_makes_no_sense_is_refused_with_its_name_and_value() {
    for (variable, value, expected) in [
        ("OTEL_SDK_DISABLED", "yes", "expected one of true, false"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "expected one of otlp, none"),
        ("OTEL_LOGS_EXPORTER", "console", "expected one of otlp, none"),
        ("OTEL_METRICS_EXPORTER", "otlp", "expected one of prometheus, none"),
        ("OTEL_PROPAGATORS", "xray", "expected none, or a list of tracecontext, baggage, b3"),
        ("OTEL_TRACES_SAMPLER", "sometimes", "expected one of parentbased_always_on"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a", "expected name=value"),
        ("OTEL_RESOURCE_ATTRIBUTES", "=b", "expected name=value"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=%ff", "expected name=value"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "expected one of grpc, http/protobuf"),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "udp", "expected one of grpc, http/protobuf"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "expected one of gzip, none"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "expected milliseconds, from 1 to 3600000"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "0", "expected milliseconds"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/no/such", "expected a file with certificates in PEM"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/dev/null", "it holds none"),
        ("OTEL_BSP_SCHEDULE_DELAY", "-1", "expected milliseconds"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "x", "expected milliseconds"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "expected a number from 1 to 1048576"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "99999999", "expected a number from 1 to 1048576"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2049", "expected a number from 1 to 2048"),
        ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "1.5", "expected a number from 1 to 2048"),
        (ENDPOINT, "http://", "expected an address such as collector:4317"),
        (ENDPOINT, "ftp://collector:4317", "expected an address"),
        (ENDPOINT, "collector", "expected an address"),
        (ENDPOINT, "collector/path", "expected an address"),
        (ENDPOINT, "unix:///run/x", "expected an address"),
        (ENDPOINT, "collector:port", "expected an address"),
        (ENDPOINT, "collector:0", "expected an address"),
        (ENDPOINT, "collector:70000", "expected an address"),
        (ENDPOINT, "a collector:4317", "expected an address"),
        (ENDPOINT, ":4317", "expected an address"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://:1/", "expected an address"),
    ] {
        let error = settings(&[(variable, value)]).expect_err(variable).to_string();
        let start = format!("invalid value '{value}' for '{variable}': ");
        assert!(error.starts_with(&start) && error.contains(expected), "{error}");
    }
    for value in ["-0.1", "1.1", "NaN", "inf", "1 %"] {
        let ratio = [("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", value)];
        let error = settings(&ratio).expect_err(value).to_string();
        let start = format!("invalid value '{value}' for 'OTEL_TRACES_SAMPLER_ARG': ");
        assert!(error.starts_with(&start) && error.ends_with("from 0.0 to 1.0"), "{error}");
    }
    let error = Settings::from_env(|name| {
        (name == "OTEL_SERVICE_NAME").then(|| OsString::from_vec(vec![b'w', 0xff]))
    });
    let error = error.expect_err("not UTF-8").to_string();
    assert_eq!(error, "invalid value 'w\u{fffd}' for 'OTEL_SERVICE_NAME': expected UTF-8");
}

#[test]
fn secrets_are_not_shown() {
    for (variable, value) in [
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a name=hunter2"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=hunter2%0Ab"),
        ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "a=hunter2%C3%AB"),
        (ENDPOINT, "http://user:hunter2@collector:4317"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "user:hunter2@collector:4317"),
    ] {
        let error = settings(&[(variable, value)]).expect_err(variable).to_string();
        let start = format!("invalid value (not shown) for '{variable}': expected ");
        assert!(error.starts_with(&start) && !error.contains("hunter2"), "{error}");
    }
    let variables = [(ENDPOINT, "c:4317"), ("OTEL_EXPORTER_OTLP_HEADERS", "a=hunter2")];
    assert!(!format!("{:?}", valid(&variables)).contains("hunter2"));
}
