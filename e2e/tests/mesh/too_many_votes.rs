//! `docs/drills/too-many-votes.md`: a rate limit by identity.

use std::time::Instant;

use emojivoto_telemetry::Telemetry;
use emojivoto_testkit::{ANY_PORT, Service, defaults, eventually, http};
use emojivoto_vote_bot::VotingSettings;

use crate::{
    suite::{BEFORE_WEB, Suite, Voting, before_web, proxies, variant, without_haste},
    translation::{Mesh, Pods},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_eager_one_is_refused_and_nobody_else() {
    let objects = without_haste(variant("linkerd-resilience"));
    let voting = Voting::start().await;
    let suite = Suite::start(Mesh::Linkerd, &objects, &[voting.address()]).await;
    let webs = Pods::from([("web", vec![suite.web.address()])]);
    // Somebody else in the mesh, with an identity of its own.
    let calls = [("vote-bot", "web-svc"), ("emoji", "web-svc")];
    let proxies = proxies(Mesh::Linkerd, &objects, &webs, &calls).await;
    let list = |listener: &str| format!("http://{}/api/list", proxies.address(listener));

    // The bot's five a second, whatever it asks for.
    let (before, mut let_in) = (Instant::now(), 0);
    for _ in 0..40 {
        let status = http::get(&list(BEFORE_WEB)).await.status.as_u16();
        assert!(status == 200 || status == 429, "{status}");
        let_in += u64::from(status == 200);
    }
    let most = 5 * (before.elapsed().as_secs() + 2);
    assert!((5..=most).contains(&let_in), "{let_in} let in, of {most} at most");
    // The limit is the bot's own.
    for _ in 0..10 {
        assert_eq!(http::get(&list("emoji to web-svc")).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bot_is_refused_and_goes_on() {
    let objects = without_haste(variant("linkerd-resilience"));
    let voting = Voting::start().await;
    let suite = Suite::start(Mesh::Linkerd, &objects, &[voting.address()]).await;
    let webs = Pods::from([("web", vec![suite.web.address()])]);
    let proxy = before_web(Mesh::Linkerd, &objects, &webs).await;
    // As the drill tells it to.
    let settings = VotingSettings { request_rate: 20.0, ..defaults() };
    let address = proxy.address(BEFORE_WEB);
    let _bot = Service::start(ANY_PORT, |_, lifecycle| {
        emojivoto_vote_bot::run(address.into(), settings, Telemetry::off(), lifecycle)
    })
    .await;
    for (what, status, requests) in
        [("a request is refused", "429", 1), ("the next seconds' are let in", "200", 11)]
    {
        eventually(what, async || {
            let labels = [("from", "vote-bot"), ("http_status", status)];
            (proxy.requests(&labels).await >= requests).then_some(())
        })
        .await;
    }
}
