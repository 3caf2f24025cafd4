use std::net::Ipv4Addr;

use tokio::time::timeout;

use super::*;

fn process() -> Process {
    let observability = Arc::new(Observability::new(|_| None).expect("nothing to fail"));
    let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let (services, limits) = (Services::default(), (Limits::DEFAULT, Rejected::default()));
    let faults = Injection::default();
    Process::new(Role::Suite, LogFormat::Text, admin, services, observability, limits, faults)
}

async fn until_stopped(lifecycle: Lifecycle) -> Result<(), Error> {
    lifecycle.shutdown().await;
    Ok(())
}

/// What is said when a service is waited for that does not become ready.
async fn not_ready(process: &mut Process, name: &'static str) -> String {
    let ready = timeout(Duration::from_secs(10), process.ready(name)).await;
    ready.expect("an end of the waiting").expect_err("not ready").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_fails_at_start_says_why() {
    // Often, because its end and the loss of its readiness come at almost the same time.
    for _ in 0..1_000 {
        let mut process = process();
        process.spawn("voting", |_, _| async { Err("the disk is full".into()) });
        assert_eq!(not_ready(&mut process, "voting").await, "voting: the disk is full");
    }
}

#[tokio::test]
async fn nobody_waits_for_a_service_when_another_one_has_failed() {
    let mut process = process();
    process.spawn("emoji", |lifecycle, _| async move {
        lifecycle.ready();
        until_stopped(lifecycle).await
    });
    let ready = timeout(Duration::from_secs(10), process.ready("emoji")).await;
    ready.expect("an end of the waiting").expect("ready");
    process.spawn("bot", |_, _| async { Ok(()) }); // has had enough, which is no failure
    process.spawn("voting", |_, _| async { Err("no more votes".into()) });
    process.spawn("web", |lifecycle, _| until_stopped(lifecycle));
    assert_eq!(not_ready(&mut process, "web").await, "voting: no more votes");
}

#[tokio::test]
async fn a_service_that_ends_before_it_is_ready_has_not_started() {
    let mut process = process();
    process.spawn("web", |_, _| async { Ok(()) });
    assert_eq!(not_ready(&mut process, "web").await, "web: ended before it was ready");
    assert_eq!(not_ready(&mut process, "web").await, "web: not running");
}
