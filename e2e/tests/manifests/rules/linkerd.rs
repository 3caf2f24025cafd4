//! What Linkerd takes, where its schemas have any text.

use std::collections::BTreeSet;

use super::{
    Bad, LINKERD, RENDERED, Rule, Suite, at, group, grouped, is_route, kind, list, name, number,
    ports, what,
};
use serde_json::Value;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "one Server for a port",
        check: overlaps,
        refuses: &[Bad {
            manifests: "
apiVersion: policy.linkerd.io/v1beta3
kind: Server
metadata: {name: emoji-grpc}
spec: {podSelector: {matchLabels: {app: emoji-svc}}, port: grpc, proxyProtocol: gRPC, accessPolicy: all-unauthenticated}
---
apiVersion: policy.linkerd.io/v1beta3
kind: Server
metadata: {name: grpc}
spec:
  podSelector: {matchExpressions: [{key: app, operator: In, values: [emoji-svc, voting-svc]}]}
  port: 8080
  proxyProtocol: gRPC
  accessPolicy: all-unauthenticated",
            says: "Server emoji-grpc, Server grpc are for port 8080 of emoji",
        }],
    },
    Rule {
        name: "proxyProtocol",
        check: protocols,
        refuses: &[
            Bad {
                manifests: "
apiVersion: policy.linkerd.io/v1beta3
kind: Server
metadata: {name: voting-grpc}
spec: {podSelector: {matchLabels: {app: voting-svc}}, port: grpc, proxyProtocol: grpc, accessPolicy: all-unauthenticated}",
                says: "Server voting-grpc: \"grpc\" is not what port grpc speaks",
            },
            Bad {
                manifests: "
apiVersion: policy.linkerd.io/v1beta3
kind: Server
metadata: {name: voting-grpc}
spec: {podSelector: {matchLabels: {app: voting-svc}}, port: 8080, proxyProtocol: HTTP/1, accessPolicy: all-unauthenticated}",
                says: "Server voting-grpc: \"HTTP/1\" is not what port grpc speaks",
            },
            Bad {
                manifests: "
apiVersion: policy.linkerd.io/v1beta3
kind: Server
metadata: {name: voting-grpc}
spec: {podSelector: {matchLabels: {app: voting-svc}}, port: grpc, proxyProtocol: HTTP/2, accessPolicy: all-unauthenticated}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: votes}
spec:
  parentRefs: [{group: policy.linkerd.io, kind: Server, name: voting-grpc}]
  rules: [{backendRefs: [{name: voting-svc, port: 8080}]}]",
                says: "GRPCRoute votes hangs on Server voting-grpc, which is not gRPC",
            },
        ],
    },
    Rule {
        name: "authentications",
        check: authentications,
        refuses: &[Bad {
            manifests: "
apiVersion: v1
kind: ServiceAccount
metadata: {name: vote-bot}
---
apiVersion: policy.linkerd.io/v1alpha1
kind: AuthorizationPolicy
metadata: {name: all}
spec:
  targetRef: {kind: Namespace, name: emojivoto}
  requiredAuthenticationRefs:
    - {kind: ServiceAccount, name: web}
    - {kind: ServiceAccount, name: vote-bot}",
            says: "AuthorizationPolicy all requires 2 identities at once",
        }],
    },
    Rule {
        name: "rate limits",
        check: rate_limits,
        refuses: &[
            Bad {
                manifests: "
apiVersion: policy.linkerd.io/v1beta3
kind: Server
metadata: {name: voting-grpc}
spec: {podSelector: {matchLabels: {app: voting-svc}}, port: grpc, proxyProtocol: gRPC, accessPolicy: all-unauthenticated}
---
apiVersion: policy.linkerd.io/v1alpha1
kind: HTTPLocalRateLimitPolicy
metadata: {name: votes}
spec:
  targetRef: {group: policy.linkerd.io, kind: Server, name: voting-grpc}
  total: {requestsPerSecond: 100}",
                says: "HTTPLocalRateLimitPolicy votes limits nothing: Server voting-grpc is gRPC",
            },
            Bad {
                manifests: "
apiVersion: policy.linkerd.io/v1beta3
kind: Server
metadata: {name: web-http}
spec: {podSelector: {matchLabels: {app: web-svc}}, port: http, proxyProtocol: HTTP/1, accessPolicy: all-unauthenticated}
---
apiVersion: policy.linkerd.io/v1alpha1
kind: HTTPLocalRateLimitPolicy
metadata: {name: all}
spec:
  targetRef: {group: policy.linkerd.io, kind: Server, name: web-http}
  total: {requestsPerSecond: 100}
---
apiVersion: policy.linkerd.io/v1alpha1
kind: HTTPLocalRateLimitPolicy
metadata: {name: web}
spec:
  targetRef: {group: policy.linkerd.io, kind: Server, name: web-http}
  identity: {requestsPerSecond: 10}",
                says: "Server web-http has the limits of HTTPLocalRateLimitPolicy all, HTTPLocalRateLimitPolicy web",
            },
        ],
    },
    Rule {
        name: "annotations of Linkerd",
        check: annotations,
        refuses: &[
            Bad {
                manifests: "
apiVersion: v1
kind: Service
metadata: {name: emoji-svc, annotations: {retry.linkerd.io/grpc: 'unavailable,unknown'}}",
                says: "Service emoji-svc: retry.linkerd.io/grpc: unavailable,unknown",
            },
            Bad {
                manifests: "
apiVersion: v1
kind: Service
metadata: {name: emoji-svc, annotations: {retry.linkerd.io/http: 50x}}",
                says: "Service emoji-svc: retry.linkerd.io/http: 50x",
            },
            Bad {
                manifests: "
apiVersion: v1
kind: Service
metadata: {name: emoji-svc, annotations: {retry.linkerd.io/limit: two}}",
                says: "Service emoji-svc: retry.linkerd.io/limit: two",
            },
            Bad {
                manifests: "
apiVersion: v1
kind: Service
metadata: {name: emoji-svc, annotations: {timeout.linkerd.io/request: '10'}}",
                says: "Service emoji-svc: timeout.linkerd.io/request: 10",
            },
            Bad {
                manifests: "
apiVersion: v1
kind: Service
metadata: {name: voting-svc, annotations: {balancer.linkerd.io/failure-accrual: consecutive-failures}}",
                says: "Service voting-svc: balancer.linkerd.io/failure-accrual: consecutive-failures",
            },
            Bad {
                manifests: "
apiVersion: v1
kind: Service
metadata: {name: voting-svc, annotations: {balancer.linkerd.io/failure-accrual-max-failures: '7'}}",
                says: "Service voting-svc: balancer.linkerd.io/failure-accrual-max-failures: 7",
            },
            Bad {
                manifests: "
apiVersion: v1
kind: Namespace
metadata: {name: emojivoto, annotations: {config.linkerd.io/access-log: text}}",
                says: "Namespace emojivoto: config.linkerd.io/access-log: text",
            },
            Bad {
                manifests: "
apiVersion: v1
kind: Namespace
metadata: {name: emojivoto, annotations: {retry.linkerd.io/limit: '2'}}",
                says: "Namespace emojivoto: retry.linkerd.io/limit is of a Service or a route",
            },
        ],
    },
    Rule {
        name: "votes retried by Linkerd",
        check: votes_retried,
        refuses: &[
            Bad {
                manifests: "
apiVersion: v1
kind: Service
metadata: {name: voting-svc, annotations: {retry.linkerd.io/grpc: unavailable}}",
                says: "Service voting-svc sends votes again",
            },
            Bad {
                manifests: r#"
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: api-vote, annotations: {retry.linkerd.io/http: gateway-error}}
spec:
  parentRefs: [{group: "", kind: Service, name: web-svc, port: 80}]
  rules:
    - matches: [{path: {type: Exact, value: /api/vote}}]
      backendRefs: [{name: web-svc, port: 80}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web-others}
spec:
  parentRefs: [{group: "", kind: Service, name: web-svc, port: 80}]
  rules: [{backendRefs: [{name: web-svc, port: 80}]}]"#,
                says: "HTTPRoute api-vote sends votes again",
            },
        ],
    },
    Rule {
        name: "by Service",
        check: by_service,
        refuses: &[Bad {
            manifests: "
apiVersion: v1
kind: Namespace
metadata: {name: emojivoto, annotations: {linkerd.io/inject: enabled}}
---
apiVersion: v1
kind: Service
metadata: {name: voting-svc}
spec: {clusterIP: None}",
            says: "voting-svc has no address of its own, so a mesh finds neither routes nor policies for it",
        }],
    },
];

fn overlaps(suite: &Suite) -> Vec<String> {
    let servers = suite.all(LINKERD, "Server").flat_map(|server| {
        let workloads = suite.selected(at(server, "/spec/podSelector"));
        let numbered = workloads.into_iter().filter_map(|workload| {
            Some((name(workload), number(workload, at(server, "/spec/port"))?))
        });
        numbered.map(|port| (port, what(server))).collect::<Vec<_>>()
    });
    let several = grouped(servers).into_iter().filter(|(_, servers)| servers.len() > 1);
    several
        .map(|((pods, port), servers)| {
            format!("{} are for port {port} of {pods}", servers.join(", "))
        })
        .collect()
}

/// What each port of the suite speaks, by its name.
const SPOKEN: [(&str, &[&str]); 4] = [
    ("grpc", &["gRPC", "HTTP/2", "unknown"]),
    ("http", &["HTTP/1", "unknown"]),
    ("prom", &["HTTP/1", "unknown"]),
    ("redis", &["opaque", "unknown"]),
];

fn protocols(suite: &Suite) -> Vec<String> {
    let mut found = BTreeSet::new();
    for server in suite.all(LINKERD, "Server") {
        let protocol = at(server, "/spec/proxyProtocol");
        for workload in suite.selected(at(server, "/spec/podSelector")) {
            let number = number(workload, at(server, "/spec/port"));
            let called = ports(workload).into_iter().find(|(_, port)| Some(*port) == number);
            let spoken =
                SPOKEN.iter().find(|(of, _)| called.is_some_and(|(called, _)| called == *of));
            if let Some((port, spoken)) = spoken
                && !protocol.is_null()
                && !spoken.iter().any(|spoken| protocol == spoken)
            {
                let server = what(server);
                found.insert(format!("{server}: {protocol} is not what port {port} speaks"));
            }
        }
        for route in suite.0.iter().filter(|o| is_route(o) && kind(o) == "GRPCRoute") {
            let mut parents = list(at(route, "/spec/parentRefs")).iter();
            let hangs = parents.any(|of| kind(of) == "Server" && of["name"] == name(server));
            if hangs && protocol != "gRPC" {
                found.insert(format!(
                    "{} hangs on {}, which is not gRPC",
                    what(route),
                    what(server)
                ));
            }
        }
    }
    found.into_iter().collect()
}

fn authentications(suite: &Suite) -> Vec<String> {
    let mut found = Vec::new();
    for policy in suite.all(LINKERD, "AuthorizationPolicy") {
        let references = list(at(policy, "/spec/requiredAuthenticationRefs"));
        let networks = references.iter().filter(|of| kind(of) == "NetworkAuthentication").count();
        let identities = references.len() - networks;
        for (number, of) in [(networks, "networks"), (identities, "identities")] {
            if number > 1 {
                found.push(format!("{} requires {number} {of} at once", what(policy)));
            }
        }
    }
    found
}

fn rate_limits(suite: &Suite) -> Vec<String> {
    let mut found = Vec::new();
    let mut pairs = Vec::new();
    for policy in suite.all(LINKERD, "HTTPLocalRateLimitPolicy") {
        let called = at(policy, "/spec/targetRef/name").as_str().unwrap_or_default();
        let server = suite.find(LINKERD, "Server", called).unwrap_or(&Value::Null);
        if at(server, "/spec/proxyProtocol") == "gRPC" {
            found.push(format!("{} limits nothing: Server {called} is gRPC", what(policy)));
        }
        pairs.push((called, what(policy)));
    }
    let several = grouped(pairs).into_iter().filter(|(_, policies)| policies.len() > 1);
    found.extend(several.map(|(server, policies)| {
        format!("Server {server} has the limits of {}", policies.join(", "))
    }));
    found
}

/// As the policy controller reads it: a number and a unit; nothing but zero goes without.
fn duration(value: &str) -> bool {
    let end = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let (number, unit) = value.split_at(end);
    let number = number.parse::<u64>();
    ["ms", "s", "m", "h", "d"].contains(&unit) && number.is_ok()
        || unit.is_empty() && number == Ok(0)
}

fn one_of(value: &str, known: &[&str]) -> bool {
    known.contains(&value)
}

fn ratio(value: &str, most: f32) -> bool {
    value.parse::<f32>().is_ok_and(|value| (0.0..=most).contains(&value))
}

fn http_condition(condition: &str) -> bool {
    let code = |code: &str| code.parse::<u16>().is_ok_and(|code| (100..600).contains(&code));
    ["5xx", "gateway-error"].contains(&condition)
        || code(condition)
        || condition
            .split_once('-')
            .is_some_and(|(low, high)| code(low) && code(high) && low <= high)
}

fn grpc_condition(condition: &str) -> bool {
    let known = ["cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"];
    known.contains(&condition)
}

/// Whether an annotation of Linkerd's has a value that it takes. What it does not, it ignores without a word.
fn takes(key: &str, value: &str) -> bool {
    let access = [
        "deny",
        "audit",
        "all-authenticated",
        "all-unauthenticated",
        "cluster-authenticated",
        "cluster-unauthenticated",
    ];
    match key {
        "retry.linkerd.io/grpc" => value.split(',').all(grpc_condition),
        "retry.linkerd.io/http" => value.split(',').all(http_condition),
        "retry.linkerd.io/limit" => value.parse::<u16>().is_ok(),
        "retry.linkerd.io/timeout"
        | "timeout.linkerd.io/request"
        | "timeout.linkerd.io/response"
        | "timeout.linkerd.io/idle"
        | "balancer.linkerd.io/failure-accrual-consecutive-min-penalty"
        | "balancer.linkerd.io/failure-accrual-consecutive-max-penalty"
        | "balancer.alpha.linkerd.io/failure-accrual-success-rate-window" => duration(value),
        "balancer.linkerd.io/failure-accrual" => one_of(value, &["consecutive", "unified"]),
        "balancer.linkerd.io/failure-accrual-consecutive-max-failures"
        | "balancer.alpha.linkerd.io/failure-accrual-success-rate-min-requests" => {
            value.parse::<u32>().is_ok()
        }
        "balancer.linkerd.io/failure-accrual-consecutive-jitter-ratio" => ratio(value, 100.0),
        "balancer.alpha.linkerd.io/failure-accrual-success-rate-threshold" => ratio(value, 1.0),
        "linkerd.io/inject" => one_of(value, &["enabled", "disabled", "ingress"]),
        "config.linkerd.io/access-log" => one_of(value, &["apache", "json"]),
        "config.linkerd.io/default-inbound-policy" => one_of(value, &access),
        "config.linkerd.io/opaque-ports"
        | "config.linkerd.io/skip-inbound-ports"
        | "config.linkerd.io/skip-outbound-ports" => {
            value.split(',').all(|port| port.split('-').all(|port| port.parse::<u16>().is_ok()))
        }
        "config.linkerd.io/proxy-metrics-hostname-labels"
        | "config.linkerd.io/proxy-enable-native-sidecar" => one_of(value, &["true", "false"]),
        _ => false,
    }
}

fn annotations(suite: &Suite) -> Vec<String> {
    let mut found = Vec::new();
    for object in suite.0 {
        let own = at(object, "/metadata/annotations");
        let of_pods = at(object, "/spec/template/metadata/annotations");
        let all = [own, of_pods].into_iter().filter_map(Value::as_object).flatten();
        for (key, value) in all.filter(|(key, _)| key.contains("linkerd.io/")) {
            let value = value.as_str().unwrap_or_default();
            let of_traffic = ["retry.", "timeout.", "balancer."];
            if !takes(key, value) {
                found.push(format!("{}: {key}: {value}", what(object)));
            } else if of_traffic.iter().any(|of| key.starts_with(of))
                && !(is_route(object) || kind(object) == "Service" && group(object).is_empty())
            {
                found.push(format!("{}: {key} is of a Service or a route", what(object)));
            }
        }
    }
    found
}

/// Whether a request to a path that votes, without a name that makes it count once, is one of those that a rule is for.
fn takes_votes(rule: &Value) -> bool {
    let matches = list(&rule["matches"]);
    let named = |of: &Value| {
        let mut headers = list(&of["headers"]).iter().filter_map(|header| header["name"].as_str());
        headers.any(|header| header.eq_ignore_ascii_case("idempotency-key"))
    };
    let results = |of: &Value| of["method"]["method"] == "Results";
    let other = |of: &Value| {
        let value = at(of, "/path/value").as_str();
        value
            .is_some_and(|value| !["/api/vote", "/vote"].iter().any(|vote| vote.starts_with(value)))
    };
    matches.is_empty() || !matches.iter().all(|of| named(of) || results(of) || other(of))
}

/// web gives a vote to voting-svc, which may have counted one whose answer got lost.
fn votes_retried(suite: &Suite) -> Vec<String> {
    let takes = |service: &Value| ["web-svc", "voting-svc"].iter().any(|takes| service == takes);
    let mut found = Vec::new();
    for object in suite.0 {
        let annotations = at(object, "/metadata/annotations").as_object();
        let mut keys = annotations.into_iter().flatten().map(|(key, _)| key);
        let parents = list(at(object, "/spec/parentRefs"));
        let votes = if is_route(object) {
            parents.iter().any(|parent| takes(&parent["name"]))
                && list(at(object, "/spec/rules")).iter().any(takes_votes)
        } else {
            takes(at(object, "/metadata/name"))
        };
        if votes && keys.any(|key| key.starts_with("retry.linkerd.io/")) {
            found.push(format!("{} sends votes again", what(object)));
        }
    }
    found
}

fn by_service(suite: &Suite) -> Vec<String> {
    if suite.mesh().is_none() {
        return Vec::new();
    }
    let headless = suite
        .all("", "Service")
        .filter(|service| at(service, "/spec/clusterIP") == "None")
        .map(|service| {
            let what =
                "has no address of its own, so a mesh finds neither routes nor policies for it";
            format!("{} {what}", name(service))
        });
    headless.collect()
}

/// Where there are Servers at all, no port is forgotten: it would be as open as without them.
#[test]
fn every_port_of_the_suite_has_a_server() {
    let mut seen = 0;
    for (directory, objects) in &*RENDERED {
        let suite = Suite(objects);
        let servers: Vec<_> = suite.all(LINKERD, "Server").collect();
        if servers.is_empty() {
            continue;
        }
        for workload in suite.workloads().filter(|workload| name(workload) != "redis") {
            for (port, number_of) in ports(workload) {
                let of = servers.iter().filter(|server| {
                    let pods = suite.selected(at(server, "/spec/podSelector"));
                    pods.iter().any(|pod| name(pod) == name(workload))
                        && number(workload, at(server, "/spec/port")) == Some(number_of)
                });
                assert_eq!(of.count(), 1, "{directory:?}: {} {port}", name(workload));
            }
        }
        seen += 1;
    }
    assert!(seen > 3, "{seen}");
}
