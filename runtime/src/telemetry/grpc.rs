//! Counts and traces RPCs: `server` is around what a process serves,
//! [`Client`] around what it calls.

mod body;
mod call;
mod client;
mod methods;
mod server;

pub use client::{Client, code_of_failure};
pub(crate) use server::ServerLayer;
