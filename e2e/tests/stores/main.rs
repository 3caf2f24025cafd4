//! Votes that survive, on real parts: Redis, a Redis Cluster, disks that are full, and processes that are killed.

mod crashes;
mod disk;
mod load;
mod outages;
mod redis;
mod suite;
mod tls;

use std::cell::Cell;

use emojivoto_testkit::contract::{is_a_store, outlives_its_process, remembers_the_last};
use emojivoto_voting_svc::store::{Once, RedisStore, VoteStore as _};

use crate::redis::{Cluster, Redis};

/// A store that is connected.
async fn open(url: &str, once: Once) -> RedisStore {
    let store = RedisStore::new(url.parse().expect("an address"), once);
    store.check().await.expect("Redis answers");
    store
}

#[tokio::test]
async fn redis_is_a_store() {
    let redis = Redis::start(&[]).await;
    is_a_store(async |once| {
        redis.empty().await;
        open(&redis.url(), once).await
    })
    .await;
    redis.empty().await;
    outlives_its_process(async |once| open(&redis.url(), once).await).await;
    redis.empty().await;
    remembers_the_last(async |once| open(&redis.url(), once).await).await;
}

#[tokio::test]
async fn a_database_of_redis_is_a_store_of_its_own() {
    let redis = Redis::start(&["--requirepass", "p@ss"]).await;
    let number = Cell::new(0);
    is_a_store(async |once| {
        number.set(number.get() + 1);
        let url = format!("redis://:p%40ss@{}/{}", redis.address(), number.get());
        open(&url, once).await
    })
    .await;
}

#[tokio::test]
async fn a_redis_cluster_is_a_store() {
    let cluster = Cluster::start().await;
    is_a_store(async |once| {
        cluster.empty().await;
        open(&cluster.url(), once).await
    })
    .await;
    cluster.empty().await;
    outlives_its_process(async |once| open(&cluster.url(), once).await).await;
}
