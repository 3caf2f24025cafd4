//! What the translation does not understand is an error.

use emojivoto_e2e::manifests::{documents, kind};
use serde_json::Value;

use crate::{
    suite::{change, variant},
    translation::{Mesh, Pods, envoy},
};

/// Why objects are not translated.
fn refused(mesh: Mesh, objects: &[Value]) -> String {
    let pods = Pods::from([
        ("emoji", vec![([127, 0, 0, 1], 1).into()]),
        ("voting", vec![([127, 0, 0, 1], 2).into()]),
        ("web", vec![([127, 0, 0, 1], 3).into()]),
    ]);
    let calls = [("web", "voting-svc"), ("vote-bot", "web-svc")];
    envoy(mesh, objects, &pods, &calls).map_or_else(|error| error, |_| "nothing".to_owned())
}

/// What is set in an object of a variant: the variant, the object, a path below it, and what, as YAML. And a part of what the
/// translation says to it.
const BAD: &str = "\
linkerd | GRPCRoute vote-joy | spec/rules/0/matches/0/method/type | RegularExpression | RegularExpression
linkerd | GRPCRoute vote-joy | spec/rules/0/matches/0/headers | [{name: a, value: b}] | `headers`
linkerd | GRPCRoute vote-joy | spec/rules/0/filters | [] | `filters`
linkerd | GRPCRoute vote-joy | spec/rules/0/backendRefs | [] | without backendRefs
linkerd | GRPCRoute vote-joy | spec/rules/0/backendRefs/0/name | nowhere | no Service nowhere
linkerd | GRPCRoute vote-joy | spec/rules/0/backendRefs/0/port | 8801 | no such backend
linkerd | GRPCRoute vote-joy | spec/parentRefs/0/port | 80 | no such port
linkerd | GRPCRoute vote-joy | spec/parentRefs/0/kind | Gateway | hangs on a Gateway
linkerd | GRPCRoute vote-joy | spec/parentRefs/0/name | nobody | no Service nobody
linkerd | GRPCRoute vote-joy | metadata/annotations | {retry.linkerd.io/grpc: unknown} | unknown
linkerd | Service voting-svc | metadata/annotations | {timeout.linkerd.io/forever: 1s} | timeout.linkerd.io/forever
linkerd | Service voting-svc | metadata/annotations | {timeout.linkerd.io/request: soon} | soon
linkerd | Service voting-svc | metadata/annotations | {balancer.linkerd.io/failure-accrual: unified} | unified
linkerd-resilience | HTTPRoute web-others | spec/rules/0/timeouts/backendRequest | 1s | for Linkerd
linkerd-policy | Server voting-grpc | spec/accessPolicy | all-authenticated | all-authenticated
linkerd-policy | Server voting-grpc | spec/podSelector/matchLabels/app | emoji-svc | overlaps
linkerd-policy | AuthorizationPolicy voting-for-web | spec/targetRef/kind | Namespace | a target that is no Server
linkerd-policy | NetworkAuthentication everyone | spec/networks/0/cidr | 10.0.0.0/8 | not all of it
istio | VirtualService voting-svc | spec/http/0/mirror | {host: voting-svc} | `mirror`
istio | VirtualService voting-svc | spec/http/0/route/0/destination/subset | v2 | `subset`
istio | VirtualService voting-svc | spec/hosts | [voting] | no Service voting
istio | Service web-svc | metadata/annotations | {timeout.linkerd.io/request: 1s} | for Istio
istio-faults | VirtualService voting-svc | spec/http/0/fault/abort/grpcStatus | unavailable | no status of gRPC
istio-policy | AuthorizationPolicy voting | spec/rules/0/when | [] | `when`";

#[test]
fn what_is_not_understood_is_an_error() {
    for line in BAD.lines() {
        let words: Vec<_> = line.split(" | ").collect();
        let [of, object, path, value, expected] = words[..] else { panic!("not five: {line}") };
        let (wanted, called) = object.split_once(' ').expect("a kind and a name");
        let mesh = if of.starts_with("istio") { Mesh::Istio } else { Mesh::Linkerd };
        let mut objects = variant(of);
        assert_eq!(refused(mesh, &objects), "nothing", "{of}");
        change(&mut objects, wanted, called, |object| {
            let (parent, key) = path.rsplit_once('/').expect("a path");
            let parent = object.pointer_mut(&format!("/{parent}")).expect(path);
            parent[key] = documents(value).remove(0);
        });
        let error = refused(mesh, &objects);
        assert!(error.contains(expected), "{called}, {path}: {expected:?} is not in {error:?}");
    }
}

#[test]
fn nor_is_an_unknown_object_passed_over_or_one_of_the_other_mesh() {
    let of_kind = |wanted: &str, objects: Vec<Value>| {
        objects.into_iter().filter(|object| kind(object) == wanted).collect::<Vec<_>>()
    };
    let profile = documents(
        "{apiVersion: linkerd.io/v1alpha2, kind: ServiceProfile, metadata: {name: voting-svc}}",
    );
    let virtual_service = of_kind("VirtualService", variant("istio"));
    let servers = of_kind("Server", variant("linkerd-policy"));
    for (mesh, of, more, expected) in [
        (Mesh::Linkerd, "linkerd", profile, "ServiceProfile"),
        (Mesh::Linkerd, "linkerd", virtual_service.clone(), "two meshes"),
        (Mesh::Istio, "istio", servers, "two meshes"),
        // Istio leaves undefined what these two are together.
        (Mesh::Istio, "linkerd", virtual_service.clone(), "routes of two kinds"),
        (Mesh::Istio, "istio", virtual_service, "routes of two kinds"),
    ] {
        let mut objects = variant(of);
        objects.extend(more);
        let error = refused(mesh, &objects);
        assert!(error.contains(expected), "{expected:?} is not in {error:?}");
    }
}
