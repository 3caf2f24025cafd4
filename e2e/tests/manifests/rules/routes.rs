//! Routes of the Gateway API, and Istio's, take all that is sent, and take it where it was meant to go, in either mesh.

use std::collections::BTreeSet;

use emojivoto_e2e::manifests::read;

use super::{
    Bad, GATEWAY, ISTIO_NETWORKING, ISTIO_SECURITY, Rule, Suite, at, group, grouped, is_route,
    kind, list, name, root, rpcs, what,
};
use serde_json::{Value, json};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "catch-all",
        check: catch_all,
        refuses: &[Bad {
            manifests: r#"
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: vote-doughnut}
spec:
  parentRefs: [{group: "", kind: Service, name: voting-svc, port: 8080}]
  rules:
    - matches: [{method: {service: emojivoto.v1.VotingService, method: VoteDoughnut}}]
      backendRefs: [{name: voting-svc, port: 8080}]"#,
            says: "voting-svc refuses what no GRPCRoute matches",
        }],
    },
    Rule {
        name: "one kind of route",
        check: one_kind,
        refuses: &[
            Bad {
                manifests: r#"
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: others}
spec:
  parentRefs: [{group: "", kind: Service, name: voting-svc, port: 8080}]
  rules: [{backendRefs: [{name: voting-svc, port: 8080}]}]
---
apiVersion: linkerd.io/v1alpha2
kind: ServiceProfile
metadata: {name: voting-svc.emojivoto.svc.cluster.local}"#,
                says: "voting-svc has routes of GRPCRoute and ServiceProfile",
            },
            Bad {
                manifests: r#"
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: metrics}
spec:
  parentRefs: [{group: "", kind: Service, name: voting-svc, port: 8801}]
  rules: [{backendRefs: [{name: voting-svc, port: 8801}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: others}
spec:
  parentRefs: [{group: "", kind: Service, name: voting-svc, port: 8080}]
  rules: [{backendRefs: [{name: voting-svc, port: 8080}]}]"#,
                says: "voting-svc has routes of GRPCRoute and HTTPRoute",
            },
            Bad {
                manifests: r#"
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{group: "", kind: Service, name: web-svc, port: 80}]
  rules: [{backendRefs: [{name: web-svc, port: 80}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web-svc.emojivoto.svc.cluster.local]
  http: [{route: [{destination: {host: web-svc.emojivoto.svc.cluster.local}}]}]"#,
                says: "web-svc has routes of HTTPRoute and VirtualService",
            },
        ],
    },
    Rule {
        name: "backends",
        check: backends,
        refuses: &[Bad {
            manifests: r#"
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: others}
spec:
  parentRefs: [{group: "", kind: Service, name: voting-svc, port: 8080}]
  rules: [{}]"#,
            says: "GRPCRoute others: a rule has no backendRefs, which Istio answers with an error",
        }],
    },
    Rule {
        name: "matches",
        check: matches,
        refuses: &[Bad {
            manifests: r#"
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: others}
spec:
  parentRefs: [{group: "", kind: Service, name: voting-svc, port: 8080}]
  rules: [{backendRefs: [{name: voting-svc, port: 8080}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: voting}
spec:
  parentRefs: [{group: "", kind: Service, name: voting-svc, port: 8080}]
  rules: [{backendRefs: [{name: voting-svc, port: 8080}]}]"#,
            says: "GRPCRoute others, GRPCRoute voting match the same of voting-svc",
        }],
    },
    Rule {
        name: "Gateway API 1.2",
        check: fields,
        refuses: &[
            Bad {
                manifests: r#"
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: others}
spec:
  parentRefs: [{group: "", kind: Service, name: voting-svc, port: 8080}]
  rules: [{name: others, backendRefs: [{name: voting-svc, port: 8080}]}]"#,
                says: "GRPCRoute others: `name` of a rule",
            },
            Bad {
                manifests: r#"
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{group: "", kind: Service, name: web-svc, port: 80}]
  rules: [{retry: {attempts: 2}, backendRefs: [{name: web-svc, port: 80}]}]"#,
                says: "HTTPRoute web: `retry` of a rule",
            },
            Bad {
                manifests: r#"
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: others}
spec:
  parentRefs: [{group: "", kind: Service, name: voting-svc, port: 8080}]
  rules:
    - backendRefs: [{name: voting-svc, port: 8080}]
    - matches: [{method: {type: RegularExpression, service: emojivoto.v1.VotingService, method: VoteDoughnut}}]
      backendRefs: [{name: voting-svc, port: 8080}]"#,
                says: "GRPCRoute others: Linkerd knows no RegularExpression of a method",
            },
            Bad {
                manifests: r#"
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{group: "", kind: Service, name: web-svc, port: 80}]
  rules:
    - filters: [{type: RequestMirror, requestMirror: {backendRef: {name: web-svc, port: 80}}}]
      backendRefs: [{name: web-svc, port: 80}]"#,
                says: "HTTPRoute web: Linkerd knows no \"RequestMirror\"",
            },
        ],
    },
    Rule {
        name: "protocols",
        check: protocols,
        refuses: &[
            Bad {
                manifests: r#"
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: voting}
spec:
  parentRefs: [{group: "", kind: Service, name: voting-svc, port: 8080}]
  rules: [{backendRefs: [{name: voting-svc, port: 8080}]}]"#,
                says: "HTTPRoute voting: port 8080 of voting-svc speaks \"kubernetes.io/h2c\"",
            },
            Bad {
                manifests: r#"
apiVersion: v1
kind: Service
metadata: {name: emoji-svc}
spec: {ports: [{name: grpc, port: 8080, targetPort: 8080, appProtocol: grpc}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: emoji-others}
spec:
  parentRefs: [{group: "", kind: Service, name: emoji-svc, port: 8080}]
  rules: [{backendRefs: [{name: emoji-svc, port: 8080}]}]"#,
                says: "GRPCRoute emoji-others: port 8080 of emoji-svc speaks \"grpc\"",
            },
        ],
    },
    Rule {
        name: "methods and paths",
        check: paths,
        refuses: &[
            Bad {
                manifests: r#"
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: others}
spec:
  parentRefs: [{group: "", kind: Service, name: voting-svc, port: 8080}]
  rules:
    - backendRefs: [{name: voting-svc, port: 8080}]
    - matches: [{method: {service: emojivoto.v1.VotingService, method: VoteDonut}}]
      backendRefs: [{name: voting-svc, port: 8080}]"#,
                says: "GRPCRoute others: /emojivoto.v1.VotingService/VoteDonut is not in proto/",
            },
            Bad {
                manifests: r#"
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{group: "", kind: Service, name: web-svc, port: 80}]
  rules:
    - backendRefs: [{name: web-svc, port: 80}]
    - matches: [{path: {type: Exact, value: /api/votes}}]
      backendRefs: [{name: web-svc, port: 80}]"#,
                says: "HTTPRoute web: web has no /api/votes",
            },
            Bad {
                manifests: "
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: voting}
spec:
  selector: {matchLabels: {app: voting-svc}}
  action: DENY
  rules: [{to: [{operation: {paths: [/emojivoto.VotingService/VoteDoughnut]}}]}]",
                says: "AuthorizationPolicy voting: /emojivoto.VotingService/VoteDoughnut is not in proto/",
            },
            Bad {
                manifests: "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: emoji}
spec:
  hosts: [emoji-svc.emojivoto.svc.cluster.local]
  http:
    - match: [{uri: {exact: /emojivoto.v1.EmojiService/List}}]
      route: [{destination: {host: emoji-svc.emojivoto.svc.cluster.local}}]
    - route: [{destination: {host: emoji-svc.emojivoto.svc.cluster.local}}]",
                says: "VirtualService emoji: /emojivoto.v1.EmojiService/List is not in proto/",
            },
        ],
    },
    Rule {
        name: "streams",
        check: streams,
        refuses: &[
            Bad {
                manifests: r#"
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{group: "", kind: Service, name: web-svc, port: 80}]
  rules:
    - matches: [{path: {type: Exact, value: /api/vote}}]
      backendRefs: [{name: web-svc, port: 80}]
    - timeouts: {request: 10s}
      backendRefs: [{name: web-svc, port: 80}]"#,
                says: "HTTPRoute web cuts /leaderboard/live",
            },
            Bad {
                manifests: r#"
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, annotations: {timeout.linkerd.io/request: 10s}}
spec:
  parentRefs: [{group: "", kind: Service, name: web-svc, port: 80}]
  rules: [{backendRefs: [{name: web-svc, port: 80}]}]"#,
                says: "HTTPRoute web cuts /leaderboard/live",
            },
            Bad {
                manifests: "
apiVersion: v1
kind: Service
metadata: {name: web-svc, annotations: {timeout.linkerd.io/response: 10s}}",
                says: "Service web-svc cuts /leaderboard/live",
            },
            Bad {
                manifests: "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web-svc.emojivoto.svc.cluster.local]
  http: [{timeout: 10s, route: [{destination: {host: web-svc.emojivoto.svc.cluster.local}}]}]",
                says: "VirtualService web cuts /leaderboard/live",
            },
        ],
    },
    Rule {
        name: "gateways",
        check: gateways,
        refuses: &[
            Bad {
                manifests: "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: emojivoto}
spec: {listeners: [{name: http, port: 80, protocol: HTTP}]}",
                says: "Gateway emojivoto has no class",
            },
            Bad {
                manifests: "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint}
spec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HTTP}]}",
                says: "Gateway waypoint is no waypoint",
            },
        ],
    },
];

/// Whether a rule of a route, or a match, takes everything.
fn takes_all(matched: &Value) -> bool {
    let every = json!([{"path": {"type": "PathPrefix", "value": "/"}}]);
    list(matched).is_empty() || *matched == every
}

fn catch_all(suite: &Suite) -> Vec<String> {
    let routes = suite.routes_of_services().into_iter();
    let groups =
        grouped(routes.map(|(route, service, port)| ((service, port, kind(route)), route)));
    let open = groups.into_iter().filter(|(_, routes)| {
        let mut rules = routes.iter().flat_map(|route| list(at(route, "/spec/rules")));
        !rules.any(|rule| takes_all(&rule["matches"]))
    });
    open.map(|((service, _, kind), _)| format!("{service} refuses what no {kind} matches"))
        .collect()
}

fn one_kind(suite: &Suite) -> Vec<String> {
    let routes = suite.routes_of_services().into_iter();
    let routes = routes.map(|(route, service, _)| (service.to_owned(), kind(route)));
    let profiles = suite.all("linkerd.io", "ServiceProfile").filter_map(|profile| {
        Some((name(suite.service(name(profile))?).to_owned(), "ServiceProfile"))
    });
    let virtuals = suite.all(ISTIO_NETWORKING, "VirtualService").flat_map(|object| {
        let hosts = list(at(object, "/spec/hosts")).iter().filter_map(Value::as_str);
        let services = hosts.filter_map(|host| suite.service(host));
        services.map(|service| (name(service).to_owned(), "VirtualService"))
    });
    let groups = grouped(routes.chain(profiles).chain(virtuals));
    let kinds = groups.into_iter().map(|(service, kinds)| (service, BTreeSet::from_iter(kinds)));
    let several = kinds.filter(|(_, kinds)| kinds.len() > 1);
    several
        .map(|(service, kinds)| {
            let kinds = kinds.into_iter().collect::<Vec<_>>().join(" and ");
            format!("{service} has routes of {kinds}, of which a mesh looks at one")
        })
        .collect()
}

fn backends(suite: &Suite) -> Vec<String> {
    let mut found = Vec::new();
    for route in suite.0.iter().filter(|object| is_route(object)) {
        for rule in list(at(route, "/spec/rules")) {
            let redirects =
                list(&rule["filters"]).iter().any(|filter| filter["type"] == "RequestRedirect");
            if !redirects && list(&rule["backendRefs"]).is_empty() {
                found.push(format!(
                    "{}: a rule has no backendRefs, which Istio answers with an error",
                    what(route)
                ));
            }
        }
    }
    found
}

/// Two routes that match the same are in force by age; nobody wants to look for that.
fn matches(suite: &Suite) -> Vec<String> {
    let mut pairs = Vec::new();
    for (route, service, port) in suite.routes_of_services() {
        for rule in list(at(route, "/spec/rules")) {
            let matches = list(&rule["matches"]).iter().map(Value::to_string);
            let all = takes_all(&rule["matches"]).then(|| "all".to_owned());
            let matches = if all.is_some() { Vec::new() } else { matches.collect() };
            pairs.extend(
                matches.into_iter().chain(all).map(|of| ((service, port, of), what(route))),
            );
        }
    }
    let several = grouped(pairs).into_iter().filter(|(_, routes)| routes.len() > 1);
    several
        .map(|((service, ..), routes)| format!("{} match the same of {service}", routes.join(", ")))
        .collect()
}

/// What Linkerd ignores a whole route for: a field that is newer than Gateway API 1.2, or that it does not implement.
fn fields(suite: &Suite) -> Vec<String> {
    let mut found = Vec::new();
    for route in suite.0.iter().filter(|object| is_route(object)) {
        let mut complain = |violation: String| found.push(format!("{}: {violation}", what(route)));
        let rules = list(at(route, "/spec/rules"));
        let most = if kind(route) == "GRPCRoute" { 8 } else { 64 };
        for rule in rules {
            for field in rule.as_object().into_iter().flatten() {
                let known = ["matches", "filters", "backendRefs", "timeouts"];
                if !known.contains(&field.0.as_str()) {
                    complain(format!("`{}` of a rule", field.0));
                }
            }
            let matches = list(&rule["matches"]);
            if rules.len() > 16 || matches.len() > most {
                complain(format!("{} rules, {} matches of one", rules.len(), matches.len()));
            }
            if matches.iter().any(|of| of["method"]["type"] == "RegularExpression") {
                complain("Linkerd knows no RegularExpression of a method".to_owned());
            }
            for filter in list(&rule["filters"]) {
                let known = ["RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect"];
                if !known.iter().any(|known| &filter["type"] == known) {
                    complain(format!("Linkerd knows no {}", filter["type"]));
                }
            }
        }
    }
    found
}

fn protocols(suite: &Suite) -> Vec<String> {
    let mut found = BTreeSet::new();
    for route in suite.0.iter().filter(|object| is_route(object)) {
        let rules = list(at(route, "/spec/rules")).iter();
        let backends = rules.flat_map(|rule| list(&rule["backendRefs"]));
        let parents = list(at(route, "/spec/parentRefs")).iter();
        for reference in backends.chain(parents.filter(|parent| kind(parent) == "Service")) {
            let called = reference["name"].as_str().unwrap_or_default();
            let service = suite.find("", "Service", called);
            let ports = service.map_or(&[][..], |service| list(at(service, "/spec/ports")));
            for port in ports.iter().filter(|port| port["port"] == reference["port"]) {
                let expected =
                    if kind(route) == "GRPCRoute" { "kubernetes.io/h2c" } else { "http" };
                if port["appProtocol"] != expected {
                    let (number, spoken) = (&port["port"], &port["appProtocol"]);
                    let route = what(route);
                    found.insert(format!("{route}: port {number} of {called} speaks {spoken}"));
                }
            }
        }
    }
    found.into_iter().collect()
}

/// What web answers, as its router has it, and its admin port.
fn web_paths() -> BTreeSet<String> {
    let router = read(&root().join("web/src/router.rs"));
    let of_router = router.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next());
    let paths: BTreeSet<_> =
        of_router.chain(["/live", "/ready", "/metrics"]).map(str::to_owned).collect();
    assert!(paths.contains(STREAM), "{paths:?}");
    paths
}

/// What is wrong with the name of a path, as a route or policy of web or of an RPC has it.
fn wrong(path: &str) -> Option<String> {
    if path.contains("/emojivoto.") {
        let known = rpcs().iter().any(|rpc| match path.strip_suffix('*') {
            Some(prefix) => rpc.starts_with(prefix),
            None => rpc == path || rpc.rsplit_once('/').is_some_and(|(service, _)| service == path),
        });
        return (!known).then(|| format!("{path} is not in proto/"));
    }
    // Those of gRPC itself.
    if path.starts_with("/grpc.") || path == "*" {
        return None;
    }
    let prefix = path.trim_end_matches('*').trim_end_matches('/');
    let within = |known: &String| {
        known.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    (!web_paths().iter().any(within)).then(|| format!("web has no {path}"))
}

fn paths(suite: &Suite) -> Vec<String> {
    let mut found = Vec::new();
    for object in suite.0 {
        let spec = at(object, "/spec");
        let mut named = Vec::new();
        let rules = || list(&spec["rules"]).iter();
        match (group(object), kind(object)) {
            (_, "GRPCRoute") if is_route(object) => {
                let matches = rules().flat_map(|rule| list(&rule["matches"]));
                for method in matches.filter_map(|of| of.get("method")) {
                    let (service, rpc) = (&method["service"], &method["method"]);
                    let service = service.as_str().unwrap_or_default();
                    let rpc = rpc.as_str().map(|rpc| format!("/{rpc}")).unwrap_or_default();
                    named.push(format!("/{service}{rpc}"));
                }
            }
            (_, "HTTPRoute") if is_route(object) => {
                let matches = rules().flat_map(|rule| list(&rule["matches"]));
                let paths = matches.filter_map(|of| at(of, "/path/value").as_str());
                named.extend(paths.map(str::to_owned));
            }
            (ISTIO_SECURITY, "AuthorizationPolicy") => {
                let operations = rules().flat_map(|rule| list(&rule["to"])).flat_map(|to| {
                    ["paths", "notPaths"].into_iter().flat_map(|of| list(&to["operation"][of]))
                });
                named.extend(operations.filter_map(Value::as_str).map(str::to_owned));
            }
            (ISTIO_NETWORKING, "VirtualService") => {
                let matches = list(&spec["http"]).iter().flat_map(|route| list(&route["match"]));
                let uris = matches.flat_map(|of| ["exact", "prefix"].map(|key| &of["uri"][key]));
                named.extend(uris.filter_map(Value::as_str).map(str::to_owned));
            }
            _ => (),
        }
        let wrong = named.iter().filter_map(|path| wrong(path));
        found.extend(wrong.map(|wrong| format!("{}: {wrong}", what(object))));
    }
    found
}

/// The leaderboard that goes on and on.
const STREAM: &str = "/leaderboard/live";

/// How well a match of an HTTPRoute fits the stream, if it does.
fn fits(of: &Value) -> Option<usize> {
    let plain = ["headers", "queryParams"].iter().all(|key| list(&of[*key]).is_empty());
    if !plain || !(of["method"].is_null() || of["method"] == "GET") {
        return None;
    }
    let value = at(of, "/path/value").as_str().unwrap_or("/");
    match at(of, "/path/type").as_str().unwrap_or("PathPrefix") {
        "Exact" => (value == STREAM).then_some(usize::MAX),
        "PathPrefix" => {
            let rest = STREAM.strip_prefix(value.trim_end_matches('/'))?;
            (rest.is_empty() || rest.starts_with('/')).then_some(value.len())
        }
        _ => Some(value.len()), // an expression may
    }
}

fn is_web(workloads: &[&Value]) -> bool {
    let container = |of: &Value| at(of, "/spec/template/spec/containers/0/name") == "web-svc";
    workloads.iter().any(|workload| container(workload))
}

/// Of these annotations both count until the end of the answer.
fn cut_by_annotation(object: &Value) -> bool {
    let annotations = at(object, "/metadata/annotations");
    ["request", "response"]
        .iter()
        .any(|of| !annotations[format!("timeout.linkerd.io/{of}")].is_null())
}

fn streams(suite: &Suite) -> Vec<String> {
    let cuts = |object: &Value| format!("{} cuts {STREAM}", what(object));
    let web = |name: &Value| {
        let service = name.as_str().and_then(|name| suite.service(name));
        service.is_some_and(|service| is_web(&suite.behind(service)))
    };
    let mut found = Vec::new();

    let mut by_parent = Vec::new();
    for route in suite.0.iter().filter(|o| is_route(o) && kind(o) == "HTTPRoute") {
        for rule in list(at(route, "/spec/rules")) {
            if !list(&rule["backendRefs"]).iter().any(|backend| web(&backend["name"])) {
                continue;
            }
            let matches = list(&rule["matches"]).iter().map(fits);
            let all = list(&rule["matches"]).is_empty().then_some(Some(1));
            if let Some(rank) = matches.chain(all).flatten().max() {
                let parents = list(at(route, "/spec/parentRefs")).iter();
                by_parent.extend(parents.map(|of| (of["name"].to_string(), (rank, route, rule))));
            }
        }
    }
    for mut rules in grouped(by_parent).into_values() {
        rules.sort_by_key(|(rank, ..)| *rank);
        if let Some((_, route, rule)) = rules.last()
            && (!rule["timeouts"].is_null() || cut_by_annotation(route))
        {
            found.push(cuts(route));
        }
    }

    let services = suite.all("", "Service");
    let cut =
        services.filter(|service| is_web(&suite.behind(service)) && cut_by_annotation(service));
    found.extend(cut.map(cuts));

    for object in suite.all(ISTIO_NETWORKING, "VirtualService") {
        if !list(at(object, "/spec/hosts")).iter().any(web) {
            continue;
        }
        let first = list(at(object, "/spec/http")).iter().find(|route| {
            let uris = list(&route["match"]).iter().map(|of| &of["uri"]);
            let mut fitting = uris.map(|uri| {
                uri.is_null()
                    || uri["exact"] == STREAM
                    || uri["prefix"].as_str().is_some_and(|prefix| STREAM.starts_with(prefix))
            });
            list(&route["match"]).is_empty() || fitting.any(|fits| fits)
        });
        if first.is_some_and(|route| !route["timeout"].is_null()) {
            found.push(cuts(object));
        }
    }
    found
}

fn gateways(suite: &Suite) -> Vec<String> {
    let mut found = Vec::new();
    for gateway in suite.all(GATEWAY, "Gateway") {
        let class = at(gateway, "/spec/gatewayClassName").as_str().unwrap_or_default();
        let waypoint = json!([{"name": "mesh", "port": 15008, "protocol": "HBONE"}]);
        if class.is_empty() {
            found.push(format!("{} has no class", what(gateway)));
        } else if class == "istio-waypoint" && at(gateway, "/spec/listeners") != &waypoint {
            found.push(format!("{} is no waypoint: it listens to no HBONE", what(gateway)));
        }
    }
    found
}
