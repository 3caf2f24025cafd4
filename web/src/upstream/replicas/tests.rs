use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};

use axum::Router;
use emojivoto_proto::{
    IdempotencyKey, Shortcode,
    voting::{DESCRIPTORS, Method, VoteRequest, VoteResponse},
};
use emojivoto_telemetry::Telemetry;
use emojivoto_testkit::{
    Holding, PATIENCE, Service as Running, eventually, voting, voting_at, voting_on, within,
};
use emojivoto_voting_svc::store::{MemoryStore, VoteStore as _};
use http::{HeaderMap, Request, Uri};
use std::time::Duration;
use tokio::net::TcpListener;
use tonic::{Code, Status};

use super::*;
use crate::{
    settings::{Backends, LbPolicy},
    upstream::{
        Upstreams,
        backend::{Backend, Rpc, Way},
    },
};

/// What a name stands for, as the test says.
#[derive(Debug, Clone, Default)]
struct Name {
    addresses: Arc<Mutex<Vec<SocketAddr>>>,
    lookups: Arc<AtomicUsize>,
}

impl Name {
    fn of(addresses: &[SocketAddr]) -> Self {
        let name = Self::default();
        name.stands_for(addresses);
        name
    }

    /// Of nothing at all, a lookup is a failure.
    fn stands_for(&self, addresses: &[SocketAddr]) {
        *self.addresses.lock().expect("no panic") = addresses.to_vec();
    }

    fn lookup(&self) -> io::Result<Vec<SocketAddr>> {
        self.lookups.fetch_add(1, SeqCst);
        let addresses = self.addresses.lock().expect("no panic").clone();
        if addresses.is_empty() { Err(io::Error::other("no such host")) } else { Ok(addresses) }
    }

    fn backend(&self, timeout: Duration) -> Called {
        let (name, host) = (self.clone(), Authority::from_static("voting-svc:8080"));
        let lookup = move |_| std::future::ready(name.lookup());
        let names = vec![host];
        let replicas = Replicas::found_by(lookup, "voting-svc", &names, Gauge::default());
        let connected = replicas.connected.clone();
        let (way, telemetry) = (Way::LeastRequest(replicas), Telemetry::off());
        let backend = Backend::new("voting-svc", names, way, DESCRIPTORS, timeout, &telemetry);
        let vote = backend.rpc(Method::Vote(joy()).path());
        Called(Arc::new(Calling { backend, vote, connected }))
    }
}

/// A backend whose replicas are called.
#[derive(Clone)]
struct Called(Arc<Calling>);

struct Calling {
    backend: Backend,
    vote: Rpc,
    connected: watch::Receiver<Vec<Arc<Connection>>>,
}

impl Called {
    fn connected(&self) -> Vec<Arc<Connection>> {
        self.0.connected.borrow().clone()
    }

    fn is_idle(&self) -> bool {
        self.connected().iter().all(|replica| replica.load() == 0)
    }
}

fn joy() -> Shortcode {
    ":joy:".parse().expect("an emoji")
}

/// What a vote ends with.
async fn vote(called: &Called) -> Result<(), Code> {
    let Calling { backend, vote, .. } = &*called.0;
    let vote = within("the end of a vote", backend.call(vote, &VoteRequest {}, None)).await;
    vote.map(|VoteResponse {}| ()).map_err(|error| error.code)
}

async fn votes(store: &MemoryStore) -> u64 {
    store.tally().await.expect("a tally").iter().sum()
}

/// Waits until just these are connected.
async fn connected(replicas: &Called, addresses: &[SocketAddr]) {
    let mut expected = addresses.to_vec();
    expected.sort_unstable();
    eventually(&format!("{expected:?} connected"), || async {
        let connected = replicas.connected();
        let mut connected: Vec<_> = connected.iter().map(|replica| replica.address).collect();
        connected.sort_unstable();
        (connected == expected).then_some(())
    })
    .await;
}

/// An address where nobody listens.
async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address")
}

#[tokio::test]
async fn calls_go_to_all_that_the_name_stands_for_and_to_no_others() {
    let (one, store_1) = voting(Duration::ZERO).await;
    let (two, store_2) = voting(Duration::ZERO).await;
    let (three, store_3) = voting(Duration::ZERO).await;
    let [one, two, three] = [&one, &two, &three].map(Running::address);
    let name = Name::of(&[one, two]);
    let replicas = name.backend(PATIENCE);
    connected(&replicas, &[one, two]).await;
    for _ in 0..100 {
        vote(&replicas).await.expect("a vote");
    }
    let counted = [votes(&store_1).await, votes(&store_2).await, votes(&store_3).await];
    assert!(counted[0] >= 20 && counted[1] >= 20 && counted[2] == 0, "{counted:?}");

    name.stands_for(&[two, three]);
    connected(&replicas, &[two, three]).await;
    let before = votes(&store_1).await;
    for _ in 0..100 {
        vote(&replicas).await.expect("a vote");
    }
    assert_eq!(votes(&store_1).await, before, "it is not called any more");
    assert!(votes(&store_3).await >= 20);
}

#[tokio::test]
async fn a_lookup_that_fails_changes_nothing() {
    let (voting, _) = voting(Duration::ZERO).await;
    let name = Name::of(&[voting.address()]);
    let replicas = name.backend(PATIENCE);
    vote(&replicas).await.expect("a vote");
    name.stands_for(&[]);
    let before = name.lookups.load(SeqCst);
    let failed = || async { (name.lookups.load(SeqCst) > before + 1).then_some(()) };
    eventually("lookups that failed", failed).await;
    vote(&replicas).await.expect("a vote");
}

#[tokio::test]
async fn a_vote_in_flight_to_one_that_leaves_is_answered() {
    let store = Arc::new(Holding::default());
    let (leaving, (other, _)) = (voting_on(Arc::clone(&store)).await, voting(Duration::ZERO).await);
    let name = Name::of(&[leaving.address()]);
    let replicas = name.backend(PATIENCE);
    let (answered, ()) = tokio::join!(vote(&replicas), async {
        within("a vote at the store", store.arrived.notified()).await;
        name.stands_for(&[other.address()]);
        connected(&replicas, &[other.address()]).await;
        vote(&replicas).await.expect("a vote for the other one");
        store.go_on.notify_one();
    });
    answered.expect("an answer");
    assert_eq!(store.votes().await, 1);
    // Its connection has ended, which it would wait for otherwise.
    leaving.drained().await;
}

#[tokio::test]
async fn one_that_is_busy_is_avoided_until_it_is_not() {
    let store = Arc::new(Holding::default());
    let (busy, (other, others)) =
        (voting_on(Arc::clone(&store)).await, voting(Duration::ZERO).await);
    let replicas = Name::of(&[busy.address(), other.address()]).backend(PATIENCE);
    connected(&replicas, &[busy.address(), other.address()]).await;
    // Each goes to either one, as long as both are idle.
    let held = loop {
        let calling = replicas.clone();
        let mut call = tokio::spawn(async move { vote(&calling).await });
        tokio::select! {
            () = store.arrived.notified() => break call,
            ended = &mut call => ended.expect("no panic").expect("a vote"),
        }
    };
    let before = votes(&others).await;
    for _ in 0..50 {
        vote(&replicas).await.expect("a vote for the other one");
    }
    assert_eq!(votes(&others).await, before + 50);
    store.go_on.notify_one();
    held.await.expect("no panic").expect("a vote");
    assert_eq!(store.votes().await, 1);
    assert!(replicas.is_idle(), "calls that have ended are in flight no more");
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_not_waited_for() {
    let store = Arc::new(Holding::default());
    let slow = voting_on(Arc::clone(&store)).await;
    let replicas = Name::of(&[slow.address()]).backend(Duration::from_millis(300));
    connected(&replicas, &[slow.address()]).await;
    assert_eq!(vote(&replicas).await, Err(Code::DeadlineExceeded));
    assert!(replicas.is_idle(), "a call that was given up is in flight no more");
}

#[tokio::test]
async fn one_that_says_nothing_or_is_away_gets_no_calls() {
    // Connections to it are made by the kernel, and never answered.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let silent = silent.local_addr().map(|address| (address, silent)).expect("an address");
    let away = nobody().await;
    let name = Name::of(&[silent.0, away]);
    let replicas = name.backend(PATIENCE);
    assert_eq!(vote(&replicas).await, Err(Code::Unavailable));
    let one_came = replicas.0.connected.has_changed().expect("they are followed");
    assert!(!one_came, "it takes a word to be connected");

    let (voting, store) = voting_at(away, Duration::ZERO).await;
    connected(&replicas, &[away]).await;
    for _ in 0..20 {
        vote(&replicas).await.expect("a vote");
    }
    assert_eq!(votes(&store).await, 20, "the one that failed is not sent later");

    voting.drained().await;
    connected(&replicas, &[]).await;
    assert_eq!(vote(&replicas).await, Err(Code::Unavailable));
    let (_voting, _) = voting_at(away, Duration::ZERO).await;
    connected(&replicas, &[away]).await;
    vote(&replicas).await.expect("a vote");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_vote_fails_or_is_counted_twice_while_one_after_the_other_is_replaced() {
    let (mut services, mut stores) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let (service, store) = voting(Duration::ZERO).await;
        services.push(service);
        stores.push(store);
    }
    let addresses: Vec<_> = services.iter().map(Running::address).collect();
    let replicas = Name::of(&addresses).backend(PATIENCE);
    connected(&replicas, &addresses).await;
    let done = Arc::new(AtomicBool::new(false));
    let voters: Vec<_> = std::iter::repeat_with(|| {
        let (replicas, done) = (replicas.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            let mut acknowledged = 0;
            while !done.load(SeqCst) {
                vote(&replicas).await.expect("a vote");
                acknowledged += 1;
            }
            acknowledged
        })
    })
    .take(8)
    .collect();
    for service in services.drain(..) {
        let address = service.address();
        service.drained().await;
        let (service, store) = voting_at(address, Duration::ZERO).await;
        eventually("votes for the new one", || async { (votes(&store).await > 0).then_some(()) })
            .await;
        stores.push(store);
        // It ends with the test.
        std::mem::forget(service);
    }
    done.store(true, SeqCst);
    let mut acknowledged = 0;
    for voter in voters {
        acknowledged += voter.await.expect("no panic");
    }
    let mut counted = 0;
    for store in &stores {
        counted += votes(store).await;
    }
    assert_eq!(counted, acknowledged);
}

#[tokio::test]
async fn nothing_goes_on_when_nobody_calls_any_more() {
    let (voting, _) = voting(Duration::ZERO).await;
    let name = Name::of(&[voting.address()]);
    let replicas = name.backend(PATIENCE);
    vote(&replicas).await.expect("a vote");
    drop(replicas);
    let ended = || async { (Arc::strong_count(&name.lookups) == 1).then_some(()) };
    eventually("the end of the lookups", ended).await;
    voting.drained().await;
}

/// Proxies look at what a call is addressed to, and who sends it.
#[tokio::test]
async fn calls_look_the_same_whichever_way_they_go() {
    type Seen = Arc<Mutex<Vec<(String, Uri, HeaderMap)>>>;
    let (listener, seen) =
        (TcpListener::bind("127.0.0.1:0").await.expect("a port"), Seen::default());
    let address = listener.local_addr().expect("an address");
    let record = Arc::clone(&seen);
    let app = Router::new().fallback(async move |request: Request<axum::body::Body>| {
        let (head, _) = request.into_parts();
        let seen = (head.method.to_string(), head.uri, head.headers);
        record.lock().expect("no panic").push(seen);
        Status::unimplemented("it only looks").into_http::<axum::body::Body>()
    });
    let _server = AbortOnDropHandle::new(tokio::spawn(axum::serve(listener, app).into_future()));
    let key = IdempotencyKey::random();
    for grpc_lb_policy in [LbPolicy::PickFirst, LbPolicy::LeastRequest] {
        let backends = Backends { grpc_lb_policy, ..Backends::at(address, address) };
        let upstreams = Upstreams::new(&backends, PATIENCE, &Telemetry::off());
        let vote = within("the end of a vote", upstreams.vote(joy(), &key)).await;
        assert_eq!(vote.expect_err("it does not count").code, Code::Unimplemented);
    }
    let seen = seen.lock().expect("no panic");
    let [(method, uri, headers), other] = &seen[..] else { panic!("two calls: {seen:?}") };
    assert_eq!(
        (method.as_str(), uri.to_string()),
        ("POST", format!("http://{address}/emojivoto.v1.VotingService/VoteJoy"))
    );
    let agent = concat!("emojivoto-web/", env!("CARGO_PKG_VERSION"));
    for (name, value) in [
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", agent),
        ("grpc-timeout", "30000000u"),
    ] {
        assert_eq!(headers.get(name).and_then(|value| value.to_str().ok()), Some(value), "{name}");
    }
    assert_eq!(headers.get("idempotency-key"), Some(&key.header()));
    assert_eq!(&(method.clone(), uri.clone(), headers.clone()), other);
}
