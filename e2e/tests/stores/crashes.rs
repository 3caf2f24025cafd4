//! What was acknowledged is there after any crash, once.

use emojivoto_testkit::eventually;

use crate::{
    load::{Load, some_time},
    redis::Redis,
    suite::{Web, voting},
};

/// voting-svc is killed twenty times at random moments.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_loses_nothing_when_its_process_is_killed() {
    let directory = tempfile::tempdir().expect("a folder");
    let store = format!("file:{}", directory.path().join("votes.redb").display());
    let mut svc = voting(&store, &[]);
    let port = svc.address.port().to_string();
    let web = Web::before(&[&svc]).await;
    let load = Load::on(web.address());
    for _ in 0..20 {
        load.goes_on().await;
        some_time().await;
        drop(svc); // by SIGKILL
        svc = voting(&store, &[("GRPC_PORT", &port)]);
    }
    load.goes_on().await;
    let cast = load.ends().await;
    cast.is_on(&web.votes().await);
    drop(svc);
    // Also for those who open it anew.
    let _svc = voting(&store, &[("GRPC_PORT", &port)]);
    cast.is_on(&web.votes().await);
}

/// Redis is killed, and comes back with what it has written.
#[tokio::test(flavor = "multi_thread")]
async fn redis_loses_nothing_when_it_is_killed() {
    let mut redis = Redis::start(&[]).await;
    let svc = voting(&redis.url(), &[]);
    let web = Web::before(&[&svc]).await;
    let load = Load::on(web.address());
    for _ in 0..5 {
        load.goes_on().await;
        some_time().await;
        redis.kill();
        some_time().await;
        redis.start_again();
    }
    load.goes_on().await;
    load.ends().await.is_on(&web.votes().await);
}

/// One of three replicas is killed, and another one is told to end.
#[tokio::test(flavor = "multi_thread")]
async fn three_replicas_on_one_redis_are_one_leaderboard() {
    let redis = Redis::start(&[]).await;
    let [a, b, c] = std::array::from_fn(|_| voting(&redis.url(), &[]));
    for svc in [&a, &b, &c] {
        svc.becomes(true).await;
    }
    let web = Web::before(&[&a, &b, &c]).await;
    let load = Load::on(web.address());
    for svc in [&a, &b, &c] {
        let answered = async || (svc.sum("grpc_server_handled_total{").await > 20).then_some(());
        eventually("calls to each of three", answered).await;
    }
    for _ in 0..5 {
        load.goes_on().await;
    }
    some_time().await;
    drop(a); // by SIGKILL
    load.goes_on().await;
    b.run.signal("TERM");
    load.goes_on().await;
    let cast = load.ends().await;
    cast.is_on(&web.votes().await);

    // Any replica shows the same.
    let d = voting(&redis.url(), &[]);
    d.becomes(true).await;
    for svc in [&c, &d] {
        let alone = Web::before(&[svc]).await;
        assert_eq!(alone.votes().await, web.votes().await);
    }
}
