//! Backends that are away, silent or slow.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use emojivoto_testkit::{Service, emoji, eventually, http, voting, voting_at, voting_on, web_with};
use emojivoto_voting_svc::store::{Added, StoreError, Tally, Vote, VoteStore};
use tokio::net::TcpListener;

use crate::Suite;

/// Long enough to tell an answer from a time-out, short enough to wait for.
const DEADLINE: Duration = Duration::from_secs(2);

async fn impatient_web(emoji: SocketAddr, voting: SocketAddr) -> Service {
    web_with(emoji, voting, |settings| settings.grpc_timeout = DEADLINE).await
}

/// An address where nobody listens.
pub(crate) async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address")
}

#[tokio::test]
async fn without_backends_web_lives_is_not_ready_and_says_503() {
    let web = impatient_web(nobody().await, nobody().await).await;
    for (path, service) in [
        ("/api/list", "emoji-svc"),
        ("/api/vote?choice=:joy:", "emoji-svc"),
        ("/api/leaderboard", "-svc"),
    ] {
        let answer = http::get(&web.url(path)).await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "1"), "{path}");
        assert!(
            answer.error().contains(&format!("{service} is not available")),
            "{path}: {answer:?}"
        );
    }
    for path in ["/", "/leaderboard"] {
        let answer = http::get(&web.url(path)).await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "1"), "{path}");
        assert!(
            answer.body.contains("HTTP 503") && answer.body.contains("is not available"),
            "{path}"
        );
        assert!(!answer.body.contains("127.0.0.1"), "{}", answer.body);
    }
    assert_eq!(http::get(&web.url("/picked?choice=:joy:")).await.status, 200, "needs nobody");
    assert!(!web.stop().is_ready());
}

#[tokio::test]
async fn a_bad_choice_is_refused_without_a_call() {
    let web = impatient_web(nobody().await, nobody().await).await;
    assert_eq!(http::get(&web.url("/api/vote")).await.status, 400);
}

#[tokio::test]
async fn a_backend_that_says_nothing_is_given_up_on_at_the_deadline() {
    // Connections to it are made by the kernel, and never answered.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let emoji = emoji().await;
    let web = impatient_web(emoji.address(), silent.local_addr().expect("an address")).await;
    // All at the same time: none waits for the time-out of another.
    let url = web.url("/api/vote?choice=:joy:");
    let start = Instant::now();
    let answers = futures_util::future::join_all((0..20).map(|_| http::get(&url))).await;
    assert!(start.elapsed() < DEADLINE * 10, "20 one after the other take {:?}", DEADLINE * 20);
    for answer in answers {
        assert!(matches!(answer.status.as_u16(), 503 | 504), "{answer:?}");
        assert!(answer.error().starts_with("voting-svc "), "{answer:?}");
    }
}

#[tokio::test]
async fn a_backend_that_is_slow_is_a_504() {
    let (emoji, (voting, _)) = (emoji().await, voting(DEADLINE * 20).await);
    let web = impatient_web(emoji.address(), voting.address()).await.ready().await;
    let answer = http::get(&web.url("/api/vote?choice=:joy:")).await;
    assert_eq!(answer.status, 504);
    assert_eq!(answer.error(), "voting-svc did not answer in time");
}

#[tokio::test]
async fn web_is_ready_once_both_backends_have_answered() {
    let emoji = emoji().await;
    let address = nobody().await;
    let web = impatient_web(emoji.address(), address).await;
    let answer = http::get(&web.url("/api/leaderboard")).await;
    assert_eq!((answer.status.as_u16(), web.stop().is_ready()), (503, false));
    let (voting, _) = voting_at(address, Duration::ZERO).await;
    let web = web.ready().await;
    assert_eq!(http::get(&web.url("/api/leaderboard")).await.status, 200);
    voting.drained().await;
    assert!(web.stop().is_ready(), "once is enough: restarting web would not help");
}

#[tokio::test]
async fn a_vote_whose_backend_is_away_is_not_sent_later() {
    let suite = Suite::start().await;
    let (web, address) = (suite.web, suite.voting.address());
    suite.voting.drained().await;
    assert_eq!(http::get(&web.url("/api/vote?choice=:joy:")).await.status, 503);
    let (_voting, store) = voting_at(address, Duration::ZERO).await;
    eventually("a vote after the return", || async {
        (http::get(&web.url("/api/vote?choice=:joy:")).await.status == 200).then_some(())
    })
    .await;
    assert_eq!(store.tally().await.expect("a tally").iter().sum::<u64>(), 1);
}

/// A store whose disk has failed.
#[derive(Debug)]
struct Failing;

impl VoteStore for Failing {
    async fn add(&self, _: Vote) -> Result<Added, StoreError> {
        Err(StoreError::Failed("disk /dev/secret has failed".into()))
    }

    async fn tally(&self) -> Result<Tally, StoreError> {
        Ok([0; _])
    }

    async fn fill(&self, _: &Tally) -> Result<(), StoreError> {
        Ok(())
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn window(&self) -> Duration {
        Duration::ZERO
    }
}

#[tokio::test]
async fn a_vote_that_cannot_be_stored_is_a_503_that_tells_nothing_of_the_store() {
    let (emoji, voting) = (emoji().await, voting_on(Failing.into()).await);
    let web = impatient_web(emoji.address(), voting.address()).await.ready().await;
    let answer = http::get(&web.url("/api/vote?choice=:joy:")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.error().as_str()),
        (503, "voting-svc is not available at the moment")
    );
}
