//! Whoever has to call something may, under the policies of Linkerd, of Istio and of Kubernetes, and nobody else does.

use std::collections::BTreeSet;

use super::policies::{
    Call, Policies, encrypted, istio, linkerd, network, open, past_waypoint, policies_of, reaches,
};
use super::{
    Bad, ISTIO_SECURITY, LINKERD, Mesh, RENDERED, Rule, Suite, at, kind, list, name, number, ports,
    rpcs, selects,
};
use serde_json::{Value, json};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "the suite's own calls",
        check: own_calls,
        refuses: &[
            Bad {
                manifests: "
apiVersion: policy.linkerd.io/v1beta3
kind: Server
metadata: {name: voting-grpc}
spec: {podSelector: {matchLabels: {app: voting-svc}}, port: grpc, proxyProtocol: gRPC, accessPolicy: audit}
---
apiVersion: policy.linkerd.io/v1alpha1
kind: AuthorizationPolicy
metadata: {name: voting}
spec:
  targetRef: {group: policy.linkerd.io, kind: Server, name: voting-grpc}
  requiredAuthenticationRefs: [{group: policy.linkerd.io, kind: MeshTLSAuthentication, name: web}]
---
apiVersion: policy.linkerd.io/v1alpha1
kind: MeshTLSAuthentication
metadata: {name: web}
spec: {identities: [web.another.serviceaccount.identity.linkerd.cluster.local]}",
                says: "web may not call voting at grpc",
            },
            Bad {
                manifests: "
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: emoji}
spec:
  selector: {matchLabels: {app: emoji-svc}}
  action: ALLOW
  rules:
    - to: [{operation: {ports: ['8801']}}]
    - from: [{source: {principals: [cluster.local/ns/emojivoto/sa/web]}}]
      to: [{operation: {methods: [POST], paths: [/emojivoto.v1.EmojiService/ListAll]}}]",
                says: "web may not call emoji at grpc (/emojivoto.v1.EmojiService/FindByShortcode",
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
    - {ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]}
    - {to: [{podSelector: {matchLabels: {app: emoji-svc}}}], ports: [{port: 8080}]}",
                says: "vote-bot may not call web at http",
            },
        ],
    },
    Rule {
        name: "probes and scrapes",
        check: probes,
        refuses: &[
            Bad {
                manifests: "
apiVersion: policy.linkerd.io/v1beta3
kind: Server
metadata: {name: prom}
spec: {podSelector: {matchLabels: {app: voting-svc}}, port: prom, proxyProtocol: HTTP/1, accessPolicy: audit}",
                says: "nobody without an identity may call voting at prom",
            },
            Bad {
                manifests: "
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: suite}
spec:
  selector: {matchLabels: {app: web-svc}}
  mtls: {mode: STRICT}
  portLevelMtls: {8801: {mode: PERMISSIVE}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: emoji}
spec:
  selector: {matchLabels: {app: emoji-svc}}
  portLevelMtls: {8801: {mode: DISABLE}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: bot}
spec:
  selector: {matchLabels: {app: vote-bot}}
  mtls: {mode: PERMISSIVE}",
                says: "nobody without an identity may call voting at prom",
            },
            Bad {
                manifests: "
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web-svc}}
  action: ALLOW
  rules: [{to: [{operation: {ports: ['8080']}}]}]",
                says: "nobody without an identity may call web at prom",
            },
            Bad {
                manifests: "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec:
  podSelector: {matchLabels: {app: web-svc}}
  policyTypes: [Ingress]
  ingress: [{ports: [{port: http}]}]",
                says: "nobody without an identity may call web at prom",
            },
        ],
    },
    Rule {
        name: "strangers",
        check: strangers,
        refuses: &[
            Bad {
                manifests: "
apiVersion: policy.linkerd.io/v1beta3
kind: Server
metadata: {name: voting-grpc}
spec: {podSelector: {matchLabels: {app: voting-svc}}, port: grpc, proxyProtocol: gRPC, accessPolicy: deny}
---
apiVersion: policy.linkerd.io/v1alpha1
kind: AuthorizationPolicy
metadata: {name: voting}
spec:
  targetRef: {group: policy.linkerd.io, kind: Server, name: voting-grpc}
  requiredAuthenticationRefs: [{group: policy.linkerd.io, kind: MeshTLSAuthentication, name: all}]
---
apiVersion: policy.linkerd.io/v1alpha1
kind: MeshTLSAuthentication
metadata: {name: all}
spec: {identities: ['*']}",
                says: "vote-bot may call voting at grpc",
            },
            Bad {
                manifests: "
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: emoji}
spec:
  selector: {matchLabels: {app: emoji-svc}}
  action: ALLOW
  rules:
    - to: [{operation: {ports: ['8801']}}]
    - from: [{source: {namespaces: [emojivoto]}}]",
                says: "vote-bot may call emoji at grpc",
            },
            Bad {
                manifests: "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: emoji}
spec:
  podSelector: {matchLabels: {app: emoji-svc}}
  policyTypes: [Ingress]
  ingress: [{from: [{podSelector: {}}], ports: [{port: grpc}]}, {ports: [{port: prom}]}]",
                says: "vote-bot may call emoji at grpc",
            },
        ],
    },
    Rule {
        name: "beyond the suite",
        check: beyond,
        refuses: &[
            Bad {
                manifests: "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: emoji}
spec: {podSelector: {matchLabels: {app: emoji-svc}}, policyTypes: [Egress]}",
                says: "emoji cannot reach port 53 UDP of kube-system",
            },
            Bad {
                manifests: "
apiVersion: v1
kind: Namespace
metadata: {name: emojivoto, annotations: {linkerd.io/inject: enabled}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: emoji}
spec:
  podSelector: {matchLabels: {app: emoji-svc}}
  policyTypes: [Egress]
  egress: [{ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}, {port: 8080}, {port: 8090}]}]",
                says: "emoji cannot reach port 8086 TCP of linkerd",
            },
            Bad {
                manifests: "
apiVersion: v1
kind: ConfigMap
metadata: {name: tracing}
data: {OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector.traces:4317'}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: emoji}
spec:
  podSelector: {matchLabels: {app: emoji-svc}}
  policyTypes: [Egress]
  egress:
    - {ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]}
    - to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: observability}}}]
      ports: [{port: 4317}]",
                says: "emoji cannot reach port 4317 TCP of traces",
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
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: bot}
spec:
  podSelector: {matchLabels: {app: vote-bot}}
  policyTypes: [Ingress]
  ingress:
    - {from: [{namespaceSelector: {}}], ports: [{port: prom}]}
    - {from: [{podSelector: {matchLabels: {gateway.networking.k8s.io/gateway-name: waypoint}}}], ports: [{port: 15008}]}",
                says: "vote-bot cannot be probed from 169.254.7.127",
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
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: bot}
spec:
  podSelector: {matchLabels: {app: vote-bot}}
  policyTypes: [Ingress]
  ingress: [{ports: [{port: prom}]}]",
                says: "vote-bot and a waypoint cannot reach each other",
            },
        ],
    },
];

const POLICIES: [Policies; 3] = [linkerd, istio, network];

fn refused(suite: &Suite, call: &Call) -> bool {
    POLICIES.iter().any(|policies| policies(suite, call) == Some(false))
}

/// The workloads of a container, under whatever name.
fn of<'a>(suite: &Suite<'a>, container: &str) -> Vec<&'a Value> {
    let first = |of: &&Value| at(of, "/spec/template/spec/containers/0/name") == container;
    suite.workloads().filter(first).collect()
}

fn own_calls(suite: &Suite) -> Vec<String> {
    let rpcs_of = |service: &'static str| {
        let prefix = format!("/emojivoto.v1.{service}/");
        rpcs().iter().map(String::as_str).filter(move |rpc| rpc.starts_with(&prefix))
    };
    let mut found = Vec::new();
    for (from, to, port, paths) in [
        ("vote-bot", "web-svc", "http", vec!["/api/list", "/api/vote"]),
        ("web-svc", "emoji-svc", "grpc", rpcs_of("EmojiService").collect()),
        ("web-svc", "voting-svc", "grpc", rpcs_of("VotingService").collect()),
        ("voting-svc", "redis", "redis", vec![""]),
    ] {
        for (caller, callee) in of(suite, from)
            .into_iter()
            .flat_map(|caller| of(suite, to).into_iter().map(move |callee| (caller, callee)))
        {
            let call = |path| Call { from: Some(caller), to: callee, port, path };
            let refused: Vec<_> =
                paths.iter().copied().filter(|path| refused(suite, &call(path))).collect();
            if let [first, ..] = refused[..] {
                let (from, to) = (name(caller), name(callee));
                let more = refused.len() - 1;
                found.push(format!("{from} may not call {to} at {port} ({first}, {more} more)"));
            }
        }
    }
    found
}

/// The kubelet and Prometheus have no identity.
fn probes(suite: &Suite) -> Vec<String> {
    let mut found = Vec::new();
    for to in suite.workloads().filter(|to| number(to, &json!("prom")).is_some()) {
        let call = |path| Call { from: None, to, port: "prom", path };
        if ["/live", "/ready", "/metrics"].iter().any(|path| refused(suite, &call(path))) {
            found.push(format!("nobody without an identity may call {} at prom", name(to)));
        }
    }
    found
}

/// Where somebody is let in by name, nobody else is.
fn strangers(suite: &Suite) -> Vec<String> {
    let mut found = Vec::new();
    for (to, path) in [
        ("emoji-svc", "/emojivoto.v1.EmojiService/ListAll"),
        ("voting-svc", "/emojivoto.v1.VotingService/VoteDoughnut"),
    ] {
        let others = ["vote-bot", if to == "emoji-svc" { "voting-svc" } else { "emoji-svc" }];
        let others = others.into_iter().flat_map(|other| of(suite, other)).map(Some);
        for from in others.chain([None]) {
            for to in of(suite, to) {
                let call = Call { from, to, port: "grpc", path };
                let mut policies = POLICIES.iter().chain([&(past_waypoint as Policies)]);
                if policies.any(|policies| policies(suite, &call) == Some(true)) {
                    let from = from.map_or("anybody", name);
                    found.push(format!("{from} may call {} at grpc", name(to)));
                }
            }
        }
    }
    // Each of them could, if one can.
    found.truncate(1);
    found
}

/// Names have to be resolved, and proxies to be told what to do.
fn beyond(suite: &Suite) -> Vec<String> {
    let dns = [(53, "UDP"), (53, "TCP")];
    let (home, ports): (_, &[u64]) = match suite.mesh() {
        Some(Mesh::Linkerd) => ("linkerd", &[8080, 8086, 8090]),
        Some(Mesh::IstioSidecar) => ("istio-system", &[15012]),
        Some(Mesh::IstioAmbient) | None => ("", &[]),
    };
    let dns = dns.map(|(port, protocol)| ("kube-system", port, protocol));
    let control_plane = ports.iter().map(|port| (home, *port, "TCP"));
    let wanted: Vec<_> = dns.into_iter().chain(control_plane).chain(collector(suite)).collect();
    let mut found = Vec::new();
    for workload in suite.workloads() {
        let policies = policies_of(suite, workload, "Egress");
        let missing = wanted.iter().find(|(namespace, port, protocol)| {
            let mut rules = policies.iter().flat_map(|policy| list(at(policy, "/spec/egress")));
            !rules.any(|rule| {
                let peers = list(&rule["to"]);
                let labels = json!({"kubernetes.io/metadata.name": namespace});
                let within = |peer: &Value| {
                    peer.get("namespaceSelector").is_some_and(|of| selects(of, &labels))
                };
                open(rule, *port, None, protocol) && (peers.is_empty() || peers.iter().any(within))
            })
        });
        if let (false, Some((namespace, port, protocol))) = (policies.is_empty(), missing) {
            let what = format!("port {port} {protocol} of {namespace}");
            found.push(format!("{} cannot reach {what}", name(workload)));
        }
    }
    if suite.mesh() == Some(Mesh::IstioAmbient) {
        found.extend(waypoints(suite));
    }
    found
}

/// The namespace and port that traces are sent to, if any are.
fn collector<'a>(suite: &Suite<'a>) -> Option<(&'a str, u64, &'static str)> {
    let mut settings = suite.all("", "ConfigMap").map(|settings| at(settings, "/data"));
    let url = settings.find_map(|data| data["OTEL_EXPORTER_OTLP_ENDPOINT"].as_str())?;
    let (host, port) = url.strip_prefix("http://")?.split_once(':')?;
    Some((host.split('.').nth(1)?, port.parse().ok()?, "TCP"))
}

/// Calls by way of a waypoint, and probes, which come from an address of their own.
fn waypoints(suite: &Suite) -> Vec<String> {
    let waypoint = json!({"spec": {"template": {
        "metadata": {"labels": {"gateway.networking.k8s.io/gateway-name": "waypoint"}},
    }}});
    let mut found = Vec::new();
    for workload in suite.workloads() {
        for (kind, rules, peers) in [("Ingress", "ingress", "from"), ("Egress", "egress", "to")] {
            let policies = policies_of(suite, workload, kind);
            let mut all = policies.iter().flat_map(|policy| list(&at(policy, "/spec")[rules]));
            let fits = |rule: &Value| {
                open(rule, 15008, Some(&waypoint), "TCP")
                    && reaches(suite, &rule[peers], Some(&waypoint))
            };
            if !policies.is_empty() && !all.any(fits) {
                found.push(format!("{} and a waypoint cannot reach each other", name(workload)));
            }
        }
        let policies = policies_of(suite, workload, "Ingress");
        let prom = number(workload, &json!("prom"));
        let mut rules = policies.iter().flat_map(|policy| list(at(policy, "/spec/ingress")));
        let probed = |rule: &Value| {
            let peers = list(&rule["from"]);
            let kubelet = |peer: &Value| {
                ["169.254.7.127/32", "0.0.0.0/0"].iter().any(|of| at(peer, "/ipBlock/cidr") == of)
            };
            prom.is_some_and(|prom| open(rule, prom, Some(workload), "TCP"))
                && (peers.is_empty() || peers.iter().any(kubelet))
        };
        if !policies.is_empty() && prom.is_some() && !rules.any(probed) {
            found.push(format!("{} cannot be probed from 169.254.7.127", name(workload)));
        }
    }
    found
}

/// Who may call the ports of the suite that are not for everybody, in whatever the policies of a kind are about.
fn callers(suite: &Suite, policies: Policies) -> BTreeSet<(&'static str, &'static str)> {
    let workloads = ["vote-bot", "web-svc", "emoji-svc", "voting-svc", "redis"];
    let mut found = BTreeSet::new();
    for (to, port, path) in [
        ("web-svc", "http", "/api/vote"),
        ("emoji-svc", "grpc", "/emojivoto.v1.EmojiService/ListAll"),
        ("voting-svc", "grpc", "/emojivoto.v1.VotingService/VoteDoughnut"),
        ("redis", "redis", ""),
    ] {
        let of_suite = workloads.into_iter().filter(|from| *from != to);
        let of_suite =
            of_suite.flat_map(|from| of(suite, from).into_iter().map(move |pod| (from, Some(pod))));
        for (from, caller) in of_suite.chain([("anybody", None)]) {
            for to_pod in of(suite, to) {
                let call = Call { from: caller, to: to_pod, port, path };
                let refused = policies(suite, &call) == Some(false);
                if !refused {
                    found.insert((from, to));
                }
            }
        }
    }
    found
}

#[test]
fn policies_let_in_whom_the_suite_needs_and_no_others() {
    let own = [("vote-bot", "web-svc"), ("web-svc", "emoji-svc"), ("web-svc", "voting-svc")];
    let mut seen = [0; 3];
    for (directory, objects) in &*RENDERED {
        let suite = Suite(objects);
        let redis = !of(&suite, "redis").is_empty();
        let all_of_web = ["emoji-svc", "voting-svc", "anybody"].map(|from| (from, "web-svc"));
        let of_mesh = || {
            let mut expected: BTreeSet<_> = own.into_iter().chain(all_of_web).collect();
            // Policies of a mesh say nothing of it, but for those who have no identity.
            if redis {
                expected.insert(("redis", "web-svc"));
                let callers = ["vote-bot", "web-svc", "emoji-svc", "voting-svc"];
                expected.extend(callers.map(|from| (from, "redis")));
            }
            expected
        };
        if suite.all(LINKERD, "AuthorizationPolicy").next().is_some() {
            let mut expected = of_mesh();
            expected.extend(redis.then_some(("anybody", "redis")));
            assert_eq!(callers(&suite, linkerd), expected, "{directory:?}");
            seen[0] += 1;
        }
        if suite.all(ISTIO_SECURITY, "AuthorizationPolicy").next().is_some() {
            for (policies, past) in [(istio as Policies, false), (past_waypoint, true)] {
                let mut expected = of_mesh();
                if past && suite.mesh() == Some(Mesh::IstioAmbient) {
                    expected.retain(|(_, to)| !["emoji-svc", "voting-svc"].contains(to));
                }
                assert_eq!(callers(&suite, policies), expected, "{directory:?}");
            }
            seen[1] += 1;
        }
        if suite.all("networking.k8s.io", "NetworkPolicy").next().is_some() {
            let mut expected: BTreeSet<_> =
                own.into_iter().chain([("anybody", "web-svc")]).collect();
            expected.extend(redis.then_some(("voting-svc", "redis")));
            assert_eq!(callers(&suite, network), expected, "{directory:?}");
            seen[2] += 1;
        }
    }
    assert!(seen.iter().all(|seen| *seen >= 3), "{seen:?}");
}

#[test]
fn istio_takes_no_plain_text_but_where_it_has_to() {
    let mut seen = 0;
    for (directory, objects) in &*RENDERED {
        let suite = Suite(objects);
        if suite.all(ISTIO_SECURITY, "PeerAuthentication").next().is_none() {
            continue;
        }
        for to in suite.workloads() {
            for (port, _) in ports(to) {
                let call = Call { from: None, to, port, path: "" };
                let plain = !encrypted(&suite, &call);
                let expected = port == "prom" || port == "http";
                assert_eq!(plain, expected, "{directory:?}: {} {port}", name(to));
            }
        }
        seen += 1;
    }
    assert!(seen > 4, "{seen}");
}

/// Of NetworkPolicies, each lets more in.
#[test]
fn a_policy_of_a_mesh_that_is_missing_lets_somebody_in() {
    type Pair = (&'static str, &'static str);
    let cases: [(&str, Policies, &str, Pair); 4] = [
        ("linkerd-policy", linkerd, "voting-grpc", ("anybody", "voting-svc")),
        ("istio-policy", istio, "emoji", ("vote-bot", "emoji-svc")),
        ("istio-ambient-policy", istio, "voting", ("vote-bot", "voting-svc")),
        ("istio-ambient-policy", past_waypoint, "voting-by-waypoint", ("web-svc", "voting-svc")),
    ];
    for (variant, policies, missing, pair) in cases {
        let (_, objects) =
            RENDERED.iter().find(|(directory, _)| directory.ends_with(variant)).expect("a variant");
        assert!(!callers(&Suite(objects), policies).contains(&pair), "{variant}");
        let mut fewer = objects.clone();
        let policy = |of: &Value| ["Server", "AuthorizationPolicy"].contains(&kind(of));
        fewer.retain(|object| !(policy(object) && name(object) == missing));
        assert_eq!(fewer.len() + 1, objects.len(), "{variant} without {missing}");
        assert!(callers(&Suite(&fewer), policies).contains(&pair), "{variant} without {missing}");
    }
}
