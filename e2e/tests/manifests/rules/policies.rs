//! What the policies of Linkerd, of Istio and of Kubernetes say to a call, as far as the suite uses them.

use super::references::account_of;
use super::{
    GATEWAY, ISTIO_SECURITY, LINKERD, Mesh, Suite, account, at, is_route, kind, list, name, number,
    selects,
};
use serde_json::{Value, json};

/// A call to a port of a pod, by another one or by somebody who is in no mesh and no pod of the suite.
pub(super) struct Call<'a> {
    pub(super) from: Option<&'a Value>,
    pub(super) to: &'a Value,
    pub(super) port: &'a str,
    pub(super) path: &'a str,
}

/// What a kind of policies says to a call; nothing where none is about it.
pub(super) type Policies = fn(&Suite, &Call) -> Option<bool>;

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    at(value, pointer).as_str().unwrap_or_default()
}

pub(super) fn linkerd(suite: &Suite, call: &Call) -> Option<bool> {
    let port = number(call.to, &json!(call.port))?;
    let labels = at(call.to, "/spec/template/metadata/labels");
    let mut servers = suite.all(LINKERD, "Server").filter(|server| {
        selects(at(server, "/spec/podSelector"), labels)
            && number(call.to, at(server, "/spec/port")) == Some(port)
    });
    let Some(server) = servers.next() else {
        let namespace = suite.all("", "Namespace").next()?;
        let policy = "/metadata/annotations/config.linkerd.io~1default-inbound-policy";
        return match text(namespace, policy) {
            "deny" => Some(false),
            "all-authenticated" | "cluster-authenticated" => Some(call.from.is_some()),
            _ => None,
        };
    };
    match text(server, "/spec/accessPolicy") {
        "all-unauthenticated" | "cluster-unauthenticated" => return None,
        "all-authenticated" | "cluster-authenticated" => return Some(call.from.is_some()),
        _ => (),
    }
    // What audit lets in, deny does not.
    let routes: Vec<_> = suite
        .0
        .iter()
        .filter(|object| is_route(object))
        .filter(|route| {
            list(at(route, "/spec/parentRefs"))
                .iter()
                .any(|parent| kind(parent) == "Server" && parent["name"] == name(server))
        })
        .collect();
    let taken: Vec<_> = routes.iter().filter(|route| takes(route, call.path)).collect();
    if !routes.is_empty() && taken.is_empty() {
        return Some(false);
    }
    let mut policies = suite.all(LINKERD, "AuthorizationPolicy").filter(|policy| {
        let target = at(policy, "/spec/targetRef");
        match kind(target) {
            "Server" => target["name"] == name(server),
            "Namespace" => target["name"] == suite.namespace(),
            _ => taken
                .iter()
                .any(|route| kind(target) == kind(route) && target["name"] == name(route)),
        }
    });
    Some(policies.any(|policy| {
        list(at(policy, "/spec/requiredAuthenticationRefs"))
            .iter()
            .all(|reference| authenticated(suite, call, reference))
    }))
}

fn takes(route: &Value, path: &str) -> bool {
    let mut rules = list(at(route, "/spec/rules")).iter();
    rules.any(|rule| {
        let matches = list(&rule["matches"]);
        matches.is_empty()
            || matches.iter().any(|of| {
                let method = &of["method"];
                let rpc = format!("/{}/{}", text(method, "/service"), text(method, "/method"));
                let value = text(of, "/path/value");
                match (text(of, "/path/type"), kind(route)) {
                    (_, "GRPCRoute") => rpc.trim_end_matches('/') == path || path.starts_with(&rpc),
                    ("Exact", _) => value == path,
                    _ => path.starts_with(value),
                }
            })
    })
}

fn authenticated(suite: &Suite, call: &Call, reference: &Value) -> bool {
    let called = text(reference, "/name");
    let is = |account_name: &str| call.from.is_some_and(|from| account(from) == account_name);
    match kind(reference) {
        "ServiceAccount" => is(called),
        "NetworkAuthentication" => {
            let of = suite.find(LINKERD, "NetworkAuthentication", called);
            // Nobody knows the addresses of a cluster that is not there.
            of.is_some_and(|of| {
                let networks = list(at(of, "/spec/networks"));
                networks.iter().any(|network| text(network, "/cidr") == "0.0.0.0/0")
            })
        }
        "MeshTLSAuthentication" => {
            let of = suite.find(LINKERD, "MeshTLSAuthentication", called).unwrap_or(&Value::Null);
            let mut identities = list(at(of, "/spec/identities")).iter().filter_map(Value::as_str);
            let mut references = list(at(of, "/spec/identityRefs")).iter();
            identities.any(|identity| match account_of(identity) {
                Some((account, namespace)) => namespace == suite.namespace() && is(account),
                None => identity == "*" && call.from.is_some(),
            }) || references.any(|reference| match kind(reference) {
                "Namespace" => call.from.is_some(),
                _ => is(text(reference, "/name")),
            })
        }
        _ => false,
    }
}

/// By whom a proxy of Istio's is asked to let a call through.
struct Seen<'a> {
    /// The account of the caller, if it has one.
    account: Option<&'a str>,
    /// Whether the proxy knows of requests, or of connections only.
    requests: bool,
}

pub(super) fn istio(suite: &Suite, call: &Call) -> Option<bool> {
    let account = call.from.map(account);
    if suite.mesh() != Some(Mesh::IstioAmbient) {
        return istio_at(suite, call, &Seen { account, requests: true }, false);
    }
    // First a waypoint, if the Service has one, and then the ztunnel of the pod, which sees the waypoint call.
    let waypoint = suite
        .all(GATEWAY, "Gateway")
        .find(|of| at(of, "/spec/gatewayClassName") == "istio-waypoint");
    let Some(waypoint) = waypoint.filter(|_| call.from.is_some() && call.port != "prom") else {
        return past_waypoint(suite, call);
    };
    let first = istio_at(suite, call, &Seen { account, requests: true }, true);
    let by_waypoint = Seen { account: Some(name(waypoint)), requests: false };
    let second = istio_at(suite, call, &by_waypoint, false);
    match (first, second) {
        (Some(first), Some(second)) => Some(first && second),
        (one, other) => one.or(other),
    }
}

/// What Istio says to a call that goes to the address of the pod.
pub(super) fn past_waypoint(suite: &Suite, call: &Call) -> Option<bool> {
    let requests = suite.mesh() != Some(Mesh::IstioAmbient);
    istio_at(suite, call, &Seen { account: call.from.map(account), requests }, false)
}

/// What a proxy says to a call: a waypoint, or the one of the pod.
fn istio_at(suite: &Suite, call: &Call, seen: &Seen, waypoint: bool) -> Option<bool> {
    if call.from.is_none() && encrypted(suite, call) {
        return Some(false);
    }
    let policies = suite.all(ISTIO_SECURITY, "AuthorizationPolicy");
    let policies = policies.filter(|policy| concerns(suite, policy, call.to, waypoint));
    let (deny, allow): (Vec<_>, Vec<_>) =
        policies.partition(|policy| text(policy, "/spec/action") == "DENY");
    let covered = |policies: &[&Value]| {
        let mut rules = policies.iter().flat_map(|policy| list(at(policy, "/spec/rules")));
        rules.any(|rule| covers(suite, rule, call, seen))
    };
    if covered(&deny) {
        Some(false)
    } else if allow.is_empty() {
        None
    } else {
        Some(covered(&allow))
    }
}

/// Whether a policy is about a pod: by its labels, or, in a waypoint, by a Service that leads to it.
fn concerns(suite: &Suite, policy: &Value, to: &Value, waypoint: bool) -> bool {
    let labels = at(to, "/spec/template/metadata/labels");
    let targets = list(at(policy, "/spec/targetRefs"));
    if targets.is_empty() || !waypoint {
        return targets.is_empty() && !waypoint && selects(at(policy, "/spec/selector"), labels);
    }
    targets.iter().any(|target| {
        let service = suite.find("", "Service", text(target, "/name"));
        let behind = service.map(|service| suite.behind(service)).unwrap_or_default();
        kind(target) == "Gateway" || behind.iter().any(|pod| name(pod) == name(to))
    })
}

/// Whether a port takes mutual TLS only. The pod's own object wins over the one of all.
pub(super) fn encrypted(suite: &Suite, call: &Call) -> bool {
    let labels = at(call.to, "/spec/template/metadata/labels");
    let all = suite.all(ISTIO_SECURITY, "PeerAuthentication");
    let (own, wide): (Vec<_>, Vec<_>) =
        all.partition(|object| !at(object, "/spec/selector").is_null());
    let own = own.into_iter().find(|object| selects(at(object, "/spec/selector"), labels));
    let port = number(call.to, &json!(call.port)).unwrap_or_default().to_string();
    let level = |object: &&Value| {
        at(object, "/spec/portLevelMtls")[&port]["mode"].as_str().map(str::to_owned)
    };
    let mode = |object: &Value| at(object, "/spec/mtls/mode").as_str().map(str::to_owned);
    let mode = own
        .as_ref()
        .and_then(level)
        .or(own.and_then(mode))
        .or(wide.first().and_then(|of| mode(of)));
    mode.as_deref() == Some("STRICT")
}

/// A text against those of a list in a rule of Istio's, where no list means all.
fn listed(list_of: &Value, value: &str) -> bool {
    let patterns = list(list_of);
    patterns.is_empty()
        || patterns.iter().filter_map(Value::as_str).any(|pattern| {
            if let Some(prefix) = pattern.strip_suffix('*') {
                value.starts_with(prefix) && !value.is_empty()
            } else if let Some(suffix) = pattern.strip_prefix('*') {
                value.ends_with(suffix) && !value.is_empty()
            } else {
                pattern == value
            }
        })
}

fn covers(suite: &Suite, rule: &Value, call: &Call, seen: &Seen) -> bool {
    let namespace = suite.namespace();
    let (identity, home, short) = seen.account.map_or_else(Default::default, |account| {
        let identity = format!("cluster.local/ns/{namespace}/sa/{account}");
        (identity, namespace.to_owned(), format!("{namespace}/{account}"))
    });
    let from = list(&rule["from"]);
    let to = list(&rule["to"]);
    let source = |from: &Value| {
        let source = &from["source"];
        listed(&source["principals"], &identity)
            && listed(&source["namespaces"], &home)
            && (listed(&source["serviceAccounts"], &short)
                || listed(&source["serviceAccounts"], short.rsplit('/').next().unwrap_or_default()))
            && (source["notPrincipals"].is_null() || !listed(&source["notPrincipals"], &identity))
            && (source["notNamespaces"].is_null() || !listed(&source["notNamespaces"], &home))
    };
    let port = number(call.to, &json!(call.port)).unwrap_or_default().to_string();
    let method = match (call.port, call.path) {
        ("grpc", _) => "POST",
        _ => "GET",
    };
    let operation = |to: &Value| {
        let operation = &to["operation"];
        let of_requests =
            ["methods", "paths", "notPaths"].iter().any(|key| !operation[*key].is_null());
        (seen.requests || !of_requests)
            && listed(&operation["ports"], &port)
            && listed(&operation["methods"], method)
            && listed(&operation["paths"], call.path)
            && (operation["notPaths"].is_null() || !listed(&operation["notPaths"], call.path))
            && (operation["notPorts"].is_null() || !listed(&operation["notPorts"], &port))
    };
    (from.is_empty() || from.iter().any(source))
        && (to.is_empty() || to.iter().any(operation))
        && list(&rule["when"]).is_empty()
}

pub(super) fn network(suite: &Suite, call: &Call) -> Option<bool> {
    // Between pods of a mesh, the port may be that of the proxy.
    let of_proxy = match suite.mesh().filter(|_| call.from.is_some()) {
        Some(Mesh::Linkerd) => Some(4143),
        Some(Mesh::IstioAmbient) => Some(15008),
        Some(Mesh::IstioSidecar) | None => None,
    };
    let ports = [Some(number(call.to, &json!(call.port))?), of_proxy];
    let allowed = |of: &Value, kind: &str, [rules, peers]: [&str; 2], peer: Option<&Value>| {
        let policies = policies_of(suite, of, kind);
        let fits = |port: u64| {
            let mut rules = policies.iter().flat_map(|policy| list(&at(policy, "/spec")[rules]));
            rules.any(|rule| {
                open(rule, port, Some(call.to), "TCP") && reaches(suite, &rule[peers], peer)
            })
        };
        (!policies.is_empty()).then(|| ports.into_iter().flatten().all(fits))
    };
    let out = call.from.and_then(|from| allowed(from, "Egress", ["egress", "to"], Some(call.to)));
    let into = allowed(call.to, "Ingress", ["ingress", "from"], call.from);
    if out == Some(false) { out } else { into }
}

/// The NetworkPolicies of a kind that are about a workload.
pub(super) fn policies_of<'a>(suite: &Suite<'a>, workload: &Value, kind: &str) -> Vec<&'a Value> {
    let labels = at(workload, "/spec/template/metadata/labels");
    let policies = suite.all("networking.k8s.io", "NetworkPolicy").filter(|policy| {
        list(at(policy, "/spec/policyTypes")).iter().any(|of| of == kind)
            && selects(at(policy, "/spec/podSelector"), labels)
    });
    policies.collect()
}

/// Whether a rule opens a port, of a pod of the suite or of somebody else.
pub(super) fn open(rule: &Value, port: u64, of: Option<&Value>, protocol: &str) -> bool {
    let ports = list(&rule["ports"]);
    ports.is_empty()
        || ports.iter().any(|opened| {
            let same = match of {
                Some(workload) => {
                    opened["port"] == port || number(workload, &opened["port"]) == Some(port)
                }
                None => opened["port"] == port,
            };
            (same || opened["port"].is_null())
                && opened["protocol"].as_str().unwrap_or("TCP") == protocol
        })
}

/// Whether the peers of a rule, or all if it names none, contain a workload, or somebody outside.
pub(super) fn reaches(suite: &Suite, peers: &Value, whom: Option<&Value>) -> bool {
    let peers = list(peers);
    peers.is_empty()
        || peers.iter().any(|peer| {
            let namespaces = peer.get("namespaceSelector");
            match whom {
                Some(workload) => {
                    let labels = at(workload, "/spec/template/metadata/labels");
                    let own = json!({"kubernetes.io/metadata.name": suite.namespace()});
                    let namespace = namespaces.is_none_or(|selector| selects(selector, &own));
                    let pod = peer.get("podSelector").is_none_or(|of| selects(of, labels));
                    peer["ipBlock"].is_null() && namespace && pod
                }
                None => namespaces.is_some() || !peer["ipBlock"].is_null(),
            }
        })
}
