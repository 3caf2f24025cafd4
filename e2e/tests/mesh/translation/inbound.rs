//! The server's proxy: who may come in, and how often.

use std::{collections::BTreeSet, net::SocketAddr};

use serde_json::{Map, Value, json};

use super::{Translation, endpoint, filter, http_manager, listener, protocol, sidecar, tcp};
use crate::{
    identity::identity,
    objects::{
        AccessPolicy, IstioAction, IstioOperation, IstioPolicyRule, LinkerdPolicy, Network, Object,
        Reference, Server, ServicePort, Workload,
    },
};

impl Translation<'_> {
    pub(super) fn inbound(&self, workload: &Workload, number: usize) -> Result<Value, String> {
        let name = format!("{}-{number}", workload.name);
        let labels = [
            ("pod", name.as_str()),
            ("peer", "%DOWNSTREAM_PEER_URI_SAN%"),
            ("path", "%PATH(NQ:PATH)%"),
            ("http_status", "%RESPONSE_CODE%"),
            ("grpc_status", "%GRPC_STATUS(SNAKE_STRING)%"),
            ("audit", "%DYNAMIC_METADATA(envoy.filters.http.rbac:shadow_engine_result)%"),
        ];
        let mut filters = Vec::from_iter(self.linkerd_policy(workload)?);
        filters.extend(self.istio_policy(workload)?);
        filters.extend(self.rate_limits(workload)?);
        let route = json!({
            "name": "application",
            "match": {"prefix": "/"},
            "route": {"cluster": format!("{name} itself"), "timeout": "0s"},
        });
        let manager = http_manager(&name, &labels, &[route], &filters);
        let tls = json!({
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": self.authority.context(&workload.service_account),
            "require_client_certificate": true,
        });
        let chain = json!({
            "filters": [manager],
            "transport_socket": {"name": "mtls", "typed_config": tls},
        });
        Ok(listener(&name, &sidecar(workload, number), &chain))
    }

    /// The application beside a proxy.
    pub(super) fn application(
        &self,
        workload: &Workload,
        number: usize,
        address: SocketAddr,
    ) -> Result<Value, String> {
        let name = format!("{}-{number} itself", workload.name);
        let endpoints = [endpoint(&tcp(address))];
        Ok(json!({
            "name": name,
            "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
            "typed_extension_protocol_options": protocol(&self.port(workload)?.name)?,
        }))
    }

    /// The port of the application.
    fn port(&self, workload: &Workload) -> Result<&ServicePort, String> {
        let mut services = self.objects.services.iter();
        let service =
            services.find(|one| self.behind(one).iter().any(|it| it.name == workload.name));
        let service = service.ok_or_else(|| format!("no Service of {}", workload.name))?;
        Self::port_of(service)
    }

    /// The Servers of Linkerd that are this port of this workload: no more than one.
    fn server(&self, workload: &Workload) -> Result<Option<&Object<Server>>, String> {
        let port = &self.port(workload)?.name;
        let mut servers = self.objects.servers.iter().filter(|server| {
            server.spec.port == *port && server.spec.pod_selector.selects(&workload.labels)
        });
        let server = servers.next();
        match servers.next() {
            None => Ok(server),
            Some(second) => Err(format!("{} overlaps another Server", second.name())),
        }
    }

    /// A Server lets in nobody whom no policy lets in; or, while it audits, says of whom it would not.
    fn linkerd_policy(&self, workload: &Workload) -> Result<Option<Value>, String> {
        let Some(server) = self.server(workload)? else { return Ok(None) };
        let rules = match server.spec.access_policy {
            AccessPolicy::AllUnauthenticated => return Ok(None),
            AccessPolicy::Audit => "shadow_rules",
            AccessPolicy::Deny => "rules",
        };
        let mut policies = Map::new();
        for policy in &self.objects.linkerd_policies {
            let LinkerdPolicy { target_ref: target, required_authentication_refs: required } =
                &policy.spec;
            if target.kind.as_deref() != Some("Server") {
                return Err(format!("{}: a target that is no Server", policy.name()));
            }
            let [who] = required.as_slice() else {
                return Err(format!("{}: not one authentication", policy.name()));
            };
            let who = self.authentication(who)?;
            if target.name == server.name() {
                let rule = json!({"permissions": [{"any": true}], "principals": [who]});
                policies.insert(policy.name().to_owned(), rule);
            }
        }
        Ok(Some(rbac(&json!({rules: {"action": "ALLOW", "policies": policies}}))))
    }

    /// Whom Linkerd takes for authenticated.
    fn authentication(&self, who: &Reference) -> Result<Value, String> {
        match who.kind.as_deref() {
            Some("ServiceAccount") => Ok(authenticated(&who.name)),
            Some("NetworkAuthentication") => {
                let networks = self.objects.networks.iter().find(|one| one.name() == who.name);
                let networks = networks.ok_or_else(|| format!("no networks {}", who.name))?;
                let all = |one: &Network| one.cidr == "0.0.0.0/0" || one.cidr == "::/0";
                if networks.spec.networks.iter().all(all) {
                    return Ok(json!({"any": true}));
                }
                Err(format!("{}: a network that is not all of it", who.name))
            }
            kind => Err(format!("an authentication of kind {kind:?}")),
        }
    }

    /// Istio's policies: what one denies is refused; then, if there are any that allow, what none of them allows.
    fn istio_policy(&self, workload: &Workload) -> Result<Vec<Value>, String> {
        let port = self.port(workload)?.target_port.to_string();
        let mut filters = Vec::new();
        for (action, name) in [(IstioAction::Deny, "DENY"), (IstioAction::Allow, "ALLOW")] {
            let mut policies = Map::new();
            let mut any = false;
            for policy in &self.objects.istio_policies {
                let selector = policy.spec.selector.as_ref();
                let here = selector.is_none_or(|one| one.selects(&workload.labels));
                if policy.spec.action != action || !here {
                    continue;
                }
                any = true;
                for (number, rule) in policy.spec.rules.iter().enumerate() {
                    if let Some(rule) = istio_rule(rule, &port) {
                        policies.insert(format!("{} {number}", policy.name()), rule);
                    }
                }
            }
            if any {
                filters.push(rbac(&json!({"rules": {"action": name, "policies": policies}})));
            }
        }
        Ok(filters)
    }

    /// So many requests a second, of all and of each client. Envoy fills its buckets once a second, Linkerd all the time.
    fn rate_limits(&self, workload: &Workload) -> Result<Vec<Value>, String> {
        let Some(server) = self.server(workload)? else { return Ok(Vec::new()) };
        let limits = &self.objects.rate_limits;
        if let Some(other) =
            limits.iter().find(|one| one.spec.target_ref.kind.as_deref() != Some("Server"))
        {
            return Err(format!("{}: a target that is no Server", other.name()));
        }
        let Some(limit) = limits.iter().find(|one| one.spec.target_ref.name == server.name())
        else {
            return Ok(Vec::new());
        };
        let bucket =
            |rate: u32| json!({"max_tokens": rate, "tokens_per_fill": rate, "fill_interval": "1s"});
        let accounts: BTreeSet<_> =
            self.objects.workloads.iter().map(|one| one.service_account.as_str()).collect();
        let of_clients = accounts.into_iter().map(|account| {
            let own = limit
                .spec
                .overrides
                .iter()
                .find(|one| one.client_refs.iter().any(|client| client.name == account));
            let rate =
                own.map_or(limit.spec.identity.requests_per_second, |one| one.requests_per_second);
            json!({
                "entries": [{"key": CLIENT, "value": identity(account)}],
                "token_bucket": bucket(rate),
            })
        });
        let always = json!({"default_value": {"numerator": 100}});
        let config = json!({
            "stat_prefix": "limit",
            "token_bucket": bucket(limit.spec.total.requests_per_second),
            "descriptors": of_clients.collect::<Vec<_>>(),
            "rate_limits": [{"actions": [
                {"request_headers": {"header_name": CLIENT, "descriptor_key": CLIENT}},
            ]}],
            "filter_enabled": always,
            "filter_enforced": always,
        });
        // A limit knows a client by a header only; this one is what its certificate says, whatever it sends.
        let who = json!({"mutations": {"request_mutations": [{"append": {
            "header": {"key": CLIENT, "value": "%DOWNSTREAM_PEER_URI_SAN%"},
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        }}]}});
        Ok(vec![
            filter("who", "header_mutation.v3.HeaderMutation", who),
            filter("rate limit", "local_ratelimit.v3.LocalRateLimit", config),
        ])
    }
}

/// The header in which a proxy tells its rate limit who calls.
const CLIENT: &str = "x-client";

/// Lets in or refuses.
fn rbac(rules: &Value) -> Value {
    filter("envoy.filters.http.rbac", "rbac.v3.RBAC", rules.clone())
}

/// A rule about a port of the application; none if it is about others only.
fn istio_rule(rule: &IstioPolicyRule, port: &str) -> Option<Value> {
    let any = json!([{"any": true}]);
    let accounts = rule.from.iter().flat_map(|from| &from.source.service_accounts);
    let principals: Vec<_> = accounts.map(|account| authenticated(account)).collect();
    let of_this_port = |operation: &&IstioOperation| {
        operation.ports.is_empty() || operation.ports.iter().any(|one| one == port)
    };
    let permission = |operation: &IstioOperation| {
        let method =
            |method| json!({"header": {"name": ":method", "string_match": {"exact": method}}});
        let methods: Vec<_> = operation.methods.iter().map(method).collect();
        let paths: Vec<_> = operation.paths.iter().map(|path| path_is(path)).collect();
        let both = [methods, paths].into_iter().filter(|one| !one.is_empty());
        let mut both: Vec<_> = both.map(|one| json!({"or_rules": {"rules": one}})).collect();
        both.push(json!({"any": true}));
        json!({"and_rules": {"rules": both}})
    };
    let operations = rule.to.iter().map(|to| &to.operation).filter(of_this_port);
    let permissions: Vec<_> = operations.map(permission).collect();
    if !rule.to.is_empty() && permissions.is_empty() {
        return None;
    }
    Some(json!({
        "principals": if rule.from.is_empty() { any.clone() } else { principals.into() },
        "permissions": if rule.to.is_empty() { any } else { permissions.into() },
    }))
}

/// Whoever has the certificate of a ServiceAccount.
fn authenticated(account: &str) -> Value {
    json!({"authenticated": {"principal_name": {"exact": identity(account)}}})
}

/// `/a/b`, or `/a/*` for all that begins so.
fn path_is(path: &str) -> Value {
    let path = match path.strip_suffix('*') {
        Some(prefix) => json!({"prefix": prefix}),
        None => json!({"exact": path}),
    };
    json!({"url_path": {"path": path}})
}
