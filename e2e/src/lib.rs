//! Tests that need more than the Rust toolchain: a browser, a container engine, kubectl.
//!
//! Each kind is a test target behind a feature of its own, so that `cargo test --workspace`
//! asks for nothing but Rust and `make test` runs them all.
