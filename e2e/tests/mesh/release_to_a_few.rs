//! `docs/drills/release-to-a-few.md`: one request in ten for the new release.

use std::ops::RangeInclusive;

use emojivoto_e2e::manifests::{env_of, find};
use emojivoto_telemetry::Telemetry;
use emojivoto_testkit::{ANY_PORT, Service, defaults, emoji, eventually, http, web_with, within};
use emojivoto_vote_bot::VotingSettings;

use crate::{
    suite::{BEFORE_WEB, Voting, before_web, variant, vote_with_key},
    translation::{Mesh, Pods},
};

/// 50, give or take what happens by chance once in a thousand million times.
const A_TENTH_OF_500: RangeInclusive<u64> = 14..=97;

#[tokio::test(flavor = "multi_thread")]
async fn one_in_ten_sees_the_new_release() {
    let objects = variant("canary");
    let message = env_of(find(&objects, "Deployment", "web-canary"))
        .into_iter()
        .find(|(name, _)| name == "MESSAGE_OF_THE_DAY")
        .expect("the new release has a message")
        .1;
    let message = message.as_str().expect("a text").to_owned();
    let (emoji, voting) = (emoji().await, Voting::start().await);
    let stable = web_with(emoji.address(), voting.address(), |_| {}).await;
    let canary = web_with(emoji.address(), voting.address(), |settings| {
        settings.message_of_the_day = Some(message.clone());
    })
    .await;
    let webs =
        Pods::from([("web", vec![stable.address()]), ("web-canary", vec![canary.address()])]);

    for mesh in [Mesh::Linkerd, Mesh::Istio] {
        let proxy = before_web(mesh, &objects, &webs).await;
        let url = format!("http://{}/", proxy.address(BEFORE_WEB));
        let mut few = 0;
        for _ in 0..500 {
            let page = http::get(&url).await;
            assert_eq!(page.status, 200);
            few += u64::from(page.body.contains(&message));
        }
        assert!(A_TENTH_OF_500.contains(&few), "{few} of 500");
    }
}

/// The drill's bad release listens elsewhere: whoever gets to it gets a 503, and nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_release_costs_one_request_in_ten() {
    let (emoji, voting) = (emoji().await, Voting::start().await);
    let stable = web_with(emoji.address(), voting.address(), |_| {}).await;
    let webs =
        Pods::from([("web", vec![stable.address()]), ("web-canary", vec![Voting::gone().await])]);
    let proxy = before_web(Mesh::Linkerd, &variant("canary"), &webs).await;
    let mut failed = 0;
    for _ in 0..500 {
        match vote_with_key(proxy.address(BEFORE_WEB), ":joy:").await {
            200 => {}
            503 => failed += 1,
            status => panic!("{status}"),
        }
    }
    assert!(A_TENTH_OF_500.contains(&failed), "{failed} of 500");
    assert_eq!(voting.votes().await, 500 - failed);
}

/// What a controller that moves the weights looks at: web fails, by design, for one request in twelve.
#[tokio::test(flavor = "multi_thread")]
async fn the_success_rate_of_web_is_92_percent() {
    let (emoji, voting) = (emoji().await, Voting::start().await);
    let web = web_with(emoji.address(), voting.address(), |_| {}).await;
    let webs = Pods::from([("web", vec![web.address()]), ("web-canary", vec![web.address()])]);
    let proxy = before_web(Mesh::Linkerd, &variant("canary"), &webs).await;
    let settings = VotingSettings { request_rate: 1_000.0, ..defaults() };
    let address = proxy.address(BEFORE_WEB);
    let bot = Service::start(ANY_PORT, |_, lifecycle| {
        emojivoto_vote_bot::run(address.into(), settings, Telemetry::off(), lifecycle)
    });
    let bot = bot.await;
    eventually("two thousand requests", async || {
        (proxy.requests(&[]).await >= 2_000).then_some(())
    })
    .await;
    within("the end of the bot", bot.drained()).await;
    let all = proxy.requests(&[]).await;
    let good = proxy.requests(&[("http_status", "200")]).await;
    let failed = proxy.requests(&[("http_status", "500")]).await;
    assert_eq!(good + failed, all);
    // Of 1,000 votes, 91 to 235 are for the doughnut, but for once in a thousand million times.
    let per_thousand = good * 1_000 / all;
    assert!((882..=955).contains(&per_thousand), "{good} of {all}");
}
