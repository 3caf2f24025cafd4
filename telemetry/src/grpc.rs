//! Counts and traces RPCs: an [`Observer`] those that a process serves, [`Calls`] those that it makes.

mod body;
mod call;
mod client;
mod descriptors;
mod observer;
mod timeout;

pub use body::ObservedBody;
pub use call::Call;
pub use client::{CalledRpc, Calls};
pub use observer::Observer;
pub use timeout::timeout;

pub use crate::codes::{code_of_http, is_failure};
