//! What every process of the suite shares, so that a service is only what it does.
//!
//! A binary's `main` is [`process::main`], which lets it spawn its services. A service
//! gets a bound listener and a [`Lifecycle`], serves through [`grpc`] or [`http`], and returns when
//! it has drained.

mod admin;
mod cli;
pub mod faults;
pub mod grpc;
mod healthcheck;
pub mod http;
mod lifecycle;
mod limits;
pub mod process;
pub mod settings;

pub use lifecycle::{Lifecycle, Stop};
pub use limits::{Budget, Limits, Permit, Rejected};

/// Any error that ends a service; its chain of sources goes to the log.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
