//! What every store of votes has to do, whichever it is.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use emojivoto_proto::{IdempotencyKey, Shortcode};
use emojivoto_voting_svc::store::{Added, Key, Once, StoreError, Vote, VoteStore};
use futures_util::future::join_all;
use tokio::task::JoinSet;

use crate::{eventually, within};

/// For how long a vote is known again where a test waits for its end.
const WINDOW: Duration = Duration::from_millis(500);

/// A key that nobody else has.
pub fn new_key() -> Key {
    Key::from(&IdempotencyKey::random())
}

fn emoji(shortcode: &str) -> Shortcode {
    shortcode.parse().expect("an emoji of the ballot")
}

async fn add(store: &impl VoteStore, choice: &str, key: Option<Key>) -> Added {
    let vote = Vote { choice: emoji(choice), key };
    within("a vote", store.add(vote)).await.expect("a vote that is taken")
}

/// The votes of those emoji that have some.
pub async fn votes(store: &impl VoteStore) -> BTreeMap<&'static str, u64> {
    let tally = within("a tally", store.tally()).await.expect("a tally");
    let all = Shortcode::all().map(Shortcode::as_str).zip(tally);
    all.filter(|(_, votes)| *votes > 0).collect()
}

/// Asserts all of it. `new` makes a store that is empty.
pub async fn is_a_store<S: VoteStore>(new: impl AsyncFn(Once) -> S) {
    counts(&new(Once::default()).await).await;
    counts_once(&new(Once::default()).await).await;
    counts_many_at_once(new(Once::default()).await).await;
    forgets_what_is_too_much(&new(Once { most: 640, ..Once::default() }).await).await;
    forgets_what_is_too_old(&new(Once { window: WINDOW, ..Once::default() }).await).await;
    is_filled_when_empty(&new(Once::default()).await).await;
}

/// The same for a store that outlives who has opened it: what `open` opens is always the same one, empty at first.
pub async fn outlives_its_process<S: VoteStore>(open: impl AsyncFn(Once) -> S) {
    let key = Some(new_key());
    let store = open(Once::default()).await;
    assert_eq!(add(&store, ":joy:", key).await, Added::Counted);
    assert_eq!(add(&store, ":100:", None).await, Added::Counted);
    drop(store);
    let store = open(Once::default()).await;
    assert_eq!(votes(&store).await, [(":100:", 1), (":joy:", 1)].into());
    assert_eq!(add(&store, ":joy:", key).await, Added::Again);
    assert_eq!(add(&store, ":ghost:", key).await, Added::OfAnother);
    assert_eq!(votes(&store).await, [(":100:", 1), (":joy:", 1)].into());
}

/// What is known again after so many votes that the first were forgotten, and one end after the other.
pub async fn remembers_the_last<S: VoteStore>(open: impl AsyncFn(Once) -> S) {
    let once = Once { most: 640, ..Once::default() };
    let mut last = Vec::new();
    for _ in 0..3 {
        let store = open(once).await;
        for key in &last {
            assert_eq!(add(&store, ":joy:", *key).await, Added::Again);
        }
        let keys: Vec<_> = std::iter::repeat_with(new_key).take(1_000).map(Some).collect();
        for keys in keys.chunks(500) {
            let added = join_all(keys.iter().map(|key| add(&store, ":joy:", *key))).await;
            assert!(added.iter().all(|added| *added == Added::Counted));
        }
        last = keys[500..].to_vec();
    }
}

async fn counts(store: &impl VoteStore) {
    store.check().await.expect("a store that works");
    assert_eq!(votes(store).await, [].into());
    let mut expected = BTreeMap::new();
    for (number, emoji) in Shortcode::all().enumerate() {
        for _ in 0..number % 3 {
            assert_eq!(add(store, emoji.as_str(), None).await, Added::Counted);
            *expected.entry(emoji.as_str()).or_default() += 1;
        }
    }
    assert_eq!(votes(store).await, expected);
}

async fn counts_once(store: &impl VoteStore) {
    let (one, other) = (Some(new_key()), Some(new_key()));
    for (choice, key, added) in [
        (":joy:", one, Added::Counted),
        (":joy:", one, Added::Again),
        (":ghost:", one, Added::OfAnother),
        (":joy:", one, Added::Again),
        (":joy:", other, Added::Counted),
        (":ghost:", None, Added::Counted),
    ] {
        assert_eq!(add(store, choice, key).await, added);
    }
    assert_eq!(votes(store).await, [(":joy:", 2), (":ghost:", 1)].into());
    assert_eq!(store.window(), Once::default().window);
}

/// Each vote twice, at the same time as many others.
async fn counts_many_at_once(store: impl VoteStore) {
    const VOTES: usize = 500;
    let store = Arc::new(store);
    let mut tasks = JoinSet::new();
    for number in 0..VOTES {
        let key = Some(new_key());
        let choice = Shortcode::all().nth(number % 7).expect("an emoji").as_str();
        for _ in 0..2 {
            let store = Arc::clone(&store);
            tasks.spawn(async move { add(&*store, choice, key).await });
        }
    }
    let added = within("a thousand votes", tasks.join_all()).await;
    let counted = added.iter().filter(|added| **added == Added::Counted).count();
    let again = added.iter().filter(|added| **added == Added::Again).count();
    assert_eq!((counted, again), (VOTES, VOTES));
    assert_eq!(votes(&*store).await.values().sum::<u64>(), VOTES as u64);
}

async fn forgets_what_is_too_much(store: &impl VoteStore) {
    let keys: Vec<_> = std::iter::repeat_with(new_key).take(6_400).map(Some).collect();
    for keys in keys.chunks(640) {
        let added = join_all(keys.iter().map(|key| add(store, ":joy:", *key))).await;
        assert!(added.iter().all(|added| *added == Added::Counted));
    }
    assert!(store.window() < Once::default().window, "{:?}", store.window());
    let last = Some(new_key());
    assert_eq!(add(store, ":joy:", last).await, Added::Counted);
    assert_eq!(add(store, ":joy:", keys[0]).await, Added::Counted);
    assert_eq!(add(store, ":joy:", last).await, Added::Again);
}

async fn forgets_what_is_too_old(store: &impl VoteStore) {
    let key = Some(new_key());
    assert_eq!(add(store, ":joy:", key).await, Added::Counted);
    eventually("a vote that is forgotten", async || {
        (add(store, ":joy:", key).await == Added::Counted).then_some(())
    })
    .await;
    // The one that came again is a new one, and what is over does not take it along.
    // The one that came again is a new one: others push out what is over, and not that.
    let counted = Instant::now();
    for _ in 0..3 {
        add(store, ":ghost:", Some(new_key())).await;
    }
    let again = add(store, ":joy:", key).await;
    assert!(again == Added::Again || counted.elapsed() > WINDOW, "{again:?}");
}

async fn is_filled_when_empty(store: &impl VoteStore) {
    let mut tally = [0; Shortcode::COUNT];
    (tally[0], tally[99]) = (1, 1 << 62);
    store.fill(&tally).await.expect("an empty store");
    assert_eq!(store.tally().await.expect("a tally"), tally);
    let again = store.fill(&tally).await;
    assert!(matches!(again, Err(StoreError::NotEmpty)), "{again:?}");
    let last = Shortcode::all().last().expect("an emoji");
    assert_eq!(add(store, last.as_str(), None).await, Added::Counted);
    tally[99] += 1;
    assert_eq!(store.tally().await.expect("a tally"), tally);
}
