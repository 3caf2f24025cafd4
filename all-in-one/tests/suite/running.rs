//! The binary of the suite, running.

use std::net::SocketAddr;

use emojivoto_testkit::{Binary, Run, channel, eventually, http, within};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tonic::transport::Channel;

pub(crate) const EMOJIVOTO: &str = env!("CARGO_BIN_EXE_emojivoto");

pub(crate) fn on_free_ports() -> Binary {
    Binary::new(EMOJIVOTO).envs(&[
        ("WEB_PORT", "0"),
        ("EMOJI_PORT", "0"),
        ("VOTING_PORT", "0"),
        ("PROM_PORT", "0"),
    ])
}

/// The suite in a process of its own, without a bot unless a test starts one.
pub(crate) struct Running {
    pub(crate) run: Run,
    pub(crate) admin: SocketAddr,
    pub(crate) voting: SocketAddr,
    pub(crate) web: SocketAddr,
}

impl Running {
    /// Starts it, and waits until it says that all of it is up.
    pub(crate) fn start(binary: Binary) -> Self {
        let mut running = Self::starting(binary);
        running.run.line("Ctrl-C ends it");
        running
    }

    /// Starts it, and waits until it listens.
    pub(crate) fn starting(binary: Binary) -> Self {
        let mut run = binary.start();
        let admin = run.address("PROM_PORT");
        let voting = run.address("VOTING_PORT");
        let web = run.address("WEB_PORT");
        Self { run, admin, voting, web }
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(&self) {
        eventually("a suite that is ready", || async {
            let ready = http::get(&format!("http://{}/ready", self.admin)).await;
            (ready.status == 200).then_some(())
        })
        .await;
    }

    pub(crate) fn without_bot() -> Self {
        Self::start(on_free_ports().env("NO_BOT", "true"))
    }

    pub(crate) async fn scrape(&self) -> String {
        http::get(&format!("http://{}/metrics", self.admin)).await.body
    }

    /// An address below web.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.web)
    }

    /// Waits until an RPC of voting-svc has begun.
    pub(crate) async fn rpc_started(&self, method: &str) {
        let started = format!("grpc_server_started_total{{{}}}", rpc(method));
        eventually("the start of an RPC", || async {
            value(&self.scrape().await, &started).filter(|started| *started > 0.0)
        })
        .await;
    }

    /// Its exit code, lines and errors, once it has ended.
    pub(crate) fn end(self) -> (Option<i32>, Vec<String>, String) {
        self.run.end()
    }

    pub(crate) async fn vote(&self, choice: &str) -> u16 {
        let vote = format!("http://{}/api/vote?choice={choice}", self.web);
        http::get(&vote).await.status.as_u16()
    }

    pub(crate) fn voting_channel(&self) -> Channel {
        channel(self.voting)
    }
}

/// Reads until so many requests are answered with `404`.
pub(crate) async fn not_found(answers: &mut (impl AsyncRead + Unpin), mut missing: usize) {
    const HEAD: &[u8] = b"HTTP/1.1 404";
    let (mut unread, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    while missing > 0 {
        let length = within("more answers", answers.read(&mut buffer)).await;
        let length = length.expect("an open connection");
        assert!(length > 0, "{missing} answers are missing");
        unread.extend_from_slice(&buffer[..length]);
        missing -= unread.windows(HEAD.len()).filter(|window| window == &HEAD).count();
        // The head of an answer may be cut in two.
        let rest = unread.len().saturating_sub(HEAD.len() - 1);
        unread.drain(..rest);
    }
}

/// The value of a series, written as it is exposed.
pub(crate) fn value(metrics: &str, series: &str) -> Option<f64> {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map(|value| value.parse().expect("a number"))
}

/// The labels of an RPC of voting-svc.
pub(crate) fn rpc(method: &str) -> String {
    format!(r#"grpc_type="unary",grpc_service="emojivoto.v1.VotingService",grpc_method="{method}""#)
}
