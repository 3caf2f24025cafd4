//! Counts and traces RPCs: an [`Observer`] those that a process serves, an [`ObservedChannel`] those that it calls.

mod body;
mod call;
mod descriptors;
mod observer;
mod timeout;

pub use body::ObservedBody;
pub use call::Call;
pub use observer::{ObservedChannel, Observer};

pub use crate::codes::code_of;
