//! The suite, with the proxies of a mesh between its services.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use emojivoto_e2e::{
    manifests::{documents, kind, name, render},
    root,
};
use emojivoto_proto::IdempotencyKey;
use emojivoto_telemetry::Telemetry;
use emojivoto_testkit::{ANY_PORT, Service, contract, emoji, http, web};
use emojivoto_voting_svc::{PollSettings, store::MemoryStore};
use serde_json::Value;

use crate::{
    envoy::Envoy,
    translation::{Mesh, Pods, envoy},
};

/// The objects of a variant of `k8s/`.
pub(crate) fn variant(name: &'static str) -> Vec<Value> {
    static RENDERED: Mutex<BTreeMap<&str, Vec<Value>>> = Mutex::new(BTreeMap::new());
    let rendered = || RENDERED.lock().expect("nothing fails while it is locked");
    if let Some(objects) = rendered().get(name) {
        return objects.clone();
    }
    let objects = documents(&render(&root().join("k8s/variants").join(name)));
    rendered().insert(name, objects.clone());
    objects
}

/// With time-outs of half a minute. Those of a cluster are soon over where a machine stalls.
pub(crate) fn without_haste(mut objects: Vec<Value>) -> Vec<Value> {
    const LONG: &str = "30s";
    for object in &mut objects {
        for timeout in
            ["/metadata/annotations/timeout.linkerd.io~1request", "/spec/rules/0/timeouts/request"]
        {
            if let Some(timeout) = object.pointer_mut(timeout) {
                *timeout = LONG.into();
            }
        }
    }
    objects
}

/// Takes an object away.
pub(crate) fn without(mut objects: Vec<Value>, of_kind: &str, called: &str) -> Vec<Value> {
    let before = objects.len();
    objects.retain(|object| kind(object) != of_kind || name(object) != called);
    assert!(objects.len() < before, "there is no {of_kind} {called}");
    objects
}

/// Changes an object.
pub(crate) fn change(
    objects: &mut [Value],
    of_kind: &str,
    called: &str,
    change: impl FnOnce(&mut Value),
) {
    let found = objects.iter_mut().find(|it| kind(it) == of_kind && name(it) == called);
    change(found.unwrap_or_else(|| panic!("there is no {of_kind} {called}")));
}

/// Starts the proxies of these pods and of those who call them.
pub(crate) async fn proxies(
    mesh: Mesh,
    objects: &[Value],
    pods: &Pods,
    calls: &[(&str, &str)],
) -> Envoy {
    let configuration = envoy(mesh, objects, pods, calls);
    Envoy::start(&configuration.unwrap_or_else(|error| panic!("not translated: {error}"))).await
}

/// voting-svc, with the doughnut failing and a store to look into.
pub(crate) struct Voting {
    service: Service,
    store: Arc<MemoryStore>,
}

impl Voting {
    pub(crate) async fn start() -> Self {
        Self::with(Duration::ZERO, true).await
    }

    /// With a delay before each vote, and votes that come again counted once, or not.
    pub(crate) async fn with(delay: Duration, once: bool) -> Self {
        let store = Arc::new(MemoryStore::default());
        let poll = PollSettings { failure_rate: 1.0, artificial_delay: delay, votes_once: once };
        let kept = Arc::clone(&store);
        let service = Service::start(ANY_PORT, |listener, lifecycle| {
            emojivoto_voting_svc::serve(poll, kept, listener, Telemetry::off(), lifecycle)
        });
        Self { service: service.await.ready().await, store }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.service.address()
    }

    /// Where one was that has ended.
    pub(crate) async fn gone() -> SocketAddr {
        let voting = Self::start().await;
        let address = voting.address();
        voting.service.drained().await;
        address
    }

    /// How many votes it has counted.
    pub(crate) async fn votes(&self) -> u64 {
        contract::votes(&*self.store).await.values().sum()
    }
}

/// emoji-svc, and web that calls it and voting-svc by its proxy.
pub(crate) struct Suite {
    _emoji: Service,
    pub(crate) proxies: Envoy,
    pub(crate) web: Service,
}

impl Suite {
    pub(crate) async fn start(mesh: Mesh, objects: &[Value], votings: &[SocketAddr]) -> Self {
        let emoji = emoji().await;
        let pods = Pods::from([("emoji", vec![emoji.address()]), ("voting", votings.to_owned())]);
        let calls = [("web", "emoji-svc"), ("web", "voting-svc")];
        let proxies = proxies(mesh, objects, &pods, &calls).await;
        let (emoji_svc, voting_svc) =
            (proxies.address("web to emoji-svc"), proxies.address("web to voting-svc"));
        let web = web(emoji_svc, voting_svc);
        Self { _emoji: emoji, proxies, web: web.await }
    }

    /// Waits until web has answers of both.
    pub(crate) async fn ready(self) -> Self {
        Self { web: self.web.ready().await, ..self }
    }

    /// Votes, and the status that web answered with.
    pub(crate) async fn vote(&self, shortcode: &str) -> u16 {
        vote(self.web.address(), shortcode).await
    }

    /// How many calls of voting-svc ended on a route, and how: the status of gRPC.
    pub(crate) async fn calls(&self, route: &str, status: &str) -> u64 {
        let labels = [("to", "voting-svc"), ("route", route), ("grpc_status", status)];
        self.proxies.requests(&labels).await
    }
}

/// The proxy by which the bot calls these webs.
pub(crate) async fn before_web(mesh: Mesh, objects: &[Value], webs: &Pods) -> Envoy {
    proxies(mesh, objects, webs, &[("vote-bot", "web-svc")]).await
}

/// Where [`before_web`] listens.
pub(crate) const BEFORE_WEB: &str = "vote-bot to web-svc";

/// Votes by web at an address, and the status that it answered with.
pub(crate) async fn vote(web: SocketAddr, shortcode: &str) -> u16 {
    http::get(&format!("http://{web}/api/vote?choice={shortcode}")).await.status.as_u16()
}

/// The same with a key of its own, as the bot does.
pub(crate) async fn vote_with_key(web: SocketAddr, shortcode: &str) -> u16 {
    let request = ::http::Request::get(format!("http://{web}/api/vote?choice={shortcode}"));
    let request = request.header(IdempotencyKey::HEADER, IdempotencyKey::random().header());
    http::send(request, "").await.expect("an answer").status.as_u16()
}
