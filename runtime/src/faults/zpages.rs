//! Faults on the live page.

use std::{
    sync::PoisonError,
    time::{Duration, Instant},
};

use emojivoto_faults::{Behind, Code, Effect, Failure, InForce, Place, Question, Ratio, Rule};
use emojivoto_telemetry::grpc::is_failure;
use emojivoto_zpages::{Faults, Success};

use super::Injection;

/// What had been chosen when comparing began, by place.
#[derive(Debug, Default)]
pub(super) struct Before {
    since: Option<Instant>,
    chosen: Vec<(Place, Vec<f64>)>,
}

impl Before {
    /// Leaves what is chosen since then.
    fn take_from(&self, place: Place, behind: &mut Behind) {
        let Some((_, before)) = self.chosen.iter().find(|(known, _)| *known == place) else {
            return;
        };
        for ((_, _, count), before) in behind.choices.iter_mut().zip(before) {
            *count -= before;
        }
    }
}

impl Faults for Injection {
    fn in_force(&self) -> Vec<InForce> {
        self.rules().in_force(Instant::now())
    }

    fn unchanged_since(&self) -> Option<(Instant, Duration)> {
        self.rules().unchanged_since(Instant::now())
    }

    fn success(&self, calls: &[(Place, u32)], since: Option<Instant>) -> Vec<Option<Success>> {
        let mut served = self.served();
        let mut before = self.0.before.lock().unwrap_or_else(PoisonError::into_inner);
        if before.since != since {
            let chosen = |(place, behind): &(Place, Behind)| {
                (*place, behind.choices.iter().map(|(_, _, count)| *count).collect())
            };
            let chosen = since.map(|_| served.iter().map(chosen).collect());
            *before = Before { since, chosen: chosen.unwrap_or_default() };
        }
        for (place, behind) in &mut served {
            before.take_from(*place, behind);
        }
        let at = Instant::now();
        let refusing = [false, true].map(|rpcs| self.refusing(rpcs, at));
        let is_here = |place: Place| served.iter().any(|(known, _)| *known == place);
        let success = |(place, calls): &(Place, u32)| {
            let (_, behind) = served.iter().find(|(known, _)| known == place)?;
            // What the rules of other processes are is not known here.
            let (rules, ratio) =
                behind.rpcs().all(is_here).then(|| self.of_place(*place, behind, *calls, at))?;
            let refusing = &refusing[usize::from(place.is_rpc())];
            let refuses = rules.iter().any(|rule| refusing.contains(rule));
            Some(Success { rules, ratio, refuses })
        };
        calls.iter().map(success).collect()
    }
}

impl Injection {
    /// The names of the rules that fail RPCs, or routes, as if it was their clients' fault.
    fn refusing(&self, rpcs: bool, now: Instant) -> Vec<String> {
        let is_failure = |code: &Code| is_failure(tonic::Code::from_i32(code.number()));
        let refuses = |rule: &Rule| {
            let here = if rpcs {
                !rule.grpc.is_empty() || rule.http.is_empty()
            } else {
                !rule.http.is_empty() || (rule.grpc.is_empty() && rule.emoji.is_empty())
            };
            here && match &rule.effect {
                Some(Effect::Rate(_) | Effect::Concurrency(_)) => true,
                Some(Effect::Fail(Failure { code, .. })) if rpcs => {
                    code.as_ref().is_some_and(|code| !is_failure(code))
                }
                Some(Effect::Fail(Failure { status, .. })) => {
                    status.is_some_and(|status| status < 500)
                }
                _ => false,
            }
        };
        let rules = self.rules().in_force(now).into_iter().map(|InForce { rule, .. }| rule);
        rules.filter(refuses).map(|rule| rule.name).collect()
    }

    /// The rules that strike calls to a place, and how many succeed.
    fn of_place(
        &self,
        place: Place,
        behind: &Behind,
        calls: u32,
        at: Instant,
    ) -> (Vec<String>, Ratio) {
        let within = |timeout| {
            // When the calls came is not known, which is what rates go by.
            self.rules().success(place, behind, &Question { calls, timeout, over: None, at })
        };
        let patience = self.patience().filter(|_| place.is_rpc());
        let [shortest, longest] = patience.unwrap_or_default();
        let (rules, ratio) = within(shortest);
        if shortest == longest {
            return (rules, ratio);
        }
        let (_, most) = within(longest);
        let known = ratio.ratio.filter(|_| ratio == most);
        (rules, Ratio { ratio: known, at_most: ratio.at_most.max(most.at_most), ..ratio })
    }
}
