//! Whole-path tests: real services on real sockets, asked through their interfaces.

mod api;
mod bad_input;
mod bot;
mod calls;
mod drain;
mod faults;
mod grpc;
mod live;
mod logs;
mod metrics;
mod migrating;
mod once;
mod openapi;
mod overload;
mod pages;
mod process;
mod readme;
mod running;
mod terminal;
mod traces;
mod upstreams;
mod zpages;

use std::{sync::Arc, time::Duration};

use emojivoto_testkit::{Service, emoji, http, voting, web};
use emojivoto_voting_svc::store::{MemoryStore, VoteStore as _};

/// The ballot as the contract lists it: shortcode, picture, code points, RPC.
const BALLOT: &str = include_str!("../../../proto/ballot.tsv");

/// The two backends with web in front of them.
struct Suite {
    web: Service,
    emoji: Service,
    voting: Service,
    store: Arc<MemoryStore>,
}

impl Suite {
    async fn start() -> Self {
        let (emoji, (voting, store)) = (emoji().await, voting(Duration::ZERO).await);
        let web = web(emoji.address(), voting.address()).await.ready().await;
        Self { web, emoji, voting, store }
    }

    async fn get(&self, path: &str) -> http::Answer {
        http::get(&self.web.url(path)).await
    }

    async fn votes(&self) -> u64 {
        self.store.tally().await.expect("a tally").iter().sum()
    }
}
