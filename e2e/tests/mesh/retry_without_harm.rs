//! `docs/drills/retry-without-harm.md`: what becomes of a vote that a proxy sends twice.

use std::time::Duration;

use emojivoto_testkit::eventually;
use serde_json::Value;

use crate::{
    drill::give,
    relay::Relay,
    suite::{
        BEFORE_WEB, Suite, Voting, before_web, variant, vote, vote_with_key, without, without_haste,
    },
    translation::{Mesh, Pods},
};

const DRILL: &str = "retry-without-harm.md";

/// The suite in Istio's mesh. What web answers to a vote whose answer gets lost once it is counted, and how often it is
/// counted.
async fn loses_an_answer(objects: &[Value], once: bool) -> (u16, u64) {
    let voting = Voting::with(Duration::ZERO, once).await;
    let relay = Relay::to(voting.address()).await;
    let suite = Suite::start(Mesh::Istio, objects, &[relay.address()]).await.ready().await;
    relay.lose_answers();
    let lost = async {
        eventually("a vote that is counted", async || (voting.votes().await > 0).then_some(()))
            .await;
        relay.cut();
    };
    let (status, ()) = tokio::join!(suite.vote(":joy:"), lost);
    (status, voting.votes().await)
}

/// Istio's own retries: as without our VirtualService.
#[tokio::test(flavor = "multi_thread")]
async fn istio_sends_again_what_was_counted() {
    let objects = without(variant("istio"), "VirtualService", "voting-svc");
    assert_eq!(loses_an_answer(&objects, false).await, (200, 2));
    assert_eq!(loses_an_answer(&objects, true).await, (200, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_our_virtual_service_istio_sends_no_vote_again() {
    assert_eq!(loses_an_answer(&variant("istio"), false).await, (503, 1));
}

/// As the drill has it: what ended well is sent again, as if its answer had been lost.
#[tokio::test(flavor = "multi_thread")]
async fn what_istio_is_told_to_send_twice_counts_once_by_its_key() {
    let mut objects = variant("istio");
    give(DRILL, "kubectl -n emojivoto patch virtualservice voting-svc", &mut objects);
    for (once, counted) in [(false, 2), (true, 1)] {
        let voting = Voting::with(Duration::ZERO, once).await;
        let suite = Suite::start(Mesh::Istio, &objects, &[voting.address()]).await;
        assert_eq!(suite.vote(":joy:").await, 200);
        assert_eq!(voting.votes().await, counted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_linkerd_is_told_to_send_twice_counts_once_by_its_key() {
    let mut objects = without_haste(variant("linkerd-resilience"));
    give(DRILL, "kubectl -n emojivoto annotate httproute api-vote", &mut objects);
    for (once, counted) in [(false, 2), (true, 1)] {
        let voting = Voting::with(Duration::ZERO, once).await;
        let suite = Suite::start(Mesh::Linkerd, &objects, &[voting.address()]).await;
        let webs = Pods::from([("web", vec![suite.web.address()])]);
        let bots = before_web(Mesh::Linkerd, &objects, &webs).await;
        let web = bots.address(BEFORE_WEB);
        assert_eq!(vote_with_key(web, ":joy:").await, 200);
        assert_eq!(voting.votes().await, counted);
        eventually("two tries on the route", async || {
            let labels = [("route", "api-vote"), ("attempts", "2")];
            (bots.requests(&labels).await == 1).then_some(())
        })
        .await;
        // Without a key, it is another route's: web would give each of two tries a key of its own.
        assert_eq!(vote(web, ":joy:").await, 200);
        assert_eq!(voting.votes().await, counted + 1);
    }
}

/// Neither mesh's retries are for the doughnut: UNKNOWN between web and voting-svc, 500 between the bot and web.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_sends_the_doughnut_again() {
    let istio = without(variant("istio"), "VirtualService", "voting-svc");
    let linkerd = without_haste(variant("linkerd-resilience"));
    for (mesh, objects) in [(Mesh::Istio, istio), (Mesh::Linkerd, linkerd)] {
        let voting = Voting::start().await;
        let suite = Suite::start(mesh, &objects, &[voting.address()]).await;
        let webs = Pods::from([("web", vec![suite.web.address()])]);
        let bots = before_web(mesh, &objects, &webs).await;
        assert_eq!(vote_with_key(bots.address(BEFORE_WEB), ":doughnut:").await, 500);
        eventually("one try each", async || {
            let voted = [("grpc_status", "UNKNOWN"), ("attempts", "1")];
            let asked = [("http_status", "500"), ("attempts", "1")];
            let tries = suite.proxies.requests(&voted).await;
            (tries == 1 && bots.requests(&asked).await == 1).then_some(())
        })
        .await;
    }
}
