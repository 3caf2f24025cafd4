//! Faults on the live page.

use std::{sync::PoisonError, time::Instant};

use emojivoto_faults::{Behind, Effect, InForce, Place, Question, Ratio};
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

    fn unchanged_since(&self) -> Option<Instant> {
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
        let is_here = |place: Place| served.iter().any(|(known, _)| *known == place);
        let success = |(place, calls): &(Place, u32)| {
            let (_, behind) = served.iter().find(|(known, _)| known == place)?;
            // What the rules of other processes are is not known here.
            behind.rpcs().all(is_here).then(|| self.of_place(*place, behind, *calls, at))
        };
        calls.iter().map(success).collect()
    }
}

impl Injection {
    fn of_place(&self, place: Place, behind: &Behind, calls: u32, at: Instant) -> Success {
        let patience = self.patience().filter(|_| place.is_rpc());
        let within = |timeout| {
            // When the calls came is not known, which is what rates go by.
            self.rules().success(place, behind, &Question { calls, timeout, over: None, at })
        };
        let (rules, mut ratio) = within(patience.map(|(shortest, _)| shortest));
        if let Some((shortest, longest)) = patience
            && shortest != longest
        {
            let (_, most) = within(Some(longest));
            let known = ratio.ratio.filter(|_| ratio == most);
            ratio = Ratio { ratio: known, at_most: ratio.at_most.max(most.at_most), ..ratio };
        }
        let refuses = |InForce { rule, .. }: &InForce| {
            let refuses = match &rule.effect {
                Some(Effect::Rate(_) | Effect::Concurrency(_)) => true,
                Some(Effect::Fail(failure)) => failure.status.is_some_and(|status| status < 500),
                _ => false,
            };
            refuses && rules.contains(&rule.name)
        };
        let refuses = Faults::in_force(self).iter().any(refuses);
        Success { rules, ratio, refuses }
    }
}
