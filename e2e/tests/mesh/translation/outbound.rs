//! The client's proxy: where a request goes.

use std::{cmp::Reverse, time::Duration};

use serde_json::{Value, json};

use super::{
    Mesh, Translation, endpoint,
    failures::{Annotations, ISTIO_RETRIES_ON, failure_accrual, fault, outliers, retry, seconds},
    filter, http_manager, is, listener,
    matches::{Match, grpc_matches, http_matches, istio_matches},
    protocol, sidecar,
};
use crate::objects::{IstioRoute, Object, Reference, Route, RouteTimeouts, Service, Words};

/// The HTTP filter for faults; a route says which.
const FAULT: &str = "fault";

/// A request's way, once it has matched.
#[derive(Default)]
struct Way {
    /// Services and their shares.
    backends: Vec<(String, u32)>,
    timeout: Option<Duration>,
    retry: Option<Value>,
    fault: Option<Value>,
}

/// An object and the route of Envoy that it becomes, in the order in which they are tried.
type Ordered = (Reverse<[usize; 4]>, String, Value);

impl Translation<'_> {
    pub(super) fn outbound(&self, client: &str, service: &str) -> Result<Value, String> {
        let name = format!("{client} to {service}");
        let labels = [
            ("from", client),
            ("to", service),
            ("route", "%ROUTE_NAME%"),
            ("http_status", "%RESPONSE_CODE%"),
            ("grpc_status", "%GRPC_STATUS(SNAKE_STRING)%"),
            ("attempts", "%UPSTREAM_REQUEST_ATTEMPT_COUNT%"),
        ];
        let routes = self.routes(client, self.objects.service(service)?)?;
        let faults = [filter(FAULT, "fault.v3.HTTPFault", json!({}))];
        let manager = http_manager(&name, &labels, &routes, &faults);
        let address = json!({"socket_address": {"address": "127.0.0.1", "port_value": 0}});
        Ok(listener(&name, &address, &json!({"filters": [manager]})))
    }

    /// The routes of a Service for one client.
    fn routes(&self, client: &str, service: &Object<Service>) -> Result<Vec<Value>, String> {
        let grpc = attached(self, &self.objects.grpc_routes, service)?;
        let http = attached(self, &self.objects.http_routes, service)?;
        let of_istio: Vec<_> = (self.objects.virtual_services.iter())
            .filter(|object| object.spec.hosts.iter().any(|host| is(host, service.name())))
            .collect();
        match (grpc.is_empty(), http.is_empty(), of_istio.len()) {
            (true, true, 0) => {
                let mut way = self.way(service, &Words::new(), &RouteTimeouts::default())?;
                way.backends = vec![(service.name().to_owned(), 1)];
                Ok(vec![Self::route(client, "default", &json!({"prefix": "/"}), way)])
            }
            (true, true, 1) => {
                let routes = of_istio[0].spec.http.iter();
                let object = (of_istio[0].name(), Self::port_of(service)?.port);
                let routes = routes.map(|route| self.istio_routes(client, object, route));
                Ok(routes.collect::<Result<Vec<_>, _>>()?.concat())
            }
            (false, true, 0) => self.ordered(client, service, &grpc, grpc_matches),
            (true, false, 0) => self.ordered(client, service, &http, http_matches),
            _ => Err(format!("routes of two kinds or objects for {}", service.name())),
        }
    }

    /// Routes of the Gateway API: the more a match says, the earlier it is tried, wherever it stands.
    fn ordered<M>(
        &self,
        client: &str,
        service: &Object<Service>,
        routes: &[&Object<Route<M>>],
        matches: impl Fn(&[M]) -> Vec<Match>,
    ) -> Result<Vec<Value>, String> {
        let mut ordered: Vec<Ordered> = Vec::new();
        for route in routes {
            for rule in &route.spec.rules {
                for (weight, requests) in matches(&rule.matches) {
                    let mut way = self.way(service, &route.metadata.annotations, &rule.timeouts)?;
                    way.backends = rule
                        .backend_refs
                        .iter()
                        .map(|backend| self.backend(service, backend))
                        .collect::<Result<_, _>>()?;
                    if way.backends.is_empty() {
                        return Err(format!("{}: a rule without backendRefs", route.name()));
                    }
                    let name = route.name().to_owned();
                    let made = Self::route(client, &name, &requests, way);
                    ordered.push((Reverse(weight), name, made));
                }
            }
        }
        ordered.sort_by(|(a, a_name, _), (b, b_name, _)| (a, a_name).cmp(&(b, b_name)));
        Ok(ordered.into_iter().map(|(_, _, route)| route).collect())
    }

    /// The Service that a route names, and its share.
    fn backend(
        &self,
        parent: &Object<Service>,
        reference: &Reference,
    ) -> Result<(String, u32), String> {
        let kind = reference.kind.as_deref().unwrap_or("Service");
        let service = self.objects.service(&reference.name)?;
        let port = Self::port_of(service)?.port;
        let wrong =
            kind != "Service" || !reference.group.is_empty() || reference.port != Some(port);
        if wrong || self.behind(service).is_empty() {
            return Err(format!("{}: no such backend: {}", parent.name(), reference.name));
        }
        Ok((reference.name.clone(), reference.weight))
    }

    /// What holds for a route besides where it leads to. Of a Service's annotations, those of retries hold for routes that
    /// have none of their own; and those of timeouts likewise.
    fn way(
        &self,
        service: &Object<Service>,
        of_route: &Words,
        timeouts: &RouteTimeouts,
    ) -> Result<Way, String> {
        let istio = self.mesh == Mesh::Istio;
        if istio && !(service.metadata.annotations.is_empty() && of_route.is_empty()) {
            return Err(format!("annotations of {}, for Istio", service.name()));
        }
        if !istio && timeouts.backend_request.is_some() {
            return Err(format!("a time for each try for {}, for Linkerd", service.name()));
        }
        let of_service = Annotations::read(&service.metadata.annotations)?;
        let mut ours = Annotations::read(of_route)?;
        ours.timeout = ours.timeout.or(timeouts.request).or(of_service.timeout);
        if ours.retry_on.is_empty() {
            ours.retry_on = of_service.retry_on;
            ours.retry_limit = of_service.retry_limit;
            ours.retry_timeout = of_service.retry_timeout;
        }
        let Annotations { retry_on, retry_limit, retry_timeout, timeout } = ours;
        let retry = match self.mesh {
            Mesh::Linkerd if retry_on.is_empty() => None,
            Mesh::Linkerd => Some(retry(&retry_on, retry_limit.unwrap_or(1), retry_timeout)?),
            Mesh::Istio => Some(retry(ISTIO_RETRIES_ON, 2, timeouts.backend_request)?),
        };
        Ok(Way { timeout, retry, ..Way::default() })
    }

    /// One route of a VirtualService.
    fn istio_routes(
        &self,
        client: &str,
        (object, port): (&str, u16),
        route: &IstioRoute,
    ) -> Result<Vec<Value>, String> {
        let name = route.name.as_deref().unwrap_or(object);
        let way = || {
            let mut way = Way { timeout: route.timeout, ..Way::default() };
            for destination in &route.route {
                let host = &destination.destination.host;
                let backend = self.objects.services.iter().find(|one| is(host, one.name()));
                let backend = backend.ok_or_else(|| format!("{object}: no Service {host}"))?;
                let port = Self::port_of(backend)?.port;
                if destination.destination.port.as_ref().is_some_and(|one| one.number != port) {
                    return Err(format!("{object}: no such port of {host}"));
                }
                way.backends.push((backend.name().to_owned(), destination.weight));
            }
            way.retry = match &route.retries {
                None => Some(retry(ISTIO_RETRIES_ON, 2, None)?),
                Some(retries) if retries.attempts == 0 => None,
                Some(retries) => {
                    let on = retries.retry_on.as_deref().unwrap_or(ISTIO_RETRIES_ON);
                    Some(retry(on, retries.attempts, retries.per_try_timeout)?)
                }
            };
            if let Some(injected) = &route.fault {
                // On the side of the client, these are off then.
                (way.retry, way.timeout) = (None, None);
                way.fault = Some(fault(injected)?);
            }
            Ok(way)
        };
        let matches = istio_matches(&route.matches, port).into_iter();
        matches.map(|one| Ok(Self::route(client, name, &one, way()?))).collect()
    }

    fn route(client: &str, name: &str, requests: &Value, way: Way) -> Value {
        let clusters: Vec<_> = way
            .backends
            .iter()
            .map(|(service, weight)| json!({"name": cluster_name(client, service), "weight": weight}))
            .collect();
        let mut route = json!({
            "name": name,
            "match": requests,
            "route": {
                "weighted_clusters": {"clusters": clusters},
                // None of Envoy's own fifteen seconds.
                "timeout": seconds(way.timeout.unwrap_or_default()),
            },
        });
        if let Some(retry) = way.retry {
            route["route"]["retry_policy"] = retry;
        }
        if let Some(fault) = way.fault {
            route["typed_per_filter_config"] = json!({FAULT: fault});
        }
        route
    }

    /// The pods of a Service for one client; none if there are none here.
    pub(super) fn cluster(
        &self,
        client: &str,
        service: &Object<Service>,
    ) -> Result<Option<Value>, String> {
        let sidecars = self.behind(service).into_iter().flat_map(|workload| {
            let pods = self.pods[workload.name.as_str()].len();
            (0..pods).map(|number| endpoint(&sidecar(workload, number)))
        });
        let endpoints: Vec<_> = sidecars.collect();
        if endpoints.is_empty() {
            return Ok(None);
        }
        let name = cluster_name(client, service.name());
        let account = &self.objects.workload(client)?.service_account;
        let mut cluster = json!({
            "name": name,
            "lb_policy": "LEAST_REQUEST",
            "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
            "typed_extension_protocol_options": protocol(&Self::port_of(service)?.name)?,
            "transport_socket": {"name": "mtls", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                "common_tls_context": self.authority.context(account),
            }},
        });
        let rules = self.objects.destination_rules.iter();
        let mut rules = rules.filter(|rule| is(&rule.spec.host, service.name()));
        let outliers = match (rules.next(), rules.next()) {
            (None, _) => failure_accrual(&service.metadata.annotations)?,
            (Some(rule), None) => Some(outliers(&rule.spec.traffic_policy.outlier_detection)),
            (Some(_), Some(second)) => {
                return Err(format!("a second DestinationRule: {}", second.name()));
            }
        };
        if let Some(outliers) = outliers {
            cluster["outlier_detection"] = outliers;
            // Those that are left out stay so, and be it all of them.
            cluster["common_lb_config"] = json!({"healthy_panic_threshold": {"value": 0}});
        }
        Ok(Some(cluster))
    }
}

fn cluster_name(client: &str, service: &str) -> String {
    format!("{client} to {service}")
}

/// The routes that hang on a Service.
fn attached<'a, M>(
    of: &Translation<'_>,
    routes: &'a [Object<Route<M>>],
    service: &Object<Service>,
) -> Result<Vec<&'a Object<Route<M>>>, String> {
    let mut attached = Vec::new();
    for route in routes {
        for parent in &route.spec.parent_refs {
            let (kind, group) = (parent.kind.as_deref().unwrap_or("Gateway"), &parent.group);
            if kind != "Service" || !group.is_empty() {
                return Err(format!("{} hangs on a {kind}", route.name()));
            }
            of.objects.service(&parent.name)?;
            if parent.name == service.name() {
                if parent.port != Some(Translation::port_of(service)?.port) {
                    return Err(format!("{}: no such port of {}", route.name(), parent.name));
                }
                attached.push(route);
            }
        }
    }
    Ok(attached)
}
