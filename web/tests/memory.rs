//! However many come, and whatever they do: the binary stays below the limit that Kubernetes gives it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use emojivoto_net::open_files;
use emojivoto_runtime::Limits;
use emojivoto_testkit::{
    Binary, Holding, Run, Service, emoji, eventually, http, usage, voting, voting_on, within,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const WEB: &str = env!("CARGO_BIN_EXE_emojivoto-web");

const CONNECTIONS: usize = Limits::DEFAULT.connections;

const MANIFEST: &str = include_str!("../../k8s/base/web.yml");

/// web, where it serves, and where it tells what it counts.
async fn start(emoji: &Service, voting: &Service) -> (Run, SocketAddr, SocketAddr) {
    // The test has as many connections as web has.
    let needed = 2 * CONNECTIONS as u64 + 200;
    assert_eq!(open_files::allow(needed), needed, "this test needs so many open files");
    let mut run = Binary::new(WEB)
        .env("WEB_PORT", "0")
        .env("PROM_PORT", "0")
        .env("REQUEST_LOG", "0")
        .env("GRPC_TIMEOUT", "60s")
        .env("EMOJISVC_HOST", emoji.address().to_string())
        .env("VOTINGSVC_HOST", voting.address().to_string())
        .start();
    let admin = run.address("PROM_PORT");
    let web = run.address("WEB_PORT");
    eventually("web that serves", || async { (get(web).await == 200).then_some(()) }).await;
    (run, web, admin)
}

async fn get(web: SocketAddr) -> u16 {
    http::get(&format!("http://{web}/api/list")).await.status.as_u16()
}

/// So many connections on which this is said.
async fn connections(web: SocketAddr, count: usize, said: &[u8]) -> Vec<TcpStream> {
    let mut connections = Vec::new();
    for _ in 0..count {
        let mut connection = TcpStream::connect(web).await.expect("a connection");
        connection.write_all(said).await.expect("an open connection");
        connections.push(connection);
    }
    connections
}

/// What it takes, once it is at least so much. What is kept in files can be had again.
async fn memory(run: &Run, at_least: usize) -> u64 {
    let memory = || async {
        let memory = usage::memory(run.id(), "RssAnon");
        (memory >= at_least as u64).then_some(memory)
    };
    eventually("memory in use", memory).await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_as_many_idle_connections_as_there_may_be() {
    let (emoji, (voting, _)) = (emoji().await, voting(Duration::ZERO).await);
    let (run, web, _) = start(&emoji, &voting).await;
    let mut open = connections(web, CONNECTIONS - 1, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    for connection in &mut open {
        let answer = within("an answer", connection.read(&mut [0; 16 * 1024])).await;
        assert!(answer.expect("an open connection") > 0);
    }
    usage::assert_below_limit(MANIFEST, CONNECTIONS, memory(&run, CONNECTIONS * 1024).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_as_many_heads_as_there_may_be_none_of_which_ends() {
    let (emoji, (voting, _)) = (emoji().await, voting(Duration::ZERO).await);
    let (run, web, _) = start(&emoji, &voting).await;
    let head = format!("GET / HTTP/1.1\r\nhost: x\r\nlong: {}", "x".repeat(15 * 1024));
    let _open = connections(web, CONNECTIONS - 1, head.as_bytes()).await;
    usage::assert_below_limit(MANIFEST, CONNECTIONS, memory(&run, CONNECTIONS * 15 * 1024).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_as_many_requests_in_flight_as_there_may_be() {
    let store = Arc::new(Holding::default());
    let (emoji, voting) = (emoji().await, voting_on(Arc::clone(&store)).await);
    let (run, web, admin) = start(&emoji, &voting).await;
    let vote = b"GET /api/vote?choice=:joy: HTTP/1.1\r\nhost: x\r\n\r\n";
    // A few more: the last request of before may have the place of one yet.
    let _open = connections(web, Limits::DEFAULT.requests + 8, vote).await;
    let all_in_flight = || async {
        let active = http::sum_of_metrics(admin, "http_server_active_requests{").await;
        (active == Limits::DEFAULT.requests as u64).then_some(())
    };
    eventually("votes in flight", all_in_flight).await;
    assert_eq!(get(web).await, 503);
    let idle = CONNECTIONS - Limits::DEFAULT.requests - 9;
    let _others = connections(web, idle, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    usage::assert_below_limit(MANIFEST, CONNECTIONS, memory(&run, CONNECTIONS * 1024).await);
}
