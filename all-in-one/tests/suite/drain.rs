//! A vote in flight when a service is told to stop is answered, and counted exactly once.

use std::sync::Arc;

use emojivoto_testkit::{Holding, Service, emoji, eventually, http, voting_on, web, within};
use tokio::task::JoinHandle;

/// A suite with one vote in flight, held at the store.
async fn vote_in_flight() -> (Service, Service, Service, Arc<Holding>, JoinHandle<http::Answer>) {
    let store = Arc::new(Holding::default());
    let (emoji, voting) = (emoji().await, voting_on(Arc::clone(&store)).await);
    let web = web(emoji.address(), voting.address()).await.ready().await;
    let url = web.url("/api/vote?choice=:joy:");
    let vote = tokio::spawn(async move { http::get(&url).await });
    within("a vote at the store", store.arrived.notified()).await;
    (emoji, voting, web, store, vote)
}

async fn refuses_connections(url: &str) {
    eventually("no more connections", || async {
        http::send(::http::Request::get(url), "").await.is_err().then_some(())
    })
    .await;
}

async fn answered_and_counted_once(vote: JoinHandle<http::Answer>, store: &Holding) {
    assert_eq!(vote.await.expect("no panic").status, 200);
    assert_eq!(store.votes().await, 1);
}

#[tokio::test]
async fn voting_svc_answers_and_counts_what_is_in_flight() {
    let (_emoji, voting, _web, store, vote) = vote_in_flight().await;
    let url = voting.url("/");
    let drained = tokio::spawn(voting.drained());
    refuses_connections(&url).await;
    assert!(!drained.is_finished(), "it waits for the vote");
    store.go_on.notify_one();
    drained.await.expect("drained");
    answered_and_counted_once(vote, &store).await;
}

#[tokio::test]
async fn web_answers_what_is_in_flight_and_takes_no_more() {
    let (_emoji, _voting, web, store, vote) = vote_in_flight().await;
    let url = web.url("/");
    let drained = tokio::spawn(web.drained());
    refuses_connections(&url).await;
    assert!(!drained.is_finished(), "it waits for the vote");
    store.go_on.notify_one();
    drained.await.expect("drained");
    answered_and_counted_once(vote, &store).await;
}
