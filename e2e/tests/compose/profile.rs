//! The profile `observability`, as far as it can be told without its images, which a test cannot pull.

use std::fs;
use std::process::Command;

use emojivoto_e2e::{root, run};
use serde_json::Value;

use crate::suite::{SERVICES, program};

const STACK: [&str; 3] = ["prometheus", "grafana", "jaeger"];

#[test]
fn the_profile_adds_a_stack_and_the_suite_exports_to_it() {
    let with = config(&["--profile", "observability"], None);
    for name in STACK {
        let service = &with["services"][name];
        assert_eq!(service["profiles"], serde_json::json!(["observability"]), "{name}");
        let image = service["image"].as_str().unwrap_or_default();
        let (_, tag) = image.split_once(':').unwrap_or_else(|| panic!("{name}: {image}: no tag"));
        let numbers: Vec<_> = tag.trim_start_matches('v').split('.').collect();
        assert!(
            numbers.len() == 3 && numbers.iter().all(|number| number.parse::<u16>().is_ok()),
            "{image} is not pinned"
        );
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]), "{name}");
        assert!(service["healthcheck"]["test"].is_array(), "{name}");
    }

    let endpoint = |config: &Value, service: &str| {
        config["services"][service]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"].clone()
    };
    let own = config(&[], Some("http://collector:4318"));
    let off = config(&[], Some(""));
    for service in SERVICES {
        assert_eq!(endpoint(&with, service), "http://jaeger:4317");
        assert_eq!(endpoint(&own, service), "http://collector:4318");
        assert_eq!(endpoint(&off, service), "");
        assert!(with["services"][service]["profiles"].is_null(), "{service} is always there");
    }
}

#[test]
fn the_stack_is_for_this_machine_and_cannot_change_its_configuration() {
    let text = fs::read_to_string(root().join("docker-compose.yml")).expect("it is readable");
    let compose: Value = serde_saphyr::from_str(&text).expect("it is YAML");
    for name in STACK {
        let list = |key: &str| {
            let list = compose["services"][name][key].as_array().into_iter().flatten();
            list.map(|item| item.as_str().expect("a text").to_owned()).collect::<Vec<_>>()
        };
        assert!(!list("ports").is_empty(), "{name}");
        for port in list("ports") {
            assert!(port.starts_with("127.0.0.1:"), "{name}: {port}: none of them has a login");
        }
        for volume in list("volumes") {
            let parts: Vec<_> = volume.split(':').collect();
            assert!(root().join(parts[0]).exists(), "{name}: {volume}: nothing to mount");
            assert_eq!(parts[2], "ro", "{name}: {volume}");
        }
    }
}

/// What Compose makes of the file.
fn config(arguments: &[&str], endpoint: Option<&str>) -> Value {
    let program = program();
    let mut command = Command::new(&program[0]);
    command.args(&program[1..]).arg("--file").arg(root().join("docker-compose.yml"));
    command.args(arguments).arg("config").env_remove("OTEL_EXPORTER_OTLP_ENDPOINT");
    command.envs(endpoint.map(|endpoint| ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)));
    let yaml = run(&mut command);
    serde_saphyr::from_str(&yaml).unwrap_or_else(|e| panic!("{e}\n{yaml}"))
}
