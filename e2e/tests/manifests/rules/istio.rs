//! What Istio does by itself, or does not do, and no schema tells.

use super::{
    Bad, ISTIO_NETWORKING, ISTIO_SECURITY, ISTIO_TELEMETRY, Mesh, Rule, Suite, at, group, grouped,
    kind, list, name, what,
};
use serde_json::Value;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "votes retried by Istio",
        check: votes_retried,
        refuses: &[
            Bad {
                manifests: "
apiVersion: v1
kind: Namespace
metadata: {name: emojivoto, labels: {istio-injection: enabled}}",
                says: "voting-svc has no VirtualService, so Istio sends votes again",
            },
            Bad {
                manifests: "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: voting}
spec:
  hosts: [voting-svc]
  http:
    - match: [{uri: {exact: /emojivoto.v1.VotingService/VoteJoy}}]
      retries: {attempts: 0}
      route: [{destination: {host: voting-svc}}]
    - route: [{destination: {host: voting-svc}}]",
                says: "VirtualService voting sends votes again",
            },
        ],
    },
    Rule {
        name: "order of a VirtualService",
        check: order,
        refuses: &[
            Bad {
                manifests: "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: emoji}
spec:
  hosts: [emoji-svc]
  http:
    - match: [{uri: {exact: /emojivoto.v1.EmojiService/ListAll}}]
      route: [{destination: {host: emoji-svc}}]",
                says: "VirtualService emoji refuses what none of its routes matches",
            },
            Bad {
                manifests: "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: emoji}
spec:
  hosts: [emoji-svc]
  http:
    - route: [{destination: {host: emoji-svc}}]
    - match: [{uri: {exact: /emojivoto.v1.EmojiService/ListAll}}]
      fault: {abort: {grpcStatus: UNAVAILABLE, percentage: {value: 100}}}
      route: [{destination: {host: emoji-svc}}]",
                says: "VirtualService emoji has a route after the one that takes everything",
            },
        ],
    },
    Rule {
        name: "faults",
        check: faults,
        refuses: &[
            Bad {
                manifests: "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: emoji}
spec:
  hosts: [emoji-svc]
  http:
    - fault: {abort: {grpcStatus: unavailable, percentage: {value: 100}}}
      route: [{destination: {host: emoji-svc}}]",
                says: "VirtualService emoji: gRPC has no status \"unavailable\"",
            },
            Bad {
                manifests: "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: emoji}
spec:
  hosts: [emoji-svc]
  http:
    - fault: {delay: {fixedDelay: 10s}}
      route: [{destination: {host: emoji-svc}}]",
                says: "VirtualService emoji: a fault of no percentage never happens",
            },
        ],
    },
    Rule {
        name: "ports of mutual TLS",
        check: peers,
        refuses: &[
            Bad {
                manifests: "
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: PERMISSIVE}, portLevelMtls: {8801: {mode: PERMISSIVE}}}",
                says: "PeerAuthentication default: a port is that of a selected workload",
            },
            Bad {
                manifests: "
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: emoji}
spec: {selector: {matchLabels: {app: emoji-svc}}, portLevelMtls: {8801: {mode: PERMISSIVE}}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: emoji-svc}
spec: {selector: {matchLabels: {app: emoji-svc}}, mtls: {mode: PERMISSIVE}}",
                says: "PeerAuthentication emoji, PeerAuthentication emoji-svc are for emoji: the older counts",
            },
        ],
    },
    Rule {
        name: "ambient",
        check: ambient,
        refuses: &[
            Bad {
                manifests: "
apiVersion: v1
kind: Namespace
metadata: {name: emojivoto, labels: {istio.io/dataplane-mode: ambient}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: voting}
spec:
  hosts: [voting-svc]
  http: [{retries: {attempts: 0}, route: [{destination: {host: voting-svc}}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web-svc}}
  action: DENY
  rules: [{to: [{operation: {paths: [/api/vote]}}]}]",
                says: "AuthorizationPolicy web speaks of HTTP to a ztunnel",
            },
            Bad {
                manifests: "
apiVersion: v1
kind: Namespace
metadata: {name: emojivoto, labels: {istio.io/dataplane-mode: ambient}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: voting}
spec:
  hosts: [voting-svc]
  http: [{retries: {attempts: 0}, route: [{destination: {host: voting-svc}}]}]
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: rpc}
spec: {selector: {matchLabels: {app: voting-svc}}}",
                says: "Telemetry rpc speaks of HTTP to a ztunnel",
            },
            Bad {
                manifests: "
apiVersion: v1
kind: Namespace
metadata: {name: emojivoto, labels: {istio-injection: enabled, istio.io/dataplane-mode: ambient}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: voting}
spec:
  hosts: [voting-svc]
  http: [{retries: {attempts: 0}, route: [{destination: {host: voting-svc}}]}]",
                says: "Namespace emojivoto is in two meshes",
            },
        ],
    },
    Rule {
        name: "tags",
        check: tags,
        refuses: &[
            Bad {
                manifests: "
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: rpc}
spec: {metrics: [{overrides: [{tagOverrides: {request-operation: {value: request.url_path}}}]}]}",
                says: "Telemetry rpc: no label of Prometheus can be called request-operation",
            },
            Bad {
                manifests: "
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: rpc}
spec: {metrics: [{overrides: [{tagOverrides: {request_operation: {value: request.operation}}}]}]}",
                says: "Telemetry rpc: a request has no request.operation",
            },
            Bad {
                manifests: "
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: rpc}
spec: {metrics: [{overrides: [{tagOverrides: {response_code: {value: request.url_path}}}]}]}",
                says: "Telemetry rpc: response_code is a label of Istio's own",
            },
        ],
    },
];

fn of_host<'a>(suite: &'a Suite, host: &str) -> impl Iterator<Item = &'a Value> {
    suite.all(ISTIO_NETWORKING, "VirtualService").filter(move |object| {
        let mut hosts = list(at(object, "/spec/hosts")).iter().filter_map(Value::as_str);
        hosts.any(|of| suite.service(of).is_some_and(|service| name(service) == host))
    })
}

/// Istio tries each request up to three times, unless it is told not to.
fn votes_retried(suite: &Suite) -> Vec<String> {
    let mut found = Vec::new();
    let in_istio = matches!(suite.mesh(), Some(Mesh::IstioSidecar | Mesh::IstioAmbient));
    if in_istio && of_host(suite, "voting-svc").next().is_none() {
        found.push("voting-svc has no VirtualService, so Istio sends votes again".to_owned());
    }
    for object in of_host(suite, "voting-svc") {
        let mut routes = list(at(object, "/spec/http")).iter();
        if routes.any(|route| route["retries"]["attempts"] != 0) {
            found.push(format!("{} sends votes again", what(object)));
        }
    }
    found
}

/// Whether an HTTP route takes every request, to a port at least.
fn takes_all(route: &Value) -> bool {
    let matches = list(&route["match"]);
    let of_port = |of: &Value| of.as_object().is_some_and(|of| of.keys().all(|key| key == "port"));
    matches.is_empty() || matches.iter().any(of_port)
}

fn order(suite: &Suite) -> Vec<String> {
    let mut found = Vec::new();
    for object in suite.all(ISTIO_NETWORKING, "VirtualService") {
        let Some((last, others)) = list(at(object, "/spec/http")).split_last() else { continue };
        if others.iter().any(takes_all) {
            found.push(format!("{} has a route after the one that takes everything", what(object)));
        } else if !takes_all(last) {
            found.push(format!("{} refuses what none of its routes matches", what(object)));
        }
    }
    found
}

const STATUSES: [&str; 16] = [
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

fn faults(suite: &Suite) -> Vec<String> {
    let mut found = Vec::new();
    for object in suite.all(ISTIO_NETWORKING, "VirtualService") {
        for route in list(at(object, "/spec/http")) {
            let faults = ["abort", "delay"].map(|key| &route["fault"][key]);
            for fault in faults.into_iter().filter(|fault| !fault.is_null()) {
                let status = &fault["grpcStatus"];
                if !status.is_null() && !STATUSES.iter().any(|known| status == known) {
                    found.push(format!("{}: gRPC has no status {status}", what(object)));
                }
                if at(fault, "/percentage/value").as_f64() <= Some(0.0) {
                    found.push(format!("{}: a fault of no percentage never happens", what(object)));
                }
            }
        }
    }
    found
}

fn peers(suite: &Suite) -> Vec<String> {
    let mut found = Vec::new();
    let mut pairs = Vec::new();
    for object in suite.all(ISTIO_SECURITY, "PeerAuthentication") {
        let selector = at(object, "/spec/selector");
        if selector.is_null() {
            pairs.push(("all", what(object)));
            if !at(object, "/spec/portLevelMtls").is_null() {
                found.push(format!("{}: a port is that of a selected workload", what(object)));
            }
        } else {
            let workloads = suite.selected(selector).into_iter();
            pairs.extend(workloads.map(|workload| (name(workload), what(object))));
        }
    }
    let several = grouped(pairs).into_iter().filter(|(_, objects)| objects.len() > 1);
    found.extend(several.map(|(workload, objects)| {
        format!("{} are for {workload}: the older counts", objects.join(", "))
    }));
    found
}

/// A selector leads to the ztunnel, which knows connections; a `targetRef` to a waypoint, which knows requests.
fn ambient(suite: &Suite) -> Vec<String> {
    let mut found = Vec::new();
    let Some(namespace) = suite.all("", "Namespace").next() else { return found };
    let labels = at(namespace, "/metadata/labels");
    if labels["istio.io/dataplane-mode"] != "ambient" {
        return found;
    }
    if labels["istio-injection"] == "enabled" {
        found.push(format!("{} is in two meshes", what(namespace)));
    }
    let without = suite.0.iter().filter(|object| list(at(object, "/spec/targetRefs")).is_empty());
    for object in without {
        let of_requests = match (group(object), kind(object)) {
            (ISTIO_SECURITY, "AuthorizationPolicy") => {
                list(at(object, "/spec/rules")).iter().any(speaks_of_http)
            }
            (ISTIO_SECURITY, "RequestAuthentication") => true,
            (group, _) => group == ISTIO_TELEMETRY,
        };
        if of_requests {
            found.push(format!("{} speaks of HTTP to a ztunnel", what(object)));
        }
    }
    found
}

fn speaks_of_http(rule: &Value) -> bool {
    let operations = list(&rule["to"]).iter().map(|to| &to["operation"]);
    let keys = ["hosts", "methods", "paths"]
        .map(|key| [key.to_owned(), format!("not{}{}", key[..1].to_uppercase(), &key[1..])]);
    let mut keys_of =
        operations.filter_map(Value::as_object).flat_map(|operation| operation.keys());
    let conditions = list(&rule["when"]).iter().filter_map(|when| when["key"].as_str());
    keys_of.any(|key| keys.as_flattened().contains(key))
        || conditions.into_iter().any(|key| key.starts_with("request."))
}

/// Of the attributes of a request, those whose values are few.
const ATTRIBUTES: [&str; 6] = [
    "request.host",
    "request.method",
    "request.protocol",
    "request.scheme",
    "request.url_path",
    "response.code",
];

/// The beginnings of the labels that Istio's metrics have by themselves.
const OWN: [&str; 6] = [
    "source_",
    "destination_",
    "response_",
    "grpc_response_status",
    "request_protocol",
    "reporter",
];

fn tags(suite: &Suite) -> Vec<String> {
    let mut found = Vec::new();
    for object in suite.all(ISTIO_TELEMETRY, "Telemetry") {
        let mut complain = |violation: String| found.push(format!("{}: {violation}", what(object)));
        let metrics = list(at(object, "/spec/metrics")).iter();
        let overrides = metrics.flat_map(|metric| list(&metric["overrides"]));
        let tags = overrides.filter_map(|of| of["tagOverrides"].as_object()).flatten();
        for (tag, how) in tags.filter(|(_, how)| how["operation"] != "REMOVE") {
            let value = how["value"].as_str().unwrap_or_default();
            if !tag.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
                complain(format!("no label of Prometheus can be called {tag}"));
            } else if OWN.iter().any(|own| tag.starts_with(own)) {
                complain(format!("{tag} is a label of Istio's own"));
            } else if !ATTRIBUTES.contains(&value) {
                complain(format!("a request has no {value}"));
            }
        }
    }
    found
}
