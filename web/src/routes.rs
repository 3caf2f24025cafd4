//! What the addresses lead to.

pub(crate) mod api;
pub(crate) mod pages;
