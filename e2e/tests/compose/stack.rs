//! `observability/compose.yml`, as far as it can be told without its images, which a test cannot pull.

use std::fs;
use std::process::{Command, Stdio};

use emojivoto_e2e::{root, wait};
use serde_json::Value;

use crate::suite::{SERVICES, program};

const SUITE: &str = "docker-compose.yml";
const FILE: &str = "observability/compose.yml";
const STACK: [&str; 3] = ["prometheus", "grafana", "jaeger"];

#[test]
fn the_second_file_adds_a_stack_and_the_suite_exports_to_it() {
    let own = Some("http://collector:4318");
    for with in [config(&[SUITE, FILE], None), config(&[SUITE, FILE], own)] {
        for name in STACK {
            is_pinned_and_locked_down(name, &with["services"][name]);
        }
        for service in SERVICES {
            assert_eq!(endpoint(&with, service), "http://jaeger:4317");
        }
    }
}

fn is_pinned_and_locked_down(name: &str, service: &Value) {
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

#[test]
fn the_suite_alone_exports_only_where_it_is_told_to() {
    let alone = config(&[SUITE], None);
    let mut services: Vec<_> = alone["services"].as_object().expect("services").keys().collect();
    services.sort();
    assert_eq!(services, ["emoji-svc", "vote-bot", "voting-svc", "web"]);

    let own = config(&[SUITE], Some("http://collector:4318"));
    for service in SERVICES {
        assert_eq!(endpoint(&alone, service), Value::Null, "{service}");
        assert_eq!(endpoint(&own, service), "http://collector:4318", "{service}");
    }
}

/// What is added to a service of the suite is where its traces go, and nothing else.
#[test]
fn the_suite_is_otherwise_the_same_with_the_stack() {
    let mut with = config(&[SUITE, FILE], None);
    let alone = config(&[SUITE], None);
    for service in SERVICES {
        let with = &mut with["services"][service];
        with["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"] = Value::Null;
        assert_eq!(*with, alone["services"][service], "{service}");
    }
}

#[test]
fn the_stack_is_for_this_machine_and_cannot_change_its_configuration() {
    let text = fs::read_to_string(root().join(FILE)).expect("it is readable");
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

fn endpoint(config: &Value, service: &str) -> Value {
    config["services"][service]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"].clone()
}

/// What Compose makes of these files, without a word of warning.
fn config(files: &[&str], endpoint: Option<&str>) -> Value {
    let program = program();
    let mut command = Command::new(&program[0]);
    command.args(&program[1..]).current_dir(root());
    command.args(files.iter().flat_map(|file| ["--file", file]));
    command.arg("config").env_remove("OTEL_EXPORTER_OTLP_ENDPOINT");
    command.envs(endpoint.map(|endpoint| ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
    let output = wait(child, &format!("{command:?}"));
    assert!(output.status.success() && output.stderr.is_empty(), "{command:?}: {output:?}");
    let yaml = String::from_utf8(output.stdout).expect("text");
    serde_saphyr::from_str(&yaml).unwrap_or_else(|e| panic!("{e}\n{yaml}"))
}
