//! Where votes are kept. Which store it is, the two binaries choose: `main.rs` here, and `lib.rs` in `all-in-one`.
//! Whichever it is, `counted` goes around it.

mod counted;
mod memory;

use std::{future::Future, sync::Arc};

pub(crate) use counted::Counted;
use emojivoto_proto::Shortcode;
pub use memory::MemoryStore;

/// Votes by place on the ballot (see [`Shortcode::index`]).
pub type Tally = [u64; Shortcode::COUNT];

/// A store failed. Its sources are for the log, not for clients.
#[derive(Debug, thiserror::Error)]
#[error("the vote store failed")]
pub struct StoreError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Keeps votes.
///
/// Asynchronous because a store may be a file or a network away.
pub trait VoteStore: Send + Sync + 'static {
    /// Adds one vote. It is kept once this returns `Ok`, and is not kept if it returns an error.
    fn add(&self, choice: Shortcode) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// All votes so far.
    fn tally(&self) -> impl Future<Output = Result<Tally, StoreError>> + Send;
}

impl<S: VoteStore> VoteStore for Arc<S> {
    fn add(&self, choice: Shortcode) -> impl Future<Output = Result<(), StoreError>> + Send {
        S::add(self, choice)
    }

    fn tally(&self) -> impl Future<Output = Result<Tally, StoreError>> + Send {
        S::tally(self)
    }
}
