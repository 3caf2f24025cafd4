//! How many requests each HTTP/2 connection may have in flight, so that many connections do not have too many together.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::SeqCst},
};

use emojivoto_net::limits::{FEWEST_STREAMS, MAX_STREAMS, STREAMS};

/// A connection gets no more than this part of what is left, so that something is left for the next ones.
const PART: u32 = 8;

/// What connections have not been promised yet.
#[derive(Debug, Clone)]
pub(super) struct Streams(Arc<AtomicU32>);

impl Streams {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicU32::new(STREAMS)))
    }

    /// What one more connection may have in flight.
    pub(super) fn share(&self) -> Share {
        let left = self.0.load(SeqCst);
        let wanted = (left / PART).clamp(FEWEST_STREAMS, MAX_STREAMS);
        // The fewest it gets, whatever is left.
        let taken = self.0.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(wanted));
        let (streams, taken) = if taken.is_ok() { (wanted, wanted) } else { (FEWEST_STREAMS, 0) };
        Share { streams, taken, of: self.clone() }
    }
}

#[derive(Debug)]
pub(super) struct Share {
    streams: u32,
    taken: u32,
    of: Streams,
}

impl Share {
    pub(super) fn streams(&self) -> u32 {
        self.streams
    }

    /// How often a client may go on with a request that has been answered or refused already. h2 keeps a kilobyte for
    /// each, and closes the connection beyond that.
    pub(super) fn resets(&self) -> usize {
        // Who has many streams does so often: it cannot know that an RPC was answered before its message was sent.
        let resets = 16 + 9 * (self.streams - FEWEST_STREAMS);
        usize::try_from(resets).unwrap_or(usize::MAX)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.0.fetch_add(self.taken, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_get_most_and_all_get_some() {
        let streams = Streams::new();
        let shares: Vec<_> = (0..10_000).map(|_| streams.share()).collect();
        let most = shares.iter().filter(|share| share.streams() == MAX_STREAMS).count();
        assert!((16..64).contains(&most), "{most}");
        assert!(shares.iter().all(|share| share.streams() >= FEWEST_STREAMS));
        let promised: u32 = shares.iter().map(|share| share.taken).sum();
        assert!(promised <= STREAMS, "{promised}");
        drop(shares);
        assert_eq!(streams.share().streams(), MAX_STREAMS);
        assert_eq!(streams.0.load(SeqCst), STREAMS);
    }
}
