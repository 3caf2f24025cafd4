//! The contract of the suite: the ballot, and messages, clients and servers of the two gRPC
//! services (`Emoji.proto`, `Voting.proto`).
//!
//! A method that the voting service does not have cannot be called from here: a [`Shortcode`] is
//! an entry of the ballot, and every entry has its RPC.

mod ballot;
pub mod emoji;
mod shared;
pub mod voting;

pub use ballot::{Shortcode, UnknownShortcode};
pub use shared::Shared;
