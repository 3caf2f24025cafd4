//! What names something else names something that is there.

use std::collections::BTreeSet;

use super::{
    Bad, GATEWAY, ISTIO_NETWORKING, ISTIO_SECURITY, LINKERD, Rule, Suite, account, at, group,
    is_route, kind, list, name, number, selects, what,
};
use serde_json::Value;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "references",
        check: references,
        refuses: &[
            Bad {
                manifests: r#"
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{group: "", kind: Service, name: web-svc, port: 80}]
  rules: [{backendRefs: [{name: web-svc-canary, port: 80}]}]"#,
                says: "HTTPRoute web names the Service web-svc-canary",
            },
            Bad {
                manifests: "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{name: emojivoto}]
  rules: [{backendRefs: [{name: web-svc, port: 80}]}]",
                says: "HTTPRoute web names the Gateway emojivoto",
            },
            Bad {
                manifests: "
apiVersion: policy.linkerd.io/v1alpha1
kind: AuthorizationPolicy
metadata: {name: voting}
spec:
  targetRef: {group: policy.linkerd.io, kind: Server, name: voting}
  requiredAuthenticationRefs: [{kind: ServiceAccount, name: web}]",
                says: "AuthorizationPolicy voting names the Server voting",
            },
            Bad {
                manifests: "
apiVersion: policy.linkerd.io/v1alpha1
kind: AuthorizationPolicy
metadata: {name: all}
spec:
  targetRef: {kind: Namespace, name: emojivoto}
  requiredAuthenticationRefs: [{group: policy.linkerd.io, kind: NetworkAuthentication, name: all}]",
                says: "AuthorizationPolicy all names the NetworkAuthentication all",
            },
            Bad {
                manifests: "
apiVersion: policy.linkerd.io/v1alpha1
kind: MeshTLSAuthentication
metadata: {name: bot}
spec:
  identityRefs: [{kind: ServiceAccount, name: vote-bot}]",
                says: "MeshTLSAuthentication bot names the ServiceAccount vote-bot",
            },
            Bad {
                manifests: r#"
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: voting}
spec:
  action: ALLOW
  targetRefs: [{group: "", kind: Service, name: votes}]
  rules: [{}]"#,
                says: "AuthorizationPolicy voting names the Service votes",
            },
            Bad {
                manifests: "
apiVersion: v1
kind: Service
metadata: {name: voting-svc, labels: {istio.io/use-waypoint: waypoint}}",
                says: "Service voting-svc names the Gateway waypoint",
            },
            Bad {
                manifests: "
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: emoji}
spec:
  targetRef: {apiVersion: v1, kind: Service, name: emoji-svc}
  analysis: {metrics: [{name: votes, templateRef: {name: votes}, thresholdRange: {min: 80}}]}",
                says: "Canary emoji names the MetricTemplate votes",
            },
            Bad {
                manifests: "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web}
spec:
  workloadRef: {apiVersion: apps/v1, kind: Deployment, name: website}
  strategy: {canary: {stableService: web-svc, canaryService: web-svc}}",
                says: "Rollout web names the Deployment website",
            },
            Bad {
                manifests: "
apiVersion: apps/v1
kind: Deployment
metadata: {name: vote-bot}
spec: {template: {spec: {serviceAccountName: vote-bot}}}",
                says: "Deployment vote-bot names the ServiceAccount vote-bot",
            },
        ],
    },
    Rule {
        name: "ports",
        check: ports,
        refuses: &[
            Bad {
                manifests: r#"
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: others}
spec:
  parentRefs: [{group: "", kind: Service, name: voting-svc, port: 8080}]
  rules: [{backendRefs: [{name: voting-svc, port: 80}]}]"#,
                says: "GRPCRoute others: Service voting-svc has no port 80",
            },
            Bad {
                manifests: r#"
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: others}
spec:
  parentRefs: [{group: "", kind: Service, name: voting-svc, port: 80}]
  rules: [{backendRefs: [{name: voting-svc, port: 8080}]}]"#,
                says: "GRPCRoute others: Service voting-svc has no port 80",
            },
            Bad {
                manifests: "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: web}
spec: {gatewayClassName: any, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{name: web, sectionName: https}]
  rules: [{backendRefs: [{name: web-svc, port: 80}]}]",
                says: "HTTPRoute web: Gateway web has no such listener",
            },
            Bad {
                manifests: "
apiVersion: policy.linkerd.io/v1beta3
kind: Server
metadata: {name: bot-http}
spec: {podSelector: {matchLabels: {app: vote-bot}}, port: http, accessPolicy: all-unauthenticated}",
                says: "Server bot-http: the pods of vote-bot have no port \"http\"",
            },
            Bad {
                manifests: "
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: voting}
spec:
  selector: {matchLabels: {app: voting-svc}}
  mtls: {mode: PERMISSIVE}
  portLevelMtls: {8802: {mode: PERMISSIVE}}",
                says: "PeerAuthentication voting: the pods of voting have no port 8802",
            },
            Bad {
                manifests: "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: voting}
spec:
  hosts: [voting-svc.emojivoto.svc.cluster.local]
  http:
    - route: [{destination: {host: voting-svc.emojivoto.svc.cluster.local, port: {number: 80}}}]
      retries: {attempts: 0}",
                says: "VirtualService voting: Service voting-svc has no port 80",
            },
            Bad {
                manifests: "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: voting}
spec:
  hosts: [voting-svc]
  http:
    - match: [{port: 8880}]
      route: [{destination: {host: voting-svc}}]
      retries: {attempts: 0}",
                says: "VirtualService voting: Service voting-svc has no port 8880",
            },
            Bad {
                manifests: "
apiVersion: apps/v1
kind: Deployment
metadata: {name: vote-bot}
spec: {template: {spec: {containers: [{name: vote-bot, env: [{name: WEB_HOST, value: 'web-svc:8080'}], ports: [{name: prom, containerPort: 8801}]}]}}}",
                says: "Deployment vote-bot: Service web-svc has no port 8080",
            },
            Bad {
                manifests: "
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: bot}
spec:
  targetRef: {apiVersion: apps/v1, kind: DaemonSet, name: bot}
  service: {name: bot, port: 80, targetPort: 1, gatewayRefs: [{kind: Service, name: bot, port: 8080}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: bot}
spec: {template: {spec: {containers: [{name: bot, ports: [{name: any, containerPort: 1}]}]}}}",
                says: "Canary bot: Service bot has no port 8080",
            },
            Bad {
                manifests: "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: votes}
spec: {rules: [{http: {paths: [{path: /, backend: {service: {name: web-svc, port: {number: 8080}}}}]}}]}",
                says: "Ingress votes: Service web-svc has no port 8080",
            },
            Bad {
                manifests: "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec:
  podSelector: {matchLabels: {app: web-svc}}
  policyTypes: [Ingress]
  ingress: [{}, {ports: [{port: 80}]}]",
                says: "NetworkPolicy web: the pods of web have no port 80",
            },
            Bad {
                manifests: "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: bot}
spec:
  podSelector: {matchLabels: {app: vote-bot}}
  policyTypes: [Egress]
  egress:
    - {}
    - {to: [{podSelector: {matchLabels: {app: web-svc}}}], ports: [{port: 80}]}",
                says: "NetworkPolicy bot: the pods of web have no port 80",
            },
            Bad {
                manifests: "
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata: {name: suite}
spec: {selector: {}, podMetricsEndpoints: [{port: metrics}]}",
                says: "PodMonitor suite: the pods of emoji have no port \"metrics\"",
            },
        ],
    },
    Rule {
        name: "selectors",
        check: selectors,
        refuses: &[
            Bad {
                manifests: "
apiVersion: policy.linkerd.io/v1beta3
kind: Server
metadata: {name: voting-grpc}
spec: {podSelector: {matchLabels: {app: voting}}, port: grpc, proxyProtocol: gRPC}",
                says: "Server voting-grpc selects no pod",
            },
            Bad {
                manifests: "
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: voting}
spec: {selector: {matchLabels: {app: voting}}, mtls: {mode: STRICT}}",
                says: "PeerAuthentication voting selects no pod",
            },
            Bad {
                manifests: "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec:
  podSelector: {matchLabels: {app: web-svc}}
  policyTypes: [Ingress]
  ingress: [{}, {from: [{podSelector: {matchLabels: {app: bot}}}]}]",
                says: "NetworkPolicy web selects no pod",
            },
            Bad {
                manifests: "
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec:
  host: web-svc.emojivoto.svc.cluster.local
  subsets: [{name: canary, labels: {version: canary}}]",
                says: "DestinationRule web selects no pod",
            },
        ],
    },
    Rule {
        name: "hosts",
        check: hosts,
        refuses: &[
            Bad {
                manifests: "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: emoji}
spec:
  hosts: [emoji.emojivoto.svc.cluster.local]
  http: [{route: [{destination: {host: emoji-svc.emojivoto.svc.cluster.local}}]}]",
                says: "VirtualService emoji: no Service has the host emoji.emojivoto.svc.cluster.local",
            },
            Bad {
                manifests: "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: emoji}
spec:
  hosts: [emoji-svc.emojivoto.svc.cluster.local]
  http: [{route: [{destination: {host: emoji-svc.emoji.svc.cluster.local}}]}]",
                says: "VirtualService emoji: no Service has the host emoji-svc.emoji.svc.cluster.local",
            },
            Bad {
                manifests: "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: emoji}
spec:
  hosts: [emoji-svc.emojivoto.svc.cluster.local]
  http: [{route: [{destination: {host: emoji-svc.emojivoto.svc.cluster.local, subset: v1}}]}]",
                says: "VirtualService emoji: no DestinationRule has the subset v1",
            },
            Bad {
                manifests: "
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: emoji}
spec: {host: emoji.emojivoto.svc.cluster.local}",
                says: "DestinationRule emoji: no Service has the host emoji.emojivoto.svc.cluster.local",
            },
        ],
    },
    Rule {
        name: "identities",
        check: identities,
        refuses: &[
            Bad {
                manifests: "
apiVersion: policy.linkerd.io/v1alpha1
kind: MeshTLSAuthentication
metadata: {name: bot}
spec: {identities: [vote-bot.emojivoto.serviceaccount.identity.linkerd.cluster.local]}",
                says: "MeshTLSAuthentication bot: no pod runs as vote-bot",
            },
            Bad {
                manifests: "
apiVersion: policy.linkerd.io/v1alpha1
kind: MeshTLSAuthentication
metadata: {name: bot}
spec: {identities: [default.emojivoto]}",
                says: "MeshTLSAuthentication bot: default.emojivoto is no identity",
            },
            Bad {
                manifests: "
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web-svc}}
  action: DENY
  rules: [{from: [{source: {principals: [cluster.local/ns/emojivoto/sa/vote-bot]}}]}]",
                says: "AuthorizationPolicy web: no pod runs as vote-bot",
            },
            Bad {
                manifests: "
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web-svc}}
  action: DENY
  rules: [{from: [{source: {principals: [spiffe://cluster.local/ns/emojivoto/sa/web]}}]}]",
                says: "sa/web is no identity",
            },
            Bad {
                manifests: "
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web-svc}}
  action: DENY
  rules: [{from: [{source: {serviceAccounts: [bot]}}]}]",
                says: "AuthorizationPolicy web: no pod runs as bot",
            },
        ],
    },
];

/// What a reference names. Those of the Gateway API leave out what is usual.
struct Reference<'a> {
    group: &'a str,
    kind: &'a str,
    name: &'a str,
    namespace: Option<&'a str>,
}

impl<'a> Reference<'a> {
    fn of(reference: &'a Value, group: &'a str, kind: &'a str) -> Self {
        let text = |key: &str| reference[key].as_str();
        let of_version = text("apiVersion").map(|_| super::group(reference));
        let group = text("group").or(of_version).unwrap_or(group);
        Self {
            group: if group == "core" { "" } else { group },
            kind: text("kind").unwrap_or(kind),
            name: text("name").unwrap_or_default(),
            namespace: text("namespace"),
        }
    }

    fn named(name: &'a Value, group: &'a str, kind: &'a str) -> Option<Self> {
        Some(Self { group, kind, name: name.as_str()?, namespace: None })
    }
}

fn references(suite: &Suite) -> Vec<String> {
    let mut found = Vec::new();
    for object in suite.0 {
        for Reference { group, kind, name, namespace } in references_of(object) {
            let default = (kind, name) == ("ServiceAccount", "default");
            // What others call theirs, only they know.
            let elsewhere = namespace.is_some_and(|namespace| namespace != suite.namespace());
            let mut canaries = suite.all("flagger.app", "Canary");
            let made = kind == "Service" && canaries.any(|canary| makes(canary, name));
            if !default && !elsewhere && !made && suite.find(group, kind, name).is_none() {
                found.push(format!("{} names the {kind} {name}, which is not there", what(object)));
            }
        }
    }
    found
}

/// Whether Flagger makes a Service of that name for a Canary.
fn makes(canary: &Value, service: &str) -> bool {
    let apex = at(canary, "/spec/service/name").as_str().unwrap_or_else(|| name(canary));
    let rest = service.strip_prefix(apex);
    rest.is_some_and(|rest| ["", "-primary", "-canary"].contains(&rest))
}

fn references_of(object: &Value) -> Vec<Reference<'_>> {
    let spec = at(object, "/spec");
    let rules = || list(&spec["rules"]).iter();
    let mut found = Vec::new();
    if is_route(object) {
        let parents = list(&spec["parentRefs"]).iter();
        found.extend(parents.map(|parent| Reference::of(parent, GATEWAY, "Gateway")));
        let backends = rules().flat_map(|rule| list(&rule["backendRefs"]));
        found.extend(backends.map(|backend| Reference::of(backend, "", "Service")));
    }
    for key in ["targetRef", "autoscalerRef", "scaleTargetRef", "workloadRef"] {
        found.extend(spec.get(key).map(|reference| Reference::of(reference, "", "")));
    }
    for references in [
        &spec["targetRefs"],
        &spec["requiredAuthenticationRefs"],
        &spec["identityRefs"],
        at(object, "/spec/service/gatewayRefs"),
    ] {
        found.extend(list(references).iter().map(|reference| Reference::of(reference, "", "")));
    }
    for client in list(&spec["overrides"]).iter().flat_map(|rate| list(&rate["clientRefs"])) {
        found.push(Reference::of(client, "", ""));
    }
    match kind(object) {
        "Ingress" => {
            let paths = rules().flat_map(|rule| list(at(rule, "/http/paths")));
            let services = paths.map(|path| at(path, "/backend/service/name"));
            found.extend(services.filter_map(|name| Reference::named(name, "", "Service")));
        }
        "Canary" => {
            let metrics = list(at(object, "/spec/analysis/metrics")).iter();
            let templates = metrics.filter_map(|metric| metric.get("templateRef"));
            found.extend(templates.map(|of| Reference::of(of, "flagger.app", "MetricTemplate")));
        }
        "Rollout" => found.extend(references_of_rollout(at(object, "/spec/strategy/canary"))),
        _ => (),
    }
    for waypoint in ["labels", "annotations"] {
        let name = &at(object, "/metadata")[waypoint]["istio.io/use-waypoint"];
        found.extend(Reference::named(name, GATEWAY, "Gateway").filter(|of| of.name != "none"));
    }
    let account = at(object, "/spec/template/spec/serviceAccountName");
    found.extend(Reference::named(account, "", "ServiceAccount"));
    found
}

fn references_of_rollout(canary: &Value) -> Vec<Reference<'_>> {
    let services = ["stableService", "canaryService"].map(|key| &canary[key]);
    let mut found: Vec<_> =
        services.iter().filter_map(|name| Reference::named(name, "", "Service")).collect();
    let plugin = at(canary, "/trafficRouting/plugins/argoproj-labs~1gatewayAPI");
    for (one, all, kind) in
        [("httpRoute", "httpRoutes", "HTTPRoute"), ("grpcRoute", "grpcRoutes", "GRPCRoute")]
    {
        found.extend(Reference::named(&plugin[one], GATEWAY, kind));
        let names = list(&plugin[all]).iter().map(|route| &route["name"]);
        found.extend(names.filter_map(|name| Reference::named(name, GATEWAY, kind)));
    }
    let steps = list(&canary["steps"]).iter().map(|step| &step["analysis"]);
    let analyses = steps.chain([&canary["analysis"]]);
    let templates = analyses.flat_map(|analysis| list(&analysis["templates"]));
    found.extend(templates.filter_map(|template| {
        Reference::named(&template["templateName"], "argoproj.io", "AnalysisTemplate")
    }));
    found
}

/// A port that a proxy of a mesh opens in each pod that it is in.
const OF_PROXIES: [(&str, &[u64]); 2] = [
    ("linkerd-admin", &[4143, 4190, 4191]),
    ("http-envoy-prom", &[15006, 15008, 15020, 15021, 15090]),
];

fn ports(suite: &Suite) -> Vec<String> {
    let mut found = Vec::new();
    for object in suite.0 {
        let mut complain = |violation: String| found.push(format!("{}: {violation}", what(object)));
        for (service, port) in ports_of_services(suite, object) {
            // Without any, the Service itself is missing, which is said elsewhere.
            let known = known_ports(suite, service);
            if !port.is_null() && !known.is_empty() && !known.contains(&&port) {
                complain(format!("Service {service} has no port {port}"));
            }
        }
        for (workloads, port) in ports_of_pods(suite, object) {
            let of_proxy = OF_PROXIES.iter().any(|(name, numbers)| {
                port == *name || port.as_u64().is_some_and(|port| numbers.contains(&port))
            });
            let mut without = workloads.iter().filter(|pod| number(pod, &port).is_none());
            if let (false, Some(workload)) = (of_proxy, without.next()) {
                complain(format!("the pods of {} have no port {port}", name(workload)));
            }
        }
        for parent in list(at(object, "/spec/parentRefs")) {
            let called = parent["name"].as_str().unwrap_or_default();
            let gateway = suite.find(GATEWAY, "Gateway", called);
            if let Some(gateway) = gateway.filter(|_| kind(parent) != "Service") {
                let same = |(of, key): (&str, &str), listener: &Value| {
                    parent[of].is_null() || parent[of] == listener[key]
                };
                let meant = |listener: &Value| {
                    same(("sectionName", "name"), listener) && same(("port", "port"), listener)
                };
                if !list(at(gateway, "/spec/listeners")).iter().any(meant) {
                    complain(format!("Gateway {called} has no such listener"));
                }
            }
        }
    }
    found
}

/// The ports of a Service, its own or those that Flagger gives it.
fn known_ports<'a>(suite: &Suite<'a>, service: &str) -> Vec<&'a Value> {
    let own = suite.find("", "Service", service);
    let own = own.into_iter().flat_map(|of| list(at(of, "/spec/ports"))).map(|of| &of["port"]);
    let canaries = suite.all("flagger.app", "Canary").filter(|canary| makes(canary, service));
    own.chain(canaries.map(|canary| at(canary, "/spec/service/port"))).collect()
}

/// The Services that an object names together with a port.
fn ports_of_services<'a>(suite: &Suite<'a>, object: &'a Value) -> Vec<(&'a str, Value)> {
    let spec = at(object, "/spec");
    let pair = |of: &'a Value| (of["name"].as_str().unwrap_or_default(), of["port"].clone());
    let of_host = |host: &'a Value| suite.service(host.as_str().unwrap_or_default()).map(name);
    let rules = || list(&spec["rules"]).iter();
    match (group(object), kind(object)) {
        _ if is_route(object) => {
            let parents = list(&spec["parentRefs"]).iter();
            let parents = parents.filter(|parent| kind(parent) == "Service");
            parents.chain(rules().flat_map(|rule| list(&rule["backendRefs"]))).map(pair).collect()
        }
        ("flagger.app", "Canary") => {
            list(at(object, "/spec/service/gatewayRefs")).iter().map(pair).collect()
        }
        ("networking.k8s.io", "Ingress") => {
            let paths = rules().flat_map(|rule| list(at(rule, "/http/paths")));
            let services = paths.map(|path| at(path, "/backend/service"));
            services.map(|of| (pair(of).0, at(of, "/port/number").clone())).collect()
        }
        (ISTIO_NETWORKING, "VirtualService") => {
            let routes = list(&spec["http"]).iter();
            let ports: Vec<_> =
                routes.flat_map(|of| list(&of["match"])).map(|of| &of["port"]).collect();
            let hosts = list(&spec["hosts"]).iter().filter_map(of_host);
            let of_hosts = hosts.flat_map(|host| ports.iter().map(move |port| (host, *port)));
            let destinations = destinations(object).into_iter().filter_map(|destination| {
                Some((of_host(&destination["host"])?, at(destination, "/port/number")))
            });
            of_hosts.chain(destinations).map(|(host, port)| (host, port.clone())).collect()
        }
        _ => addresses(object),
    }
}

/// The addresses that a workload is told to call.
fn addresses(workload: &Value) -> Vec<(&str, Value)> {
    let variables = list(at(workload, "/spec/template/spec/containers/0/env")).iter();
    let hosts = variables.filter(|of| of["name"].as_str().is_some_and(|of| of.ends_with("_HOST")));
    let addresses = hosts.filter_map(|of| of["value"].as_str()?.split_once(':'));
    let number = |port: &str| port.parse::<u64>().map_or(Value::Null, Value::from);
    addresses.map(|(host, port)| (host, number(port))).collect()
}

/// The pods that an object selects together with a port of theirs.
fn ports_of_pods<'a>(suite: &Suite<'a>, object: &Value) -> Vec<(Vec<&'a Value>, Value)> {
    let spec = at(object, "/spec");
    match (group(object), kind(object)) {
        (LINKERD, "Server") => {
            vec![(suite.selected(&spec["podSelector"]), spec["port"].clone())]
        }
        (ISTIO_SECURITY, "PeerAuthentication") => {
            let ports = spec["portLevelMtls"].as_object().into_iter().flatten();
            let number = |port: &str| port.parse::<u64>().map_or(Value::Null, Value::from);
            ports.map(|(port, _)| (suite.selected(&spec["selector"]), number(port))).collect()
        }
        ("flagger.app", "Canary") => {
            let called = at(object, "/spec/targetRef/name");
            let target = suite.workloads().filter(|workload| called == name(workload));
            vec![(target.collect(), at(object, "/spec/service/targetPort").clone())]
        }
        ("monitoring.coreos.com", "PodMonitor") => {
            let endpoints = list(&spec["podMetricsEndpoints"]).iter();
            let port = |of: &Value| of.get("port").unwrap_or(&of["portNumber"]).clone();
            endpoints.map(|of| (suite.selected(&spec["selector"]), port(of))).collect()
        }
        ("networking.k8s.io", "NetworkPolicy") => {
            let mut found = Vec::new();
            for (peer, port) in policed_ports(spec) {
                let mut pods = suite.selected(peer);
                // Of pods of many kinds, those that have it.
                if pods.iter().any(|pod| number(pod, port).is_some()) {
                    pods.clear();
                }
                found.push((pods, port.clone()));
            }
            found
        }
        _ => Vec::new(),
    }
}

/// The ports that a NetworkPolicy opens, with the selector of the pods that listen there, as far as they are of the suite.
fn policed_ports(spec: &Value) -> Vec<(&Value, &Value)> {
    let mut found = Vec::new();
    for rule in list(&spec["ingress"]) {
        found.extend(list(&rule["ports"]).iter().map(|port| (&spec["podSelector"], &port["port"])));
    }
    for rule in list(&spec["egress"]) {
        for peer in list(&rule["to"]).iter().filter(|peer| peer["namespaceSelector"].is_null()) {
            if let Some(selector) = peer.get("podSelector") {
                found.extend(list(&rule["ports"]).iter().map(|port| (selector, &port["port"])));
            }
        }
    }
    found
}

/// What the routes of a VirtualService lead to.
pub(super) fn destinations(service: &Value) -> Vec<&Value> {
    let routes = ["http", "tcp", "tls"].into_iter();
    let routes = routes.flat_map(|of| list(&at(service, "/spec")[of]));
    let routes = routes.flat_map(|route| list(&route["route"]).iter().chain(route.get("mirror")));
    routes.map(|route| route.get("destination").unwrap_or(route)).collect()
}

/// Pods that are there with others' components, or that a mesh makes, and a label that it adds to ours.
const GUESTS: [(&str, &str); 3] = [
    ("app", "redis"),
    ("gateway.networking.k8s.io/gateway-name", "waypoint"),
    ("linkerd.io/control-plane-ns", "linkerd"),
];

fn selectors(suite: &Suite) -> Vec<String> {
    let mut found = Vec::new();
    for object in suite.0 {
        let spec = at(object, "/spec");
        let selectors: Vec<Value> = match (group(object), kind(object)) {
            (LINKERD, "Server") => vec![spec["podSelector"].clone()],
            (group, _) if group.ends_with(".istio.io") => {
                let host = spec["host"].as_str().and_then(|host| suite.service(host));
                let of_service = host.map_or(&Value::Null, |service| at(service, "/spec/selector"));
                let subset = |subset: &Value| {
                    let mut labels = of_service.as_object().cloned().unwrap_or_default();
                    labels.extend(subset["labels"].as_object().cloned().unwrap_or_default());
                    serde_json::json!({"matchLabels": labels})
                };
                let subsets = list(&spec["subsets"]).iter().map(subset);
                let own = ["selector", "workloadSelector"].map(|key| spec[key].clone());
                own.into_iter().filter(|selector| !selector.is_null()).chain(subsets).collect()
            }
            ("monitoring.coreos.com", "PodMonitor") => vec![spec["selector"].clone()],
            ("networking.k8s.io", "NetworkPolicy") => {
                let rules = [(&spec["ingress"], "from"), (&spec["egress"], "to")];
                let peers = rules.into_iter().flat_map(|(rules, key)| {
                    list(rules).iter().flat_map(move |rule| list(&rule[key]))
                });
                let own = peers.filter(|peer| peer["namespaceSelector"].is_null());
                let own = own.filter_map(|peer| peer.get("podSelector"));
                [&spec["podSelector"]].into_iter().chain(own).cloned().collect()
            }
            _ => continue,
        };
        let guests = GUESTS.map(|(key, value)| serde_json::json!({key: value}));
        let empty = selectors.iter().filter(|selector| {
            suite.selected(selector).is_empty()
                && !guests.iter().any(|guest| selects(selector, guest))
        });
        found.extend(empty.map(|selector| format!("{} selects no pod: {selector}", what(object))));
    }
    found
}

fn hosts(suite: &Suite) -> Vec<String> {
    let mut found = Vec::new();
    let rules: Vec<_> = suite.all(ISTIO_NETWORKING, "DestinationRule").collect();
    let has_subset = |host: &str, subset: &str| {
        let mut same = rules.iter().filter(|rule| {
            suite.service(at(rule, "/spec/host").as_str().unwrap_or_default()).map(name)
                == suite.service(host).map(name)
        });
        same.any(|rule| list(at(rule, "/spec/subsets")).iter().any(|of| of["name"] == subset))
    };
    for object in suite.all(ISTIO_NETWORKING, "VirtualService") {
        let hosts = list(at(object, "/spec/hosts")).iter().filter_map(Value::as_str);
        let destinations = destinations(object);
        let sent = destinations.iter().filter_map(|destination| destination["host"].as_str());
        // Each once: where all is routed to is often where it was sent.
        for host in hosts.chain(sent).collect::<BTreeSet<_>>() {
            if suite.service(host).is_none() {
                found.push(format!("{}: no Service has the host {host}", what(object)));
            }
        }
        for destination in destinations {
            let host = destination["host"].as_str().unwrap_or_default();
            if let Some(subset) = destination["subset"].as_str()
                && !has_subset(host, subset)
            {
                found.push(format!("{}: no DestinationRule has the subset {subset}", what(object)));
            }
        }
    }
    for object in &rules {
        let host = at(object, "/spec/host").as_str().unwrap_or_default();
        if suite.service(host).is_none() {
            found.push(format!("{}: no Service has the host {host}", what(object)));
        }
    }
    found
}

/// The name of the account that an identity of a mesh stands for, and its namespace.
pub(super) fn account_of(identity: &str) -> Option<(&str, &str)> {
    if let Some(rest) = identity.strip_prefix("cluster.local/ns/") {
        let (namespace, account) = rest.split_once("/sa/")?;
        return Some((account, namespace));
    }
    let rest = identity.strip_suffix(".serviceaccount.identity.linkerd.cluster.local")?;
    rest.split_once('.')
}

fn identities(suite: &Suite) -> Vec<String> {
    let mut found = Vec::new();
    let waypoint = |called: &str| suite.find(GATEWAY, "Gateway", called).is_some();
    let known = |called: &str| {
        waypoint(called) || suite.workloads().any(|workload| account(workload) == called)
    };
    for object in suite.0 {
        for identity in identities_of(object) {
            // All that have one.
            if identity == "*" {
                continue;
            }
            match account_of(identity) {
                None => found.push(format!("{}: {identity} is no identity", what(object))),
                Some((called, namespace)) if namespace == suite.namespace() => {
                    if !known(called) {
                        found.push(format!("{}: no pod runs as {called}", what(object)));
                    }
                }
                Some(_) => (),
            }
        }
        for called in sources(object, ["serviceAccounts", "notServiceAccounts"]) {
            if !called.contains('/') && !known(called) {
                found.push(format!("{}: no pod runs as {called}", what(object)));
            }
        }
    }
    found
}

/// Whom the rules of a policy of Istio's name, in either of two ways.
fn sources<'a>(policy: &'a Value, keys: [&'static str; 2]) -> impl Iterator<Item = &'a str> {
    let rules = list(at(policy, "/spec/rules")).iter();
    let from = rules.flat_map(|rule| list(&rule["from"]));
    let named = from.flat_map(move |from| keys.map(|key| list(&from["source"][key])));
    named.flatten().filter_map(Value::as_str)
}

fn identities_of(object: &Value) -> Vec<&str> {
    match (group(object), kind(object)) {
        (LINKERD, "MeshTLSAuthentication") => {
            list(at(object, "/spec/identities")).iter().filter_map(Value::as_str).collect()
        }
        (ISTIO_SECURITY, "AuthorizationPolicy") => {
            sources(object, ["principals", "notPrincipals"]).collect()
        }
        _ => Vec::new(),
    }
}
