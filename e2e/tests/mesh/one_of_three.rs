//! `docs/drills/one-of-three.md`: connections and calls.

use emojivoto_testkit::{emoji, eventually, http, web};
use serde_json::Value;

use crate::{
    envoy::Envoy,
    suite::{Suite, Voting, variant, vote},
    translation::{Mesh, without_a_mesh},
};

/// Were each of them sent to one of three by chance, one would get none once in ten thousand million times.
const VOTES: u64 = 60;

async fn three() -> [Voting; 3] {
    [Voting::start().await, Voting::start().await, Voting::start().await]
}

/// How many votes each has.
async fn counts(votings: &[Voting; 3]) -> [u64; 3] {
    [votings[0].votes().await, votings[1].votes().await, votings[2].votes().await]
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_mesh_one_replica_gets_all() {
    let votings = three().await;
    let service = Envoy::start(&without_a_mesh(&votings.each_ref().map(Voting::address))).await;
    let emoji = emoji().await;
    let web = web(emoji.address(), service.address("service")).await;
    for _ in 0..VOTES {
        assert_eq!(vote(web.address(), ":joy:").await, 200);
    }
    let mut counts = counts(&votings).await;
    counts.sort_unstable();
    assert_eq!(counts, [0, 0, VOTES]);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_mesh_each_gets_some_and_the_leaderboard_flickers() {
    for (mesh, objects) in [(Mesh::Linkerd, "linkerd"), (Mesh::Istio, "istio")] {
        is_balanced(mesh, &variant(objects)).await;
    }
}

async fn is_balanced(mesh: Mesh, objects: &[Value]) {
    let votings = three().await;
    let addresses = votings.each_ref().map(Voting::address);
    let suite = Suite::start(mesh, objects, &addresses).await;
    for _ in 0..VOTES {
        assert_eq!(suite.vote(":joy:").await, 200);
    }
    let counts = counts(&votings).await;
    assert_eq!(counts.iter().sum::<u64>(), VOTES);
    assert!(counts.iter().all(|votes| *votes > 0), "{counts:?}");
    // 61 cannot be the same number three times: who asks often enough gets two leaderboards, and neither is right.
    assert_eq!(suite.vote(":joy:").await, 200);
    let url = suite.web.url("/api/leaderboard");
    let first = http::get(&url).await.json()[0]["votes"].clone();
    assert_ne!(first, (VOTES + 1).to_string());
    eventually("another leaderboard", async || {
        (http::get(&url).await.json()[0]["votes"] != first).then_some(())
    })
    .await;
}
