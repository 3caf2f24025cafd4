//! The store that a setting names.

use std::{path::PathBuf, str::FromStr, time::Duration};

use super::{
    Added, FileError, FileStore, InvalidRedisUrl, MemoryStore, Once, RedisStore, RedisUrl,
    StoreError, Tally, Vote, VoteStore,
};

/// Where votes are to be kept.
#[derive(Debug, Clone)]
pub enum Place {
    /// `memory`
    Memory,
    /// `file:PATH`
    File(PathBuf),
    /// `redis://HOST` and the like
    Redis(RedisUrl),
}

/// The text names no store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownStore {
    /// Of none of these kinds.
    #[error("expected memory, file:PATH, or the address of Redis, such as redis://redis:6379")]
    Kind,
    /// The address of Redis is none.
    #[error(transparent)]
    Redis(#[from] InvalidRedisUrl),
}

impl FromStr for Place {
    type Err = UnknownStore;

    fn from_str(text: &str) -> Result<Self, UnknownStore> {
        if text == "memory" {
            return Ok(Self::Memory);
        }
        match text.strip_prefix("file:") {
            Some("") => Err(UnknownStore::Kind),
            Some(path) => Ok(Self::File(path.into())),
            None if text.starts_with("redis") => Ok(Self::Redis(text.parse()?)),
            None => Err(UnknownStore::Kind),
        }
    }
}

/// The store that a setting names cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("VOTES_STORE: {0}")]
pub struct CannotOpen(#[from] FileError);

/// A store of any kind.
#[derive(Debug)]
pub enum AnyStore {
    /// In memory.
    Memory(Box<MemoryStore>),
    /// In a file.
    File(FileStore),
    /// In Redis.
    Redis(Box<RedisStore>),
}

impl AnyStore {
    /// Opens the store. A file is there then; Redis is connected to by the first check.
    pub fn open(place: &Place, once: Once) -> Result<Self, CannotOpen> {
        Ok(match place {
            Place::Memory => Self::Memory(Box::new(MemoryStore::new(once))),
            Place::File(path) => Self::File(FileStore::open(path, once)?),
            Place::Redis(url) => Self::Redis(Box::new(RedisStore::new(url.clone(), once))),
        })
    }
}

/// Calls the same of whichever store it is.
macro_rules! each {
    ($any:expr, $store:ident => $call:expr) => {
        match $any {
            AnyStore::Memory($store) => $call,
            AnyStore::File($store) => $call,
            AnyStore::Redis($store) => $call,
        }
    };
}

impl VoteStore for AnyStore {
    async fn add(&self, vote: Vote) -> Result<Added, StoreError> {
        each!(self, store => store.add(vote).await)
    }

    async fn tally(&self) -> Result<Tally, StoreError> {
        each!(self, store => store.tally().await)
    }

    async fn fill(&self, votes: &Tally) -> Result<(), StoreError> {
        each!(self, store => store.fill(votes).await)
    }

    async fn check(&self) -> Result<(), StoreError> {
        each!(self, store => store.check().await)
    }

    fn window(&self) -> Duration {
        each!(self, store => store.window())
    }
}
