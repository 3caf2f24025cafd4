//! Where votes are kept: `memory`, `file` or `redis`, as `any` picks by the setting (`settings.rs`). `once` is how votes
//! are known again.

mod any;
mod file;
mod memory;
mod once;
mod redis;

use std::{error::Error, fmt, future::Future, time::Duration};

pub use self::redis::{InvalidRedisUrl, RedisStore, RedisUrl};
pub use any::{AnyStore, CannotOpen, Place, UnknownStore};
use emojivoto_proto::Shortcode;
pub use file::{FileError, FileStore};
pub use memory::MemoryStore;
pub use once::{Key, Once};

/// Votes by place on the ballot (see [`Shortcode::index`]).
pub type Tally = [u64; Shortcode::COUNT];

/// A vote.
#[derive(Debug, Clone, Copy)]
pub struct Vote {
    /// What it is for.
    pub choice: Shortcode,
    /// By which it is known again. One without is counted each time it comes.
    pub key: Option<Key>,
}

/// What a store did with a vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It is counted now.
    Counted,
    /// It had been counted before, and was not again.
    Again,
    /// It was not counted: its key belongs to a vote for another emoji.
    OfAnother,
}

/// A store failed. The source is for the log, not for clients.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no room for more.
    #[error("the vote store is full")]
    Full(#[source] Box<dyn Error + Send + Sync>),
    /// It will not work as long as nobody changes something: a wrong password, say, or a cluster that is addressed as
    /// one server.
    #[error("the vote store refuses to work with this setting")]
    Refused(#[source] Box<dyn Error + Send + Sync>),
    /// It was to be filled, but is not empty.
    #[error("the vote store holds votes already: expected an empty one")]
    NotEmpty,
    /// Whatever else.
    #[error("the vote store failed")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

impl StoreError {
    /// All of it in one line, for the one who started the process.
    pub(crate) fn explained(&self) -> String {
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(error) = source {
            let error_text = error.to_string();
            // Some say the same as what is behind them.
            if !text.ends_with(&error_text) {
                text = format!("{text}: {error_text}");
            }
            source = error.source();
        }
        text
    }
}

/// Keeps votes.
///
/// Asynchronous because a store may be a file or a network away.
pub trait VoteStore: fmt::Debug + Send + Sync + 'static {
    /// Adds one vote, unless it is known. It is kept, as safely as the store can, once this returns `Ok`. If it returns
    /// an error, or is dropped before, it may still have been kept: to send it again under the same key does no harm.
    fn add(&self, vote: Vote) -> impl Future<Output = Result<Added, StoreError>> + Send;

    /// All votes so far.
    fn tally(&self) -> impl Future<Output = Result<Tally, StoreError>> + Send;

    /// Puts all of these votes into a store that has none, or nothing at all.
    fn fill(&self, votes: &Tally) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Whether it can take votes. To be asked now and then: this is also when a store that failed tries to recover.
    fn check(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// For how long a vote is known again at the moment: less than it was asked for where votes come faster than
    /// can be remembered.
    fn window(&self) -> Duration;
}
