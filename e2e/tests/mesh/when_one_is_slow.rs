//! `docs/drills/when-one-is-slow.md`: time-outs, circuit breakers.

use std::time::{Duration, Instant};

use emojivoto_e2e::manifests::{kind, name};
use emojivoto_proto::voting::{VoteRequest, VotingClient};
use emojivoto_testkit::{channel, eventually, http, within};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::{
    drill::give,
    envoy::Envoy,
    suite::{BEFORE_WEB, Suite, Voting, before_web, change, variant, vote, without, without_haste},
    translation::{Mesh, Pods},
};

const DRILL: &str = "when-one-is-slow.md";

/// Istio, with the drill's time-out.
fn with_timeout() -> Vec<Value> {
    let mut objects = variant("istio");
    give(DRILL, "kubectl -n emojivoto patch virtualservice voting-svc", &mut objects);
    objects
}

/// Istio, with the drill's circuit breaker.
fn with_breaker(mut objects: Vec<Value>) -> Vec<Value> {
    give(DRILL, "kubectl apply -f - <<EOF", &mut objects);
    objects
}

/// So many votes for the doughnut, one after the other.
async fn doughnuts(suite: &Suite, votes: u32) {
    for _ in 0..votes {
        assert_eq!(suite.vote(":doughnut:").await, 500);
    }
}

/// How many pods of voting-svc get no calls from web.
async fn left_out(suite: &Suite) -> u64 {
    suite.proxies.left_out("web", "voting-svc").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_gives_up_before_web_and_nothing_is_counted() {
    let delay = Duration::from_secs(3);
    let voting = Voting::with(delay, true).await;
    // What Istio is told by the drill, and Linkerd by the variant: one second.
    for (mesh, objects) in
        [(Mesh::Istio, with_timeout()), (Mesh::Linkerd, variant("linkerd-resilience"))]
    {
        let suite = Suite::start(mesh, &objects, &[voting.address()]).await;
        let before = Instant::now();
        // Envoy says UNAVAILABLE. Linkerd's own proxy says DEADLINE_EXCEEDED, of which web makes a 504.
        assert_eq!(suite.vote(":joy:").await, 503);
        let waited = before.elapsed();
        assert!(waited >= Duration::from_secs(1), "{waited:?}");
    }
    // One that nobody gives up takes its time, and is counted; by then, the others would have been.
    let mut client = VotingClient::new(channel(voting.address()));
    let joy = ":joy:".parse().expect("an emoji");
    let request = tonic::Request::new(VoteRequest {});
    within("a vote", client.vote(joy, request)).await.expect("a vote that is counted");
    assert_eq!(voting.votes().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_one_replica_an_open_breaker_is_an_outage() {
    let mut linkerd = without_haste(variant("linkerd-resilience"));
    let longer = "kubectl -n emojivoto annotate svc voting-svc --overwrite balancer.linkerd.io/";
    give(DRILL, longer, &mut linkerd);
    let istio = with_breaker(variant("istio"));
    for (mesh, objects, failures) in [(Mesh::Istio, istio, 5), (Mesh::Linkerd, linkerd, 10)] {
        let voting = Voting::start().await;
        let suite = Suite::start(mesh, &objects, &[voting.address()]).await.ready().await;
        doughnuts(&suite, failures - 1).await;
        assert_eq!(suite.vote(":joy:").await, 200);
        doughnuts(&suite, failures).await;
        assert_eq!(suite.vote(":joy:").await, 503);
        assert_eq!(http::get(&suite.web.url("/api/leaderboard")).await.status, 503);
        assert_eq!(http::get(&suite.web.url("/")).await.status, 200);
        assert_eq!(left_out(&suite).await, 1);
        // voting-svc itself is well.
        assert_eq!(voting.votes().await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_breaker_closes_again() {
    let voting = Voting::start().await;
    let objects = without_haste(variant("linkerd-resilience"));
    let suite = Suite::start(Mesh::Linkerd, &objects, &[voting.address()]).await.ready().await;
    doughnuts(&suite, 10).await;
    eventually("an open breaker", async || {
        (suite.proxies.times_left_out("web", "voting-svc").await > 0).then_some(())
    })
    .await;
    eventually("a vote", async || (suite.vote(":joy:").await == 200).then_some(())).await;
}

/// What opens no breaker: none at all, one that may leave out a tenth of the pods, and one for other failures.
#[tokio::test(flavor = "multi_thread")]
async fn not_every_breaker_minds_a_doughnut() {
    let outliers = |change: fn(&mut Value)| {
        let mut objects = with_breaker(variant("istio"));
        self::change(&mut objects, "DestinationRule", "voting-svc", |rule| {
            change(&mut rule["spec"]["trafficPolicy"]["outlierDetection"]);
        });
        objects
    };
    let a_tenth = outliers(|it| drop(it.as_object_mut().expect("it").remove("maxEjectionPercent")));
    let gateway_errors = outliers(|it| {
        it["consecutive5xxErrors"] = 0.into();
        it["consecutiveGatewayErrors"] = 5.into();
    });
    for objects in [variant("istio"), a_tenth, gateway_errors] {
        let voting = Voting::start().await;
        let suite = Suite::start(Mesh::Istio, &objects, &[voting.address()]).await;
        doughnuts(&suite, 10).await;
        assert_eq!(suite.vote(":joy:").await, 200);
    }
    // Where `consecutive5xxErrors` is not there, it is five all the same.
    let both = outliers(|it| {
        it.as_object_mut().expect("it").remove("consecutive5xxErrors");
        it["consecutiveGatewayErrors"] = 5.into();
    });
    let voting = Voting::start().await;
    // Once web is ready, it calls for nobody but us, and no success stands between.
    let suite = Suite::start(Mesh::Istio, &both, &[voting.address()]).await.ready().await;
    doughnuts(&suite, 5).await;
    assert_eq!(suite.vote(":joy:").await, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_three_replicas_the_others_go_on() {
    let votings = [Voting::start().await, Voting::start().await, Voting::start().await];
    let addresses = votings.each_ref().map(Voting::address);
    let objects = with_breaker(variant("istio"));
    let suite = Suite::start(Mesh::Istio, &objects, &addresses).await;
    eventually("one that is left out", async || {
        doughnuts(&suite, 1).await;
        (left_out(&suite).await == 1).then_some(())
    })
    .await;
    for _ in 0..5 {
        assert_eq!(suite.vote(":joy:").await, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_two_replicas_the_slow_one_is_left_out() {
    let (fast, slow) = (Voting::start().await, Voting::with(Duration::from_mins(1), true).await);
    let objects = with_breaker(with_timeout());
    let suite = Suite::start(Mesh::Istio, &objects, &[fast.address(), slow.address()]).await;
    eventually("the slow one is left out", async || {
        let mut votes = JoinSet::new();
        for _ in 0..10 {
            votes.spawn(vote(suite.web.address(), ":joy:"));
        }
        votes.join_all().await;
        (left_out(&suite).await == 1).then_some(())
    })
    .await;
    // From now on it gets none, and the other one all.
    let slow_ones = async || suite.proxies.requests(&[("pod", "voting-1")]).await;
    let (before, counted) = (slow_ones().await, fast.votes().await);
    for _ in 0..20 {
        suite.vote(":joy:").await;
    }
    assert_eq!(slow_ones().await, before);
    assert!(fast.votes().await > counted);
    assert_eq!(slow.votes().await, 0);
}

/// The time-out of a mesh is for the whole answer. So the stream has a route without; what happens if it has not.
#[tokio::test(flavor = "multi_thread")]
async fn the_live_leaderboard_is_not_cut() {
    let mut objects = variant("linkerd-resilience");
    // The variant's five seconds are long to wait for.
    change(&mut objects, "HTTPRoute", "web-others", |route| {
        route["spec"]["rules"][0]["timeouts"]["request"] = "1s".into();
    });
    let route = objects.iter().any(|it| kind(it) == "HTTPRoute" && name(it) == "leaderboard-live");
    assert!(route, "no route for the stream");
    let voting = Voting::start().await;
    let suite = Suite::start(Mesh::Linkerd, &objects, &[voting.address()]).await;
    let webs = Pods::from([("web", vec![suite.web.address()])]);
    let cut = without(objects.clone(), "HTTPRoute", "leaderboard-live");
    let (whole, cut) = (
        before_web(Mesh::Linkerd, &objects, &webs).await,
        before_web(Mesh::Linkerd, &cut, &webs).await,
    );
    // Until a second board has come.
    let stream = |proxy: &Envoy| {
        let request = b"GET /leaderboard/live HTTP/1.1\r\nhost: web\r\n\r\n";
        let address = proxy.address(BEFORE_WEB);
        async move { http::raw(address, request, |stream| boards(stream) > 1).await }
    };
    let whole = tokio::spawn(stream(&whole));
    // The end of this one shows that the time of the other would be over as well.
    let cut = stream(&cut).await;
    assert_eq!(boards(&cut), 1, "{}", cut.escape_ascii());
    assert_eq!(suite.vote(":ghost:").await, 200);
    let whole = whole.await.expect("no panic");
    assert_eq!(boards(&whole), 2, "{}", whole.escape_ascii());
}

/// How many boards a live leaderboard has sent.
fn boards(stream: &[u8]) -> usize {
    const BOARD: &[u8] = b"event: board";
    stream.windows(BOARD.len()).filter(|part| *part == BOARD).count()
}
