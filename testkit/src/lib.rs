//! What the tests share: services in the test's own process, spawned binaries, HTTP requests, a
//! collector of spans and logs.
//!
//! Everything is real: real services on real sockets of the loopback interface, on ports that the
//! system picks. Nothing waits by sleeping: [`eventually`] asks again until a deadline. And nothing waits for ever:
//! [`within`] says what was waited for in vain.

pub mod bench;
mod binary;
pub mod collector;
pub mod contract;
mod hanging;
mod holding;
pub mod http;
mod patience;
mod resending;
mod services;
pub mod usage;

use std::{
    future::Future,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

pub use binary::{Binary, Run, behaves, healthcheck, refuses, reports_as, requires};
pub use hanging::redis_that_hangs;
pub use holding::Holding;
pub use patience::{PATIENCE, within};
pub use resending::Resending;
pub use services::{
    Service, channel, defaults, emoji, voting, voting_at, voting_on, web, web_spreading, web_with,
};

/// For what shall listen wherever there is room.
pub const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Asks until there is an answer.
///
/// # Panics
/// When there is none in time; `what` says what was waited for.
pub async fn eventually<T, F>(what: &str, mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    within(what, async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
}
