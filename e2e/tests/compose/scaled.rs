//! `redis/compose.yml`, and the volume with votes that the suite has without it.

use serde_json::{Value, json};

use crate::config::{SUITE, composes, mount, names, pinned, sorted};
use emojivoto_e2e::release::SERVICES;

const SCALED: &[&str] = &["docker-compose.yml", "redis/compose.yml"];
const EVERY: &[&str] = &["docker-compose.yml", "observability/compose.yml", "redis/compose.yml"];

#[test]
fn the_suite_alone_keeps_its_votes_in_a_file_on_a_volume_with_a_name() {
    for compose in composes() {
        let config = compose.config(SUITE, None);
        let voting = &config["services"]["voting-svc"];
        assert_eq!(voting["environment"]["VOTES_STORE"], "file:/data/votes.redb");
        assert_eq!(volumes(voting), [("votes".to_owned(), "/data".to_owned())]);
        assert_eq!(names(&config["volumes"]), ["votes"]);
        let scale = &voting["scale"];
        assert!(scale.is_null() || scale == 1, "a file is open in one process");
    }
}

#[test]
fn the_other_file_adds_redis_and_three_count_there() {
    for compose in composes() {
        let config = compose.config(SCALED, None);
        let services = &config["services"];
        assert_eq!(names(services), sorted(SERVICES.into_iter().chain(["redis"])));
        let voting = &services["voting-svc"];
        assert_eq!(voting["scale"], 3);
        assert_eq!(voting["ports"], Value::Null, "three cannot publish one port");
        assert_eq!(voting["environment"]["VOTES_STORE"], "redis://redis:6379");
        assert_eq!(voting["depends_on"]["redis"]["condition"], "service_healthy");
        let web = &services["web"]["environment"];
        assert_eq!(web["VOTINGSVC_HOST"], "voting-svc:8080", "the name of all three");
        assert_eq!(web["GRPC_LB_POLICY"], "least_request");
    }
}

#[test]
fn with_redis_the_suite_is_otherwise_the_same() {
    for compose in composes() {
        let mut alone = compose.config(SUITE, None);
        let mut with = compose.config(SCALED, None);
        for config in [&mut alone, &mut with] {
            let services = &mut config["services"];
            services["web"]["environment"]["GRPC_LB_POLICY"] = Value::Null;
            let voting = &mut services["voting-svc"];
            voting["environment"]["VOTES_STORE"] = Value::Null;
            voting["scale"] = Value::Null;
            voting["depends_on"] = Value::Null;
        }
        for service in SERVICES {
            assert_eq!(with["services"][service], alone["services"][service], "{service}");
        }
    }
}

#[test]
fn redis_is_pinned_locked_down_and_keeps_what_it_has_answered() {
    for compose in composes() {
        let config = compose.config(SCALED, None);
        let redis = &config["services"]["redis"];
        pinned(redis["image"].as_str().unwrap_or_default());
        assert_eq!(redis["read_only"], true);
        assert_eq!(redis["cap_drop"], json!(["ALL"]));
        assert_eq!(redis["security_opt"], json!(["no-new-privileges:true"]));
        // The image would start as root, to give `/data` to this user.
        assert_eq!(redis["user"], "999:1000");
        assert_eq!(redis["ports"], Value::Null, "it asks nobody who he is");
        assert_eq!(volumes(redis), [("redis".to_owned(), "/data".to_owned())]);
        assert_eq!(names(&config["volumes"]), ["redis", "votes"]);
        // What it is told is the same as on Kubernetes, where the manifests' tests look at it.
        assert_eq!(redis["healthcheck"]["test"], json!(["CMD", "valkey-cli", "-e", "ping"]));
    }
}

#[test]
fn all_three_files_go_together() {
    for compose in composes() {
        let every = compose.config(EVERY, None);
        let scaled = compose.config(SCALED, None);
        for service in SERVICES {
            let endpoint =
                &every["services"][service]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"];
            assert_eq!(endpoint, "http://jaeger:4317", "{service}");
        }
        assert_eq!(every["services"]["redis"], scaled["services"]["redis"]);
        assert_eq!(every["services"]["voting-svc"]["scale"], 3);
    }
}

/// What is mounted where. Compose 1.29 writes a volume as `source:target:rw`.
fn volumes(service: &Value) -> Vec<(String, String)> {
    let volumes = service["volumes"].as_array().expect("volumes");
    let volume = |volume: &Value| {
        let (source, read_only) = mount(volume);
        assert!(!read_only, "{volume}");
        let target = match volume.as_str() {
            Some(text) => text.split(':').nth(1),
            None => volume["target"].as_str(),
        };
        (source.to_owned(), target.expect("a target").to_owned())
    };
    volumes.iter().map(volume).collect()
}
