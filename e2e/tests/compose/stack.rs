//! `observability/compose.yml`, as far as it can be told without its images, which a test cannot pull: what Compose makes
//! of it.

use std::path::Path;

use emojivoto_e2e::root;
use serde_json::Value;

use crate::config::{SUITE, composes, mount, names, pinned, sorted};
use emojivoto_e2e::release::SERVICES;

const WITH_STACK: &[&str] = &["docker-compose.yml", "observability/compose.yml"];
const STACK: [&str; 3] = ["prometheus", "grafana", "jaeger"];

#[test]
fn the_second_file_adds_a_stack_and_the_suite_exports_to_it() {
    for compose in composes() {
        let own = Some("http://collector:4318");
        for with in [compose.config(WITH_STACK, None), compose.config(WITH_STACK, own)] {
            assert_eq!(names(&with["services"]), sorted(SERVICES.into_iter().chain(STACK)));
            for service in SERVICES {
                assert_eq!(endpoint(&with, service), "http://jaeger:4317", "{service}");
            }
        }
    }
}

#[test]
fn the_suite_alone_exports_only_where_it_is_told_to() {
    for compose in composes() {
        let alone = compose.config(SUITE, None);
        let own = compose.config(SUITE, Some("http://collector:4318"));
        assert_eq!(names(&alone["services"]), sorted(SERVICES));
        for service in SERVICES {
            assert_eq!(endpoint(&alone, service), Value::Null, "{service}");
            assert_eq!(endpoint(&own, service), "http://collector:4318", "{service}");
        }
    }
}

#[test]
fn with_the_stack_the_suite_is_otherwise_the_same() {
    for compose in composes() {
        let alone = compose.config(SUITE, None);
        let mut with = compose.config(WITH_STACK, None);
        for service in SERVICES {
            let with = &mut with["services"][service];
            with["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"] = Value::Null;
            assert_eq!(*with, alone["services"][service], "{service}");
        }
    }
}

#[test]
fn the_stack_is_pinned_and_locked_down() {
    for compose in composes() {
        let config = compose.config(WITH_STACK, None);
        for name in STACK {
            let service = &config["services"][name];
            pinned(service["image"].as_str().unwrap_or_default());
            assert_eq!(service["read_only"], true, "{name}");
            assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]), "{name}");
            assert!(service["healthcheck"]["test"].is_array(), "{name}");
        }
    }
}

#[test]
fn the_stack_is_for_this_machine_and_cannot_change_its_configuration() {
    for compose in composes() {
        let config = compose.config(WITH_STACK, None);
        let mut mounted = Vec::new();
        for name in STACK {
            let list = |key: &str| config["services"][name][key].as_array().cloned();
            let ports = list("ports").expect("ports");
            assert!(!ports.is_empty(), "{name}");
            for port in ports {
                assert_eq!(listens(&port), "127.0.0.1", "{name}: {port}: none of them has a login");
            }
            for volume in list("volumes").unwrap_or_default() {
                let (source, read_only) = mount(&volume);
                assert!(Path::new(source).exists(), "{name}: {volume}: nothing to mount");
                assert!(read_only, "{name}: {volume}");
                mounted.push(source.to_owned());
            }
        }
        let configurations = root().join("observability");
        assert!(mounted.iter().all(|source| Path::new(source).starts_with(&configurations)));
        assert_eq!(mounted.len(), 5, "{mounted:?}");
    }
}

/// The address that a port is published on. Compose 1.29 writes a port as `127.0.0.1:9090:9090/tcp`.
fn listens(port: &Value) -> &str {
    match port.as_str() {
        Some(text) => text.split(':').next().expect("a first part"),
        None => port["host_ip"].as_str().unwrap_or_default(),
    }
}

fn endpoint(config: &Value, service: &str) -> Value {
    config["services"][service]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"].clone()
}
