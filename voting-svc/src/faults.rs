//! What goes wrong on purpose without anybody asking for it: the doughnut.

use std::time::Duration;

use emojivoto_proto::voting::Method;
use emojivoto_runtime::faults::{Delay, Injected, Rule, doughnut};

use crate::LOG;

/// The faults that the settings of this service stand for.
pub(crate) fn of(failure_rate: f64, artificial_delay: Duration) -> Vec<Rule> {
    let delay = Rule {
        name: "artificial-delay".to_owned(),
        grpc: vec!["Vote*".to_owned()],
        delay: Some(Delay::Fixed(artificial_delay)),
        ..Rule::default()
    };
    let delay = (!artificial_delay.is_zero()).then_some(delay);
    delay.into_iter().chain([doughnut(failure_rate)]).collect()
}

/// The line for a vote that a fault made fail. What it begins with is what tutorials of the original look for.
pub(crate) fn line(path: &str, why: &Injected) {
    let (fault, error) = (&why.rules, why as &dyn std::error::Error);
    if let Some(Method::Vote(choice)) = Method::from_path(path) {
        tracing::warn!(target: LOG, fault, error, "Vote for [{choice}] failed");
    } else {
        tracing::warn!(target: LOG, fault, error, "no results");
    }
}
