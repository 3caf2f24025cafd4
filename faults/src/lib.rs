//! Faults on purpose: what rules say, when they strike, and what they should do to every RPC and route.
//!
//! `places` are what can be struck, `rule` is what somebody wants, `parse` reads a set of them, `set` is the one in force,
//! `expected` what it predicts. How a request fails is for whoever answers it: nothing here knows of tonic or axum.

mod binomial;
mod code;
mod delay;
mod draw;
mod duration;
mod expected;
mod limit;
mod parse;
mod places;
mod rule;
mod set;

pub use code::Code;
pub use delay::{Delay, MAX_DELAY};
pub use duration::{InvalidDuration, go_duration, timeout};
pub use expected::{
    Behind, Call, Expected, Latency, MAX_CALLS, Quantile, Question, Ratio, STALL_LIMIT,
};
pub use limit::Permit;
pub use parse::{Invalid, MAX_RULES, MAX_TEXT, parse};
pub use places::{About, Place, Places};
pub use rule::{Effect, Failure, Rule};
pub use set::{End, Faults, Here, InForce, Strike};
