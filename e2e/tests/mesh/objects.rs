//! The objects that say what a mesh does, as far as the translation understands them. All else is an error.

use std::{collections::BTreeMap, time::Duration};

use emojivoto_e2e::manifests::{at, kind, name};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

/// Names and values: labels, annotations.
pub(crate) type Words = BTreeMap<String, String>;

/// What is said of every object.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metadata {
    pub(crate) name: String,
    #[serde(rename = "namespace")]
    _namespace: String,
    #[serde(default, rename = "labels")]
    _labels: Words,
    #[serde(default)]
    pub(crate) annotations: Words,
}

/// An object of a kind.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Object<S> {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    pub(crate) metadata: Metadata,
    pub(crate) spec: S,
}

impl<S> Object<S> {
    pub(crate) fn name(&self) -> &str {
        &self.metadata.name
    }
}

/// What makes pods: of it only who they are.
pub(crate) struct Workload {
    pub(crate) name: String,
    pub(crate) labels: Words,
    pub(crate) service_account: String,
}

/// Service
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Service {
    #[serde(rename = "type")]
    _type: Option<String>,
    pub(crate) selector: Words,
    pub(crate) ports: Vec<ServicePort>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ServicePort {
    pub(crate) name: String,
    pub(crate) port: u16,
    pub(crate) target_port: u16,
    #[serde(rename = "appProtocol")]
    _app_protocol: String,
}

/// GRPCRoute and HTTPRoute
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Route<M> {
    pub(crate) parent_refs: Vec<Reference>,
    pub(crate) rules: Vec<RouteRule<M>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct RouteRule<M> {
    #[serde(default = "Vec::new")]
    pub(crate) matches: Vec<M>,
    #[serde(default)]
    pub(crate) backend_refs: Vec<Reference>,
    #[serde(default)]
    pub(crate) timeouts: RouteTimeouts,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct RouteTimeouts {
    #[serde(default, deserialize_with = "duration")]
    pub(crate) request: Option<Duration>,
    #[serde(default, deserialize_with = "duration")]
    pub(crate) backend_request: Option<Duration>,
}

/// What another object is called.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reference {
    #[serde(default)]
    pub(crate) group: String,
    pub(crate) kind: Option<String>,
    pub(crate) name: String,
    pub(crate) port: Option<u16>,
    #[serde(default = "one")]
    pub(crate) weight: u32,
}

fn one() -> u32 {
    1
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrpcMatch {
    pub(crate) method: GrpcMethod,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrpcMethod {
    #[serde(default, rename = "type")]
    _type: GrpcMethodType,
    pub(crate) service: String,
    pub(crate) method: Option<String>,
}

/// Regular expressions are not among them: Linkerd refuses them, too.
#[derive(Default, Deserialize)]
enum GrpcMethodType {
    #[default]
    Exact,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpMatch {
    pub(crate) path: Option<HttpPath>,
    pub(crate) method: Option<String>,
    #[serde(default)]
    pub(crate) headers: Vec<HttpHeader>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpHeader {
    #[serde(default, rename = "type")]
    pub(crate) kind: HttpHeaderType,
    pub(crate) name: String,
    pub(crate) value: String,
}

#[derive(Clone, Copy, Default, Deserialize)]
pub(crate) enum HttpHeaderType {
    #[default]
    Exact,
    RegularExpression,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpPath {
    #[serde(rename = "type")]
    pub(crate) kind: HttpPathType,
    pub(crate) value: String,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
pub(crate) enum HttpPathType {
    Exact,
    PathPrefix,
}

/// Linkerd's Server
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Server {
    pub(crate) pod_selector: LabelSelector,
    pub(crate) port: String,
    #[serde(rename = "proxyProtocol")]
    _proxy_protocol: String,
    #[serde(default)]
    pub(crate) access_policy: AccessPolicy,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct LabelSelector {
    #[serde(default)]
    match_labels: Words,
    #[serde(default)]
    match_expressions: Vec<LabelExpression>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LabelExpression {
    key: String,
    #[serde(rename = "operator")]
    _operator: LabelOperator,
    values: Vec<String>,
}

#[derive(Deserialize)]
enum LabelOperator {
    In,
}

impl LabelSelector {
    /// Whether it selects what has these labels.
    pub(crate) fn selects(&self, labels: &Words) -> bool {
        let is_one = |it: &LabelExpression| {
            labels.get(&it.key).is_some_and(|value| it.values.contains(value))
        };
        selects(&self.match_labels, labels) && self.match_expressions.iter().all(is_one)
    }
}

/// Whether labels are among others.
pub(crate) fn selects(selector: &Words, labels: &Words) -> bool {
    selector.iter().all(|(name, value)| labels.get(name) == Some(value))
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AccessPolicy {
    #[default]
    Deny,
    Audit,
    AllUnauthenticated,
}

/// Linkerd's AuthorizationPolicy
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct LinkerdPolicy {
    pub(crate) target_ref: Reference,
    pub(crate) required_authentication_refs: Vec<Reference>,
}

/// Linkerd's NetworkAuthentication
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NetworkAuthentication {
    pub(crate) networks: Vec<Network>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Network {
    pub(crate) cidr: String,
}

/// Linkerd's HTTPLocalRateLimitPolicy
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct RateLimitPolicy {
    pub(crate) target_ref: Reference,
    pub(crate) total: Rate,
    pub(crate) identity: Rate,
    #[serde(default)]
    pub(crate) overrides: Vec<RateOfSome>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct RateOfSome {
    pub(crate) requests_per_second: u32,
    pub(crate) client_refs: Vec<Reference>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Rate {
    pub(crate) requests_per_second: u32,
}

/// Istio's VirtualService
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VirtualService {
    pub(crate) hosts: Vec<String>,
    pub(crate) http: Vec<IstioRoute>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IstioRoute {
    pub(crate) name: Option<String>,
    #[serde(default, rename = "match")]
    pub(crate) matches: Vec<IstioMatch>,
    pub(crate) route: Vec<IstioDestination>,
    pub(crate) fault: Option<IstioFault>,
    pub(crate) retries: Option<IstioRetries>,
    #[serde(default, deserialize_with = "duration")]
    pub(crate) timeout: Option<Duration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IstioMatch {
    pub(crate) uri: Option<StringMatch>,
    pub(crate) port: Option<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub(crate) enum StringMatch {
    Exact(String),
    Prefix(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IstioDestination {
    pub(crate) destination: IstioHost,
    #[serde(default = "one")]
    pub(crate) weight: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IstioHost {
    pub(crate) host: String,
    pub(crate) port: Option<IstioPort>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IstioPort {
    pub(crate) number: u16,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IstioFault {
    pub(crate) abort: Option<IstioAbort>,
    pub(crate) delay: Option<IstioDelay>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct IstioAbort {
    pub(crate) grpc_status: Option<String>,
    pub(crate) http_status: Option<u16>,
    pub(crate) percentage: Percentage,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct IstioDelay {
    #[serde(deserialize_with = "duration")]
    pub(crate) fixed_delay: Option<Duration>,
    pub(crate) percentage: Percentage,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Percentage {
    pub(crate) value: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct IstioRetries {
    pub(crate) attempts: u32,
    #[serde(default, deserialize_with = "duration")]
    pub(crate) per_try_timeout: Option<Duration>,
    pub(crate) retry_on: Option<String>,
}

/// Istio's DestinationRule
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct DestinationRule {
    pub(crate) host: String,
    pub(crate) traffic_policy: TrafficPolicy,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct TrafficPolicy {
    pub(crate) outlier_detection: OutlierDetection,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct OutlierDetection {
    #[serde(rename = "consecutive5xxErrors")]
    pub(crate) consecutive_5xx_errors: Option<u32>,
    pub(crate) consecutive_gateway_errors: Option<u32>,
    #[serde(deserialize_with = "duration")]
    pub(crate) interval: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    pub(crate) base_ejection_time: Option<Duration>,
    #[serde(default = "a_tenth")]
    pub(crate) max_ejection_percent: u32,
}

fn a_tenth() -> u32 {
    10
}

/// Istio's AuthorizationPolicy
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IstioPolicy {
    pub(crate) selector: Option<LabelSelector>,
    #[serde(default)]
    pub(crate) action: IstioAction,
    #[serde(default)]
    pub(crate) rules: Vec<IstioPolicyRule>,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum IstioAction {
    #[default]
    Allow,
    Deny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IstioPolicyRule {
    #[serde(default)]
    pub(crate) from: Vec<IstioFrom>,
    #[serde(default)]
    pub(crate) to: Vec<IstioTo>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IstioFrom {
    pub(crate) source: IstioSource,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[serde(rename_all = "camelCase")]
pub(crate) struct IstioSource {
    /// Of the same namespace.
    pub(crate) service_accounts: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IstioTo {
    pub(crate) operation: IstioOperation,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IstioOperation {
    #[serde(default)]
    pub(crate) methods: Vec<String>,
    #[serde(default)]
    pub(crate) paths: Vec<String>,
    #[serde(default)]
    pub(crate) ports: Vec<String>,
}

/// A span of time as Go, and so Kubernetes, writes it: `1.5s`, `1m30s`.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    let error = || format!("not a span of time: {text:?}");
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).ok_or_else(error)?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            _ => return Err(error()),
        };
        let number: f64 = number.parse().map_err(|_| error())?;
        total += Duration::from_secs_f64(number * seconds);
        rest = tail;
    }
    if text.is_empty() { Err(error()) } else { Ok(total) }
}

fn duration<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(from)?;
    span(&text).map(Some).map_err(serde::de::Error::custom)
}

/// All of them.
#[derive(Default)]
pub(crate) struct Objects {
    pub(crate) workloads: Vec<Workload>,
    pub(crate) services: Vec<Object<Service>>,
    pub(crate) grpc_routes: Vec<Object<Route<GrpcMatch>>>,
    pub(crate) http_routes: Vec<Object<Route<HttpMatch>>>,
    pub(crate) servers: Vec<Object<Server>>,
    pub(crate) linkerd_policies: Vec<Object<LinkerdPolicy>>,
    pub(crate) networks: Vec<Object<NetworkAuthentication>>,
    pub(crate) rate_limits: Vec<Object<RateLimitPolicy>>,
    pub(crate) virtual_services: Vec<Object<VirtualService>>,
    pub(crate) destination_rules: Vec<Object<DestinationRule>>,
    pub(crate) istio_policies: Vec<Object<IstioPolicy>>,
}

impl Objects {
    /// Reads what kubectl has rendered.
    pub(crate) fn read(documents: &[Value]) -> Result<Self, String> {
        fn as_object<S: DeserializeOwned>(document: &Value) -> Result<Object<S>, String> {
            serde_json::from_value(document.clone())
                .map_err(|e| format!("{} {}: {e}", kind(document), name(document)))
        }
        let mut all = Self::default();
        for document in documents {
            let version = document["apiVersion"].as_str().unwrap_or_default();
            match (version, kind(document)) {
                ("apps/v1", _) => all.workloads.push(workload(document)),
                ("v1", "Service") => all.services.push(as_object(document)?),
                ("gateway.networking.k8s.io/v1", "GRPCRoute") => {
                    all.grpc_routes.push(as_object(document)?);
                }
                ("gateway.networking.k8s.io/v1", "HTTPRoute") => {
                    all.http_routes.push(as_object(document)?);
                }
                ("policy.linkerd.io/v1beta3", "Server") => all.servers.push(as_object(document)?),
                ("policy.linkerd.io/v1alpha1", "AuthorizationPolicy") => {
                    all.linkerd_policies.push(as_object(document)?);
                }
                ("policy.linkerd.io/v1alpha1", "NetworkAuthentication") => {
                    all.networks.push(as_object(document)?);
                }
                ("policy.linkerd.io/v1alpha1", "HTTPLocalRateLimitPolicy") => {
                    all.rate_limits.push(as_object(document)?);
                }
                ("networking.istio.io/v1", "VirtualService") => {
                    all.virtual_services.push(as_object(document)?);
                }
                ("networking.istio.io/v1", "DestinationRule") => {
                    all.destination_rules.push(as_object(document)?);
                }
                ("security.istio.io/v1", "AuthorizationPolicy") => {
                    all.istio_policies.push(as_object(document)?);
                }
                // They say nothing of the calls between the services; and here, everybody shows a certificate.
                (
                    _,
                    "Namespace" | "ServiceAccount" | "Ingress" | "Telemetry" | "PodMonitor"
                    | "PeerAuthentication",
                ) => {}
                (version, kind) => {
                    return Err(format!("{kind} {} of {version}", name(document)));
                }
            }
        }
        Ok(all)
    }

    /// The Service of a name.
    pub(crate) fn service(&self, called: &str) -> Result<&Object<Service>, String> {
        let service = self.services.iter().find(|service| service.name() == called);
        service.ok_or_else(|| format!("no Service {called}"))
    }

    /// The workload of a name.
    pub(crate) fn workload(&self, called: &str) -> Result<&Workload, String> {
        let workload = self.workloads.iter().find(|workload| workload.name == called);
        workload.ok_or_else(|| format!("no workload {called}"))
    }
}

fn workload(document: &Value) -> Workload {
    let labels = at(document, "/spec/template/metadata/labels").as_object();
    let text = |value: &Value| value.as_str().expect("labels are texts").to_owned();
    let labels = labels.into_iter().flatten().map(|(name, value)| (name.clone(), text(value)));
    let account = at(document, "/spec/template/spec/serviceAccountName").as_str();
    Workload {
        name: name(document).to_owned(),
        labels: labels.collect(),
        service_account: account.unwrap_or("default").to_owned(),
    }
}
