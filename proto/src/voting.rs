//! `emojivoto.v1.VotingService`: the messages of `Voting.proto`, and a client and a server that go
//! by the path.
//!
//! The service has a hundred RPCs of one shape. Generated code would repeat it a hundred times;
//! here [`Method`] maps paths to the ballot and back.

mod client;
mod method;
mod server;

pub use client::VotingClient;
pub use messages::*;
pub use method::{Method, SERVICE_NAME};
pub use server::{Voting, VotingServer};

#[allow(missing_docs, clippy::pedantic)] // generated code
mod messages {
    tonic::include_proto!("Voting/emojivoto.v1");
}

/// The encoded descriptor of `Voting.proto`, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/Voting/descriptors.bin"));
