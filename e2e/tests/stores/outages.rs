//! Redis is away, hangs, is full, or will not have us.

use std::time::{Duration, Instant};

use emojivoto_proto::{
    Shortcode,
    voting::{VoteRequest, VotingClient},
};
use emojivoto_testkit::{channel, eventually, within};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tonic::{Code, Status};

use crate::{
    redis::Redis,
    suite::{Process, voting},
};

/// What becomes of a vote.
pub(crate) async fn vote(svc: &Process) -> Result<(), Status> {
    let joy: Shortcode = ":joy:".parse().expect("an emoji");
    let mut client = VotingClient::new(channel(svc.address));
    within("an answer", client.vote(joy, VoteRequest {})).await.map(|_| ())
}

/// Waits for a vote that counts.
pub(crate) async fn counts_again(svc: &Process) {
    eventually("a vote that counts", async || vote(svc).await.ok()).await;
}

#[tokio::test]
async fn while_redis_is_dead_votes_fail_at_once_and_soon_after_it_is_back_they_count() {
    let mut redis = Redis::start(&[]).await;
    let svc = voting(&redis.url(), &[]);
    svc.becomes(true).await;
    vote(&svc).await.expect("a vote");
    redis.kill();
    svc.becomes(false).await; // without a vote
    let asked = Instant::now();
    let error = vote(&svc).await.expect_err("no vote");
    assert_eq!(error.code(), Code::Unavailable);
    assert!(!error.message().contains("127.0.0.1"), "{error}");
    assert!(asked.elapsed() < Duration::from_secs(5), "the deadline of web: {:?}", asked.elapsed());

    redis.start_again();
    redis.answers().await;
    svc.becomes(true).await;
    vote(&svc).await.expect("a vote");
}

#[tokio::test]
async fn redis_may_come_later() {
    let mut redis = Redis::start(&[]).await;
    redis.kill();
    let mut svc = voting(&redis.url(), &[]);
    svc.run.line("not ready: votes cannot be stored");
    assert!(!svc.is_ready().await);
    redis.start_again();
    svc.run.line("the vote store is back");
    svc.becomes(true).await;
    vote(&svc).await.expect("a vote");
}

#[tokio::test]
async fn a_redis_that_hangs_is_not_waited_for_longer_than_the_deadline_of_web() {
    let redis = Redis::start(&[]).await;
    let svc = voting(&redis.url(), &[]);
    svc.becomes(true).await;
    redis.signal("STOP");
    let asked = Instant::now();
    let error = vote(&svc).await.expect_err("no vote");
    assert_eq!(error.code(), Code::Unavailable);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    svc.becomes(false).await;
    redis.signal("CONT");
    svc.becomes(true).await;
    counts_again(&svc).await;
}

#[tokio::test]
async fn a_slow_redis_is_slow_and_nothing_worse() {
    let redis = Redis::start(&[]).await;
    let svc = voting(&redis.url(), &[]);
    svc.becomes(true).await;
    let mut pause = redis::cmd("CLIENT");
    pause.arg("PAUSE").arg(700).arg("ALL");
    redis.ask::<()>(&pause).await.expect("a pause");
    let asked = Instant::now();
    vote(&svc).await.expect("a vote");
    assert!(asked.elapsed() > Duration::from_millis(300), "{:?}", asked.elapsed());
    assert!(svc.is_ready().await);
}

#[tokio::test]
async fn a_full_redis_takes_no_votes_until_there_is_room() {
    let redis = Redis::start(&["--maxmemory-policy", "noeviction"]).await;
    let svc = voting(&redis.url(), &[]);
    svc.becomes(true).await;
    vote(&svc).await.expect("a vote");
    redis.set("maxmemory", "1").await;
    let error = vote(&svc).await.expect_err("no room");
    assert_eq!(error.code(), Code::ResourceExhausted);
    assert_eq!(error.message(), "there is no room for more votes");
    svc.becomes(false).await;
    redis.set("maxmemory", "0").await;
    svc.becomes(true).await;
    vote(&svc).await.expect("a vote");
}

/// A service that ends because Redis will not have it: its last word.
fn ends(store: &str) -> String {
    let svc = voting(store, &[]);
    let (code, lines, error) = svc.run.end();
    assert_eq!(code, Some(1), "{lines:#?} {error}");
    assert!(!format!("{lines:?}{error}").contains("secret"), "{lines:#?} {error}");
    error
}

#[tokio::test]
async fn a_wrong_password_is_an_error_at_start() {
    let redis = Redis::start(&["--requirepass", "right"]).await;
    for user in ["", ":secret@", "somebody:secret@"] {
        let error = ends(&format!("redis://{user}{}", redis.address()));
        assert!(error.contains("the vote store refuses to work with this setting: "), "{error}");
    }
    let svc = voting(&redis.url(), &[]);
    svc.becomes(true).await;
}

#[tokio::test]
async fn what_is_there_of_somebody_else_is_an_error_at_start() {
    let redis = Redis::start(&[]).await;
    redis.ask::<()>(redis::cmd("SET").arg("{emojivoto}:votes").arg(1)).await.expect("a value");
    let error = ends(&redis.url());
    assert!(error.contains("WRONGTYPE"), "{error}");
}

#[tokio::test]
async fn votes_for_an_emoji_that_is_not_on_the_ballot_are_an_error_at_start() {
    let redis = Redis::start(&[]).await;
    let mut later = redis::cmd("HSET");
    later.arg("{emojivoto}:votes").arg(":later:").arg(7);
    redis.ask::<()>(&later).await.expect("a value");
    let error = ends(&redis.url());
    assert!(error.contains("votes for :later:, which is not on the ballot"), "{error}");
}

/// Once it has worked, somebody changed Redis, and may change it back.
#[tokio::test]
async fn a_password_that_is_wrong_later_on_is_an_outage() {
    let redis = Redis::start(&["--requirepass", "right"]).await;
    let svc = voting(&redis.url(), &[]);
    svc.becomes(true).await;
    redis.set("requirepass", "other").await;
    let kill = async |password: &str| {
        let url = format!("redis://:{password}@{}", redis.address());
        let client = redis::Client::open(url).expect("an address");
        let mut connection = client.get_multiplexed_async_connection().await.expect("a connection");
        let mut kill = redis::cmd("CLIENT");
        kill.arg("KILL").arg("TYPE").arg("normal").arg("SKIPME").arg("yes");
        kill.query_async::<()>(&mut connection).await.expect("no connections");
        connection
    };
    let mut connection = kill("other").await;
    svc.becomes(false).await;
    let mut right = redis::cmd("CONFIG");
    right.arg("SET").arg("requirepass").arg("right");
    right.query_async::<()>(&mut connection).await.expect("a setting");
    svc.becomes(true).await;
    vote(&svc).await.expect("a vote");
}

/// A network that forgets its connections, as when the node of a pod dies, tells neither end.
#[tokio::test]
async fn a_connection_that_says_nothing_any_more_is_given_up() {
    let redis = Redis::start(&[]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("redis://{}", listener.local_addr().expect("an address"));
    let (forget, forgotten) = watch::channel(0);
    let to = redis.address();
    let network = async move {
        let mut number = 0;
        loop {
            let (mut client, _) = listener.accept().await.expect("a connection");
            let mut server = TcpStream::connect(to).await.expect("Redis");
            number += 1;
            let (of_mine, mut forgotten) = (number, forgotten.clone());
            let ended = async move {
                let _ = forgotten.wait_for(|forgotten| *forgotten >= of_mine).await;
            };
            tokio::spawn(async move {
                tokio::select! {
                    _ = copy_bidirectional(&mut client, &mut server) => {}
                    // Neither end hears of it.
                    () = ended => std::future::pending().await,
                }
            });
        }
    };
    let network = tokio::spawn(network);
    let svc = voting(&url, &[]);
    svc.becomes(true).await;
    vote(&svc).await.expect("a vote");
    forget.send_replace(1);
    vote(&svc).await.expect_err("no answer");
    counts_again(&svc).await;
    svc.becomes(true).await;
    network.abort();
}
