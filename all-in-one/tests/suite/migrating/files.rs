//! What the files say with which the suite is deployed.

use std::path::Path;

use super::{MIGRATING, Rows};

const DOCKERFILE: &str = include_str!("../../../../Dockerfile");
const COMPOSE: &str = include_str!("../../../../docker-compose.yml");
const INGRESS: &str = include_str!("../../../../k8s/base/ingress.yml");
const WORKLOADS: [(&str, &str); 4] = [
    ("emoji-svc", include_str!("../../../../k8s/base/emoji.yml")),
    ("voting-svc", include_str!("../../../../k8s/base/voting.yml")),
    ("web-svc", include_str!("../../../../k8s/base/web.yml")),
    ("vote-bot", include_str!("../../../../k8s/base/vote-bot.yml")),
];

/// How often something stands in a text.
fn count(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

pub(super) fn images(rows: &mut Rows) {
    rows.row("names");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(count(COMPOSE, &format!(":${{EMOJIVOTO_TAG:-{version}}}")), 4);
    assert!(MIGRATING.contains(&format!(
        "| `emojivoto-web:{version}`, …, with a prefix where they are published |"
    )));
    rows.row("inside");
    assert!(DOCKERFILE.contains("\nFROM scratch AS service\n"));
    rows.row("user");
    assert!(DOCKERFILE.contains("\nUSER 65532:65532\n"));
    rows.row("entry point");
    assert_eq!(count(DOCKERFILE, "\nENTRYPOINT [\"emojivoto-"), 4);
    rows.row("health checks");
    assert_eq!(count(DOCKERFILE, "\nHEALTHCHECK "), 4);
    rows.row("the bot");
    assert!(DOCKERFILE.contains("\nFROM service AS vote-bot\n"));
    assert!(DOCKERFILE.contains(" /out/web/usr/local/bin/emojivoto-vote-bot\n"));
}

pub(super) fn manifests(rows: &mut Rows) {
    for (row, parts) in [
        ("selectors of Deployments", &["    matchLabels:\n      app: APP\n  template:\n"][..]),
        ("label `version`", &[concat!("        version: ", env!("CARGO_PKG_VERSION"), "\n")]),
        ("probes", &["startupProbe:", "livenessProbe:", "readinessProbe:"]),
        ("resources", &["cpu: 5m\n", "memory: 16Mi\n", "memory: 64Mi\n"]),
        ("security context", &["runAsNonRoot: true\n", "readOnlyRootFilesystem: true\n"]),
        ("token of the ServiceAccount", &["automountServiceAccountToken: false\n"]),
        ("port `prom`", &["- name: prom\n              containerPort: 8801\n"]),
    ] {
        rows.row(row);
        for (app, manifest) in WORKLOADS {
            for part in parts.iter().map(|part| part.replace("APP", app)) {
                assert_eq!(count(manifest, &part), 1, "{app}: {part}");
            }
        }
    }
    rows.row("`appProtocol` of Services");
    for (app, manifest) in WORKLOADS {
        let ports = count(manifest, " targetPort: ");
        assert_eq!(count(manifest, " appProtocol: "), ports, "{app}");
    }
    rows.row("the end of a pod");
    for (app, manifest) in WORKLOADS {
        // The bot serves nobody.
        let serves = usize::from(app != "vote-bot");
        let delay = "name: SHUTDOWN_DELAY\n              value: 5s\n";
        assert_eq!(count(manifest, delay), serves, "{app}");
    }
    rows.row("Ingress");
    assert!(
        INGRESS.contains("    - http:\n        paths:\n          - path: /\n"),
        "of every host"
    );
    rows.row("variants");
    rows.row("a collector");
    rows.row("votes that outlive a pod, several voting pods");
    for folder in [
        "variants/daemonset",
        "variants/statefulset",
        "components/tracing",
        "variants/durable-votes",
        "variants/redis-votes",
    ] {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../k8s")).join(folder);
        assert!(folder.join("kustomization.yaml").exists(), "{}", folder.display());
    }
    rows.row("hosts");
    for (app, manifest) in WORKLOADS {
        assert_eq!(count(manifest, ".emojivoto"), 0, "{app}");
    }
}

pub(super) fn compose(rows: &mut Rows) {
    rows.row("web's port");
    assert!(COMPOSE.contains("\n    ports: [\"8081:8080\", \"127.0.0.1:8801:8801\"] "));
    rows.row("web's [live page](observability.md#in-the-browser)");
    rows.row("ports of emoji-svc, voting-svc");
    assert_eq!(count(COMPOSE, "ports:"), 1);
    rows.row("votes");
    assert!(COMPOSE.contains("VOTES_STORE: file:/data/votes.redb "));
    assert!(COMPOSE.contains("\n    volumes: [\"votes:/data\"]"));
}
