//! `docs/drills/find-the-failing-vote.md`: one route, one number.

use std::collections::BTreeMap;

use emojivoto_e2e::manifests::{at, kind, name};
use emojivoto_proto::Shortcode;
use emojivoto_testkit::{eventually, http};
use serde_json::Value;

use crate::{
    suite::{Suite, Voting, variant, without},
    translation::Mesh,
};

/// The route of each RPC of voting-svc.
fn routes(objects: &[Value]) -> BTreeMap<String, String> {
    let routes = objects.iter().filter(|object| kind(object) == "GRPCRoute");
    let method = |route: &Value| {
        let method = at(route, "/spec/rules/0/matches/0/method/method").as_str()?;
        Some((method.to_owned(), name(route).to_owned()))
    };
    routes.filter_map(method).collect()
}

/// Calls a method, and returns the status of gRPC.
async fn call(suite: &Suite, method: &str, message: &[u8]) -> String {
    let url = format!("http://{}{method}", suite.proxies.address("web to voting-svc"));
    http::post_h2(&url, "application/grpc", message).await.header("grpc-status").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_route_of_the_failing_vote_stands_out() {
    let objects = variant("linkerd");
    let routes = routes(&objects);
    let voting = Voting::start().await;
    let suite = Suite::start(Mesh::Linkerd, &objects, &[voting.address()]).await;

    for emoji in Shortcode::all() {
        let expected = if emoji == Shortcode::doughnut() { 500 } else { 200 };
        assert_eq!(suite.vote(emoji.as_str()).await, expected, "{emoji}");
    }

    let ended = |status| suite.calls(&routes["VoteDoughnut"], status);
    eventually("the doughnut's route has a call", async || {
        (ended("UNKNOWN").await == 1).then_some(())
    })
    .await;
    assert_eq!(ended("OK").await, 0);
    let others = Shortcode::all().filter(|emoji| *emoji != Shortcode::doughnut());
    // For the last one, web asks before it is ready.
    let others = others.map(Shortcode::rpc).chain(["Results"]);
    for rpc in others {
        let route = &routes[rpc];
        eventually(&format!("the route {route} has a call"), async || {
            (suite.calls(route, "OK").await == 1).then_some(())
        })
        .await;
    }
    // And nothing else: each call went by its own route.
    assert_eq!(suite.proxies.requests(&[("to", "voting-svc")]).await, 101);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_rpc_of_ours_goes_by_the_catch_all() {
    const HEALTH: &str = "/grpc.health.v1.Health/Check";
    const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    /// Of all services, and of which there are; framed, as messages of gRPC are.
    const CALLS: [(&str, &[u8]); 2] =
        [(HEALTH, b"\0\0\0\0\0"), (REFLECTION, b"\0\0\0\0\x03\x3a\x01*")];
    let voting = Voting::start().await;
    let objects = variant("linkerd");
    let suite = Suite::start(Mesh::Linkerd, &objects, &[voting.address()]).await;
    for (method, message) in CALLS {
        assert_eq!(call(&suite, method, message).await, "0", "{method}");
    }
    eventually("both went by the catch-all", async || {
        (suite.calls("voting-others", "OK").await == 2).then_some(())
    })
    .await;

    // Without it, a Service with routes refuses what matches none. Envoy says UNIMPLEMENTED; Linkerd, NOT_FOUND.
    let objects = without(objects, "GRPCRoute", "voting-others");
    let suite = Suite::start(Mesh::Linkerd, &objects, &[voting.address()]).await;
    for (method, message) in CALLS {
        assert_eq!(call(&suite, method, message).await, "12", "{method}");
    }
    assert_eq!(suite.vote(":joy:").await, 200);

    // So a route for the suspect alone breaks every other vote.
    let one = |object: &Value| {
        kind(object) != "GRPCRoute"
            || !name(object).starts_with("vote-")
            || name(object) == "vote-doughnut"
    };
    let objects: Vec<_> = objects.into_iter().filter(one).collect();
    let suite = Suite::start(Mesh::Linkerd, &objects, &[voting.address()]).await;
    assert_eq!(suite.vote(":joy:").await, 500);
}
