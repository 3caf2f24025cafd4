//! How a vote is known again: keys, and a bounded memory of those that came last.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use emojivoto_proto::{IdempotencyKey, Shortcode};
use xxhash_rust::xxh3::xxh3_128;

use super::Added;

/// An idempotency key as stores keep it: its XXH3 (<https://xxhash.com>), of 128 bits, whatever its length. Of a
/// hundred thousand keys, two have the same one by chance in one of 10^28 cases. Whoever makes up such two has one vote
/// less, and nobody else has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; Key::BYTES]);

impl Key {
    /// How long it is.
    pub(super) const BYTES: usize = 16;

    /// As it is kept.
    pub(super) fn bytes(self) -> [u8; Self::BYTES] {
        self.0
    }
}

impl From<[u8; Key::BYTES]> for Key {
    fn from(bytes: [u8; Key::BYTES]) -> Self {
        Self(bytes)
    }
}

impl From<&IdempotencyKey> for Key {
    fn from(key: &IdempotencyKey) -> Self {
        Self(xxh3_128(key.as_bytes()).to_be_bytes())
    }
}

/// How much of what has come is known again.
#[derive(Debug, Clone, Copy)]
pub struct Once {
    /// Votes are known again for this long,
    pub window: Duration,
    /// but no more of them than these, the last to come.
    pub most: usize,
}

impl Default for Once {
    /// Ten minutes, and 100,000 votes, which is all of them up to 166 a second.
    fn default() -> Self {
        Self { window: Duration::from_mins(10), most: 100_000 }
    }
}

/// Milliseconds since 1970: ages are to outlive a process.
pub(super) type Time = u64;

pub(super) fn now() -> Time {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    millis(since_1970)
}

pub(super) fn millis(duration: Duration) -> Time {
    Time::try_from(duration.as_millis()).unwrap_or(Time::MAX)
}

/// The votes that came last, oldest first. Each takes some 60 bytes.
#[derive(Debug)]
pub(super) struct Recent {
    once: Once,
    known: HashMap<Key, Shortcode>,
    order: VecDeque<(Key, Time)>,
}

impl Recent {
    pub(super) fn new(once: Once) -> Self {
        Self { once, known: HashMap::new(), order: VecDeque::new() }
    }

    /// Whether a vote has come before.
    pub(super) fn find(&self, key: Key, choice: Shortcode) -> Added {
        match self.known.get(&key) {
            None => Added::Counted,
            Some(known) if *known == choice => Added::Again,
            Some(_) => Added::OfAnother,
        }
    }

    /// Remembers a vote that has not come before, and forgets the oldest where there are too many now.
    pub(super) fn remember(&mut self, key: Key, choice: Shortcode, time: Time) {
        self.known.insert(key, choice);
        self.order.push_back((key, time));
        while self.order.len() > self.once.most {
            self.forget_oldest();
        }
    }

    /// Forgets what is too old.
    pub(super) fn forget(&mut self, now: Time) {
        while self.oldest().is_some_and(|oldest| age(oldest, now) >= self.once.window) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((key, _)) = self.order.pop_front() {
            self.known.remove(&key);
        }
    }

    fn oldest(&self) -> Option<Time> {
        self.order.front().map(|(_, time)| *time)
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// For how long a vote is known again at the moment.
    pub(super) fn window(&self, now: Time) -> Duration {
        let full = self.len() >= self.once.most;
        let oldest = self.oldest().filter(|_| full);
        oldest.map_or(self.once.window, |oldest| age(oldest, now).min(self.once.window))
    }
}

fn age(time: Time, now: Time) -> Duration {
    Duration::from_millis(now.saturating_sub(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> Key {
        Key::from([number; Key::BYTES])
    }

    fn emoji(shortcode: &str) -> Shortcode {
        shortcode.parse().expect("an emoji of the ballot")
    }

    #[test]
    fn what_is_too_old_or_too_many_is_forgotten_oldest_first() {
        let (joy, ghost) = (emoji(":joy:"), emoji(":ghost:"));
        let mut recent = Recent::new(Once { window: Duration::from_millis(100), most: 3 });
        for (number, time) in [(1, 1_000), (2, 1_010), (3, 1_020)] {
            assert_eq!(recent.find(key(number), joy), Added::Counted);
            recent.remember(key(number), joy, time);
            assert_eq!(recent.find(key(number), joy), Added::Again);
            assert_eq!(recent.find(key(number), ghost), Added::OfAnother);
        }
        recent.forget(1_099);
        assert_eq!((recent.len(), recent.window(1_099)), (3, Duration::from_millis(99)));
        recent.forget(1_100);
        assert_eq!((recent.len(), recent.window(1_100)), (2, Duration::from_millis(100)));
        assert_eq!(recent.find(key(1), joy), Added::Counted);
        for number in [4, 5] {
            recent.remember(key(number), ghost, 1_100);
        }
        assert_eq!((recent.len(), recent.window(1_105)), (3, Duration::from_millis(85)));
        assert_eq!(recent.find(key(2), joy), Added::Counted);
        assert_eq!(recent.find(key(3), joy), Added::Again);
        // A clock that was set back forgets nothing.
        recent.forget(0);
        assert_eq!(recent.len(), 3);
        recent.forget(u64::MAX);
        assert_eq!((recent.len(), recent.known.len()), (0, 0));
    }

    #[test]
    fn keys_that_differ_are_told_apart() {
        let key = |text: &'static str| {
            let header = (IdempotencyKey::HEADER, http::HeaderValue::from_static(text));
            let key = IdempotencyKey::of(&[header].into_iter().collect());
            Key::from(&key.expect("a key").expect("one"))
        };
        assert_eq!(key("a"), key("a"));
        assert_ne!(key("a"), key("b"));
    }
}
