//! Which requests a route is for.

use serde_json::{Value, json};

use crate::objects::{
    GrpcMatch, HttpHeader, HttpHeaderType, HttpMatch, HttpPathType, IstioMatch, StringMatch,
};

/// How specific a match is, and what it is for Envoy.
pub(super) type Match = ([usize; 4], Value);

/// The more characters of the service, then of the method, the more specific.
pub(super) fn grpc_matches(matches: &[GrpcMatch]) -> Vec<Match> {
    let made = |GrpcMatch { method }: &GrpcMatch| {
        let service = &method.service;
        let path = match &method.method {
            Some(name) => json!({"path": format!("/{service}/{name}")}),
            None => json!({"prefix": format!("/{service}/")}),
        };
        ([0, service.len(), method.method.as_ref().map_or(0, String::len), 0], path)
    };
    or_everything(matches.iter().map(made).collect())
}

/// An exact path comes before a prefix, a longer one before a shorter, and one with a method, then
/// with more headers, before one without.
pub(super) fn http_matches(matches: &[HttpMatch]) -> Vec<Match> {
    let made = |HttpMatch { path, method, headers }: &HttpMatch| {
        let (exact, length, mut request) = match path {
            None => (0, 1, json!({"prefix": "/"})),
            Some(path) => match (path.kind, path.value.as_str()) {
                (HttpPathType::Exact, value) => (1, value.len(), json!({"path": value})),
                (HttpPathType::PathPrefix, "/") => (0, 1, json!({"prefix": "/"})),
                (HttpPathType::PathPrefix, value) => {
                    (0, value.len(), json!({"path_separated_prefix": value}))
                }
            },
        };
        let header = |name: &str, value: Value| json!({"name": name, "string_match": value});
        let mut all: Vec<_> =
            method.iter().map(|value| header(":method", json!({"exact": value}))).collect();
        all.extend(headers.iter().map(|HttpHeader { kind, name, value }| match kind {
            HttpHeaderType::Exact => header(name, json!({"exact": value})),
            HttpHeaderType::RegularExpression => {
                header(name, json!({"safe_regex": {"regex": value}}))
            }
        }));
        request["headers"] = all.into();
        ([exact, length, method.iter().len(), headers.len()], request)
    };
    or_everything(matches.iter().map(made).collect())
}

fn or_everything(matches: Vec<Match>) -> Vec<Match> {
    if matches.is_empty() { vec![([0; 4], json!({"prefix": "/"}))] } else { matches }
}

/// Those of a route of a VirtualService that are about this port.
pub(super) fn istio_matches(matches: &[IstioMatch], port: u16) -> Vec<Value> {
    let everything = json!({"prefix": "/"});
    if matches.is_empty() {
        return vec![everything];
    }
    let made = |IstioMatch { uri, .. }: &IstioMatch| match uri {
        None => everything.clone(),
        Some(StringMatch::Exact(path)) => json!({"path": path}),
        Some(StringMatch::Prefix(prefix)) => json!({"prefix": prefix}),
    };
    let here = matches.iter().filter(|one| one.port.is_none_or(|one| one == port));
    here.map(made).collect()
}
