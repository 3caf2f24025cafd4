//! What the benchmarks share: the suite as processes, and load for it.

pub mod load;
mod suite;

pub use suite::{Process, Suite, Telemetry, role};
