//! The kinds of Linkerd, Flagger and Argo Rollouts that the components use, with the fields and values that they use, and no
//! others: what is misspelt, misplaced or of another type does not get through. Linkerd's schemas come with Linkerd only; those of
//! the others a real API server knows, in a test that takes longer.
#![expect(dead_code, reason = "what is read is checked by being read")]

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::rendered::RENDERED;
use emojivoto_e2e::manifests::{documents, kind, name};

/// An object of any of these kinds.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Object<Spec> {
    api_version: String,
    kind: String,
    metadata: Metadata,
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    name: String,
    namespace: String,
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Server {
    pod_selector: Selector,
    port: Port,
    proxy_protocol: Option<ProxyProtocol>,
    access_policy: Option<AccessPolicy>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Selector {
    #[serde(default)]
    match_labels: BTreeMap<String, String>,
    #[serde(default)]
    match_expressions: Vec<Expression>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expression {
    key: String,
    operator: Operator,
    #[serde(default)]
    values: Vec<String>,
}

#[derive(Deserialize)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Port {
    Number(u16),
    Name(String),
}

#[derive(Deserialize)]
enum ProxyProtocol {
    #[serde(rename = "unknown")]
    Unknown,
    #[serde(rename = "HTTP/1")]
    Http1,
    #[serde(rename = "HTTP/2")]
    Http2,
    #[serde(rename = "gRPC")]
    Grpc,
    #[serde(rename = "opaque")]
    Opaque,
    #[serde(rename = "TLS")]
    Tls,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum AccessPolicy {
    Deny,
    Audit,
    AllAuthenticated,
    AllUnauthenticated,
    ClusterAuthenticated,
    ClusterUnauthenticated,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AuthorizationPolicy {
    target_ref: Target,
    required_authentication_refs: Vec<Reference>,
}

/// Of the same namespace.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    #[serde(default)]
    group: String,
    kind: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reference {
    #[serde(default)]
    group: String,
    kind: String,
    name: String,
    namespace: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworkAuthentication {
    networks: Vec<Network>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Network {
    cidr: String,
    #[serde(default)]
    except: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MeshTlsAuthentication {
    #[serde(default)]
    identities: Vec<String>,
    #[serde(default)]
    identity_refs: Vec<Reference>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct HttpLocalRateLimitPolicy {
    target_ref: Target,
    total: Option<Limit>,
    identity: Option<Limit>,
    #[serde(default)]
    overrides: Vec<Override>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Limit {
    requests_per_second: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Override {
    requests_per_second: u32,
    client_refs: Vec<Reference>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Canary {
    provider: CanaryProvider,
    target_ref: Versioned,
    progress_deadline_seconds: Option<u32>,
    service: CanaryService,
    analysis: CanaryAnalysis,
}

#[derive(Deserialize)]
enum CanaryProvider {
    #[serde(rename = "gatewayapi:v1")]
    GatewayApi,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Versioned {
    api_version: String,
    kind: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CanaryService {
    name: Option<String>,
    port: u16,
    target_port: Option<Port>,
    port_name: Option<String>,
    app_protocol: Option<String>,
    #[serde(default)]
    gateway_refs: Vec<Parent>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Parent {
    group: Option<String>,
    kind: Option<String>,
    name: String,
    namespace: Option<String>,
    section_name: Option<String>,
    port: Option<u16>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CanaryAnalysis {
    interval: Duration,
    threshold: u32,
    max_weight: u32,
    step_weight: u32,
    metrics: Vec<CanaryMetric>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CanaryMetric {
    name: String,
    interval: Duration,
    template_ref: Option<TemplateRef>,
    #[serde(default)]
    template_variables: BTreeMap<String, String>,
    threshold_range: Range,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TemplateRef {
    name: String,
    namespace: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    min: Option<f64>,
    max: Option<f64>,
}

/// `30s`, `1m`.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Duration;

impl TryFrom<String> for Duration {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let number =
            text.strip_suffix(['s', 'm', 'h']).and_then(|number| number.parse::<u32>().ok());
        number.map(|_| Self).ok_or(format!("{text} is no duration"))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MetricTemplate {
    provider: MetricProvider,
    query: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MetricProvider {
    r#type: MetricProviderType,
    address: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum MetricProviderType {
    Prometheus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rollout {
    replicas: u32,
    workload_ref: Workload,
    strategy: Strategy,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Workload {
    api_version: String,
    kind: String,
    name: String,
    scale_down: Option<ScaleDown>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ScaleDown {
    Never,
    OnSuccess,
    Progressively,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Strategy {
    canary: CanaryStrategy,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CanaryStrategy {
    stable_service: String,
    canary_service: String,
    traffic_routing: TrafficRouting,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TrafficRouting {
    plugins: Plugins,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plugins {
    #[serde(rename = "argoproj-labs/gatewayAPI")]
    gateway_api: GatewayApi,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GatewayApi {
    http_route: String,
    namespace: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum Step {
    SetWeight(u8),
    Pause(Pause),
    Analysis(StepAnalysis),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pause {
    duration: Option<Duration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepAnalysis {
    templates: Vec<StepTemplate>,
    #[serde(default)]
    args: Vec<Argument>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StepTemplate {
    template_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Argument {
    name: String,
    value: Option<String>,
    value_from: Option<ValueFrom>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ValueFrom {
    field_ref: FieldRef,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FieldRef {
    field_path: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnalysisTemplate {
    #[serde(default)]
    args: Vec<Argument>,
    metrics: Vec<AnalysisMetric>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AnalysisMetric {
    name: String,
    initial_delay: Option<Duration>,
    interval: Duration,
    count: u32,
    failure_limit: u32,
    success_condition: String,
    provider: AnalysisProvider,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnalysisProvider {
    prometheus: Prometheus,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Prometheus {
    address: String,
    query: String,
}

/// Reads an object as what it should be.
type Read = fn(&Value) -> Result<(), serde_json::Error>;

/// The kinds, by version, and how to read them.
const KINDS: [(&str, &str, Read); 9] = [
    ("policy.linkerd.io/v1beta3", "Server", read::<Server>),
    ("policy.linkerd.io/v1alpha1", "AuthorizationPolicy", read::<AuthorizationPolicy>),
    ("policy.linkerd.io/v1alpha1", "NetworkAuthentication", read::<NetworkAuthentication>),
    ("policy.linkerd.io/v1alpha1", "MeshTLSAuthentication", read::<MeshTlsAuthentication>),
    ("policy.linkerd.io/v1alpha1", "HTTPLocalRateLimitPolicy", read::<HttpLocalRateLimitPolicy>),
    ("flagger.app/v1beta1", "Canary", read::<Canary>),
    ("flagger.app/v1beta1", "MetricTemplate", read::<MetricTemplate>),
    ("argoproj.io/v1alpha1", "Rollout", read::<Rollout>),
    ("argoproj.io/v1alpha1", "AnalysisTemplate", read::<AnalysisTemplate>),
];

fn read<Spec: DeserializeOwned>(object: &Value) -> Result<(), serde_json::Error> {
    serde_json::from_value::<Object<Spec>>(object.clone()).map(drop)
}

/// Whether this kind is one of them, and if so, how it reads.
pub(super) fn checked(object: &Value) -> Option<Result<(), serde_json::Error>> {
    let same = |(version, of, _): &&(&str, &str, Read)| {
        object["apiVersion"] == *version && kind(object) == *of
    };
    KINDS.iter().find(same).map(|(.., read)| read(object))
}

#[test]
fn what_is_rendered_is_of_these_types() {
    let mut seen = BTreeSet::new();
    for (directory, objects) in &*RENDERED {
        for object in objects {
            if let Some(checked) = checked(object) {
                seen.insert(kind(object));
                if let Err(error) = checked {
                    panic!("{directory:?}: {} {}: {error}", kind(object), name(object));
                }
            }
        }
    }
    // That one is for callers of other namespaces, of which the suite has none.
    let known =
        KINDS.map(|(_, kind, _)| kind).into_iter().filter(|kind| *kind != "MeshTLSAuthentication");
    assert_eq!(seen, known.collect(), "a type that nothing needs");
}

#[test]
fn each_type_refuses_what_is_bad() {
    let mut refused = BTreeSet::new();
    for (spec, says) in SPECS {
        let (kind, spec) = spec.split_once(' ').expect("a kind and a spec");
        let (version, ..) = KINDS.iter().find(|(_, of, _)| *of == kind).expect("a known kind");
        let head = "metadata: {name: it, namespace: emojivoto, labels: {}}";
        let text = format!("apiVersion: {version}\nkind: {kind}\n{head}\nspec: {spec}");
        let result = checked(&documents(&text).remove(0)).expect("a known kind");
        match (result, says) {
            (Ok(()), None) => (),
            (Err(error), Some(says)) => {
                assert!(error.to_string().contains(says), "{kind}, {says}: {error}");
                refused.insert(kind);
            }
            (result, _) => panic!("{text}: {result:?}"),
        }
    }
    assert_eq!(refused, KINDS.map(|(_, kind, _)| kind).into());
}

/// Specs, and what is said of them if they are bad.
const SPECS: [(&str, Option<&str>); 22] = [
    (
        "Server {podSelector: {matchLabels: {app: a}}, port: 80, proxyProtocol: HTTP/1, accessPolicy: audit}",
        None,
    ),
    ("Server {podSelector: {}, port: 80, proxyProtocol: http}", Some("unknown variant `http`")),
    ("Server {podSelector: {}, port: 80, accessPolicy: none}", Some("unknown variant `none`")),
    ("Server {podSelector: {app: a}, port: 80}", Some("unknown field `app`")),
    ("Server {podSelector: {}, port: 80000}", Some("did not match any variant")),
    ("Server {podSelector: {}, port: 80, policy: deny}", Some("unknown field `policy`")),
    (
        "AuthorizationPolicy {targetRef: {kind: Server, name: a, namespace: b}, requiredAuthenticationRefs: []}",
        Some("unknown field `namespace`"),
    ),
    (
        "AuthorizationPolicy {targetRef: {kind: Server, name: a}}",
        Some("missing field `requiredAuthenticationRefs`"),
    ),
    ("NetworkAuthentication {networks: [0.0.0.0/0]}", Some("expected struct Network")),
    ("MeshTLSAuthentication {identityRefs: [{kind: ServiceAccount, name: a}]}", None),
    ("MeshTLSAuthentication {identities: '*'}", Some("expected a sequence")),
    (
        "HTTPLocalRateLimitPolicy {targetRef: {kind: Server, name: a}, total: 100}",
        Some("expected struct Limit"),
    ),
    (
        "HTTPLocalRateLimitPolicy {targetRef: {kind: Server, name: a}, total: {requestsPerSecond: 1/s}}",
        Some("expected u32"),
    ),
    (
        "Canary {provider: gatewayapi:v1, targetRef: {apiVersion: v1, kind: Service, name: a}, service: {port: 80}, analysis: {interval: 30, threshold: 1, maxWeight: 50, stepWeight: 10, metrics: []}}",
        Some("expected a string"),
    ),
    (
        "Canary {provider: gatewayapi:v1, targetRef: {apiVersion: v1, kind: Service, name: a}, service: {port: 80, gateways: []}, analysis: {interval: 30s, threshold: 1, maxWeight: 50, stepWeight: 10, metrics: []}}",
        Some("unknown field `gateways`"),
    ),
    (
        "MetricTemplate {provider: {type: graphite, address: a}, query: b}",
        Some("unknown variant `graphite`"),
    ),
    ("MetricTemplate {provider: {type: prometheus, address: a}}", Some("missing field `query`")),
    (
        "Rollout {replicas: 1, workloadRef: {apiVersion: apps/v1, kind: Deployment, name: a}, strategy: {canary: {stableService: a, canaryService: b, trafficRouting: {plugins: {argoproj-labs/gatewayAPI: {httpRoute: a}}}, steps: [{setWeight: 10}, {pause: {}}]}}}",
        None,
    ),
    (
        "Rollout {replicas: 1, workloadRef: {apiVersion: apps/v1, kind: Deployment, name: a}, strategy: {canary: {stableService: a, canaryService: b, trafficRouting: {plugins: {argoproj-labs/gatewayAPI: {httpRoute: a}}}, steps: [{weight: 10}]}}}",
        Some("unknown variant `weight`"),
    ),
    (
        "Rollout {replicas: 1, workloadRef: {apiVersion: apps/v1, kind: Deployment, name: a}, strategy: {canary: {stableService: a, canaryService: b, trafficRouting: {plugins: {gatewayAPI: {httpRoute: a}}}, steps: []}}}",
        Some("unknown field `gatewayAPI`"),
    ),
    (
        "AnalysisTemplate {metrics: [{name: a, interval: 30s, count: 3, failureLimit: 1, successCondition: b, provider: {prometheus: {address: c}}}]}",
        Some("missing field `query`"),
    ),
    (
        "AnalysisTemplate {metrics: [{name: a, interval: 1d, count: 3, failureLimit: 1, successCondition: b, provider: {prometheus: {address: c, query: d}}}]}",
        Some("1d is no duration"),
    ),
];
