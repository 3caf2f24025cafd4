//! `docs/drills/break-it-on-purpose.md`: what web makes of faults.

use std::time::{Duration, Instant};

use emojivoto_testkit::{eventually, http};

use crate::{
    drill::give,
    suite::{Suite, Voting, variant},
    translation::Mesh,
};

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_is_a_503_and_a_delay_a_504() {
    let voting = Voting::start().await;
    let objects = variant("istio-faults");
    let suite = Suite::start(Mesh::Istio, &objects, &[voting.address()]).await;

    assert_eq!(suite.vote(":joy:").await, 503);
    let before = Instant::now();
    assert_eq!(suite.vote(":tada:").await, 504);
    // As long as web waits.
    assert!(before.elapsed() >= Duration::from_secs(5), "{:?}", before.elapsed());
    // voting-svc has seen neither, and everything else is as it was.
    assert_eq!(voting.votes().await, 0);
    assert_eq!(suite.vote(":ghost:").await, 200);
    assert_eq!(suite.vote(":doughnut:").await, 500);
    assert_eq!(http::get(&suite.web.url("/leaderboard")).await.status, 200);
    assert_eq!(voting.votes().await, 1);
    eventually("the proxy counts the fault", async || {
        (suite.calls("abort", "UNAVAILABLE").await == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_status_is_a_500() {
    let mut objects = variant("istio-faults");
    give(
        "break-it-on-purpose.md",
        "kubectl -n emojivoto patch virtualservice voting-svc",
        &mut objects,
    );
    let voting = Voting::start().await;
    let suite = Suite::start(Mesh::Istio, &objects, &[voting.address()]).await;
    assert_eq!(suite.vote(":joy:").await, 500);
    assert_eq!(suite.vote(":ghost:").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_voting_svc_there_is_a_ballot_and_no_leaderboard() {
    let suite = Suite::start(Mesh::Istio, &variant("istio"), &[Voting::gone().await]).await;
    assert_eq!(suite.vote(":ghost:").await, 503);
    assert_eq!(http::get(&suite.web.url("/leaderboard")).await.status, 503);
    assert_eq!(http::get(&suite.web.url("/")).await.status, 200);
}
