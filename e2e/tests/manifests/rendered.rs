//! The kustomizations, rendered.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use emojivoto_e2e::manifests::{self, documents, own_kustomization, render};
use emojivoto_e2e::root;
use serde_json::Value;

/// Components together, as far as they go together, in kustomizations that somebody may have: a name, what of `k8s/` they
/// begin with, and components.
const COMBINED: [(&str, &str, &[&str]); 9] = [
    (
        "shared-votes",
        "base",
        &[
            "redis-votes",
            "client-balancing",
            "voting-autoscaler",
            "faults",
            "tracing",
            "prometheus",
        ],
    ),
    ("durable-votes", "base", &["prometheus", "tracing", "faults", "durable-votes"]),
    (
        "all-of-linkerd",
        "base",
        &[
            "linkerd",
            "linkerd-monitor",
            "linkerd-servers",
            "vote-bot-identity",
            "linkerd-policy",
            "linkerd-resilience",
            "routes-per-rpc",
            "redis-votes",
            "faults",
            "tracing",
            "prometheus-operator",
            "network-policy",
        ],
    ),
    (
        "all-of-istio",
        "base",
        &[
            "istio",
            "istio-faults",
            "vote-bot-identity",
            "istio-policy",
            "gateway",
            "redis-votes",
            "tracing",
            "prometheus",
            "network-policy",
        ],
    ),
    (
        "all-of-istio-ambient",
        "base",
        &[
            "canary",
            "faults",
            "istio-ambient",
            "istio-faults",
            "vote-bot-identity",
            "istio-ambient-policy",
            "redis-votes",
            "tracing",
            "prometheus",
            "network-policy",
        ],
    ),
    (
        "canary-of-linkerd",
        "base",
        &[
            "canary",
            "gateway",
            "linkerd",
            "linkerd-servers",
            "vote-bot-identity",
            "linkerd-policy",
            "routes-per-rpc",
            "durable-votes",
            "prometheus",
        ],
    ),
    (
        "daemonsets-of-linkerd",
        "variants/daemonset",
        &[
            "linkerd",
            "linkerd-servers",
            "vote-bot-identity",
            "linkerd-policy",
            "tracing",
            "network-policy",
        ],
    ),
    (
        "statefulsets-of-istio",
        "variants/statefulset",
        &["istio", "vote-bot-identity", "istio-policy", "prometheus", "network-policy"],
    ),
    (
        "job-of-linkerd",
        "variants/vote-bot-job",
        &["linkerd", "vote-bot-identity", "routes-per-rpc"],
    ),
];

static WRITTEN: LazyLock<Vec<PathBuf>> = LazyLock::new(|| {
    let own = |(name, beginning, components): &(&str, &str, &[&str])| {
        own_kustomization(&temporary(name), "", &root().join("k8s").join(beginning), components)
    };
    COMBINED.iter().map(own).collect()
});

/// The names of the components that are used in one of these.
pub(super) fn combined() -> BTreeSet<&'static str> {
    COMBINED.iter().flat_map(|(.., components)| components.iter().copied()).collect()
}

/// Every directory below `k8s/` that can be built, and some more.
pub(super) fn kustomizations() -> Vec<PathBuf> {
    let mut found = manifests::kustomizations();
    found.extend(WRITTEN.clone());
    found
}

/// What they all render, for it is asked often.
pub(super) static RENDERED: LazyLock<Vec<(PathBuf, Vec<Value>)>> = LazyLock::new(|| {
    let rendered = |directory: PathBuf| {
        let documents = documents(&render(&directory));
        (directory, documents)
    };
    kustomizations().into_iter().map(rendered).collect()
});

/// A folder to write to, outside of the repository.
pub(super) fn temporary(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}
