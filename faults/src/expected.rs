//! What the rules in force should do.
//!
//! Chances multiply, and are exact. Where it takes luck to be in time, and for how long calls take, there are samples:
//! always the same ones, and what they may be wrong by counts as what calls may differ by.

mod extent;
mod limits;
mod path;
mod prediction;
#[cfg(test)]
mod tests;

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::{About, Effect, Faults, Place, set::Active};
use limits::{Admits, Coming};
use path::{Met, Path, Timeouts, View};
use prediction::Prediction;

/// Half an answer goes no further for so long, if whoever waits for it does not say how long that will be.
pub const STALL_LIMIT: Duration = Duration::from_mins(1);

/// Nothing is told of more calls.
pub const MAX_CALLS: u32 = 1_000_000;

/// What somebody wants to know of the calls to a place.
#[derive(Debug, Clone, Copy)]
pub struct Question {
    /// How many there are: from 1 to [`MAX_CALLS`].
    pub calls: u32,
    /// When the caller gives up: what takes so long fails then.
    pub timeout: Option<Duration>,
    /// The time within which they come, evenly. Without it, nothing can be told of rates.
    pub over: Option<Duration>,
    /// When they come, as far as rules begin and end. How long this takes does not matter.
    pub at: Instant,
}

/// What stands behind a route.
#[derive(Debug, Clone, Default)]
pub struct Behind {
    /// When the route gives up an RPC: that fails then.
    pub timeout: Duration,
    /// RPCs, one step after the other. Those of a step are called at the same time, and all of them are waited for. If
    /// one fails, so does the route, without the steps after it.
    pub steps: Vec<Vec<Call>>,
    /// The emoji that requests choose, by their shortcodes, each with its RPC and how often it was chosen: all alike, if
    /// none was so far. Without any here, requests choose no emoji.
    pub choices: Vec<(&'static str, Place, f64)>,
}

impl Behind {
    /// All RPCs that a request may lead to.
    pub fn rpcs(&self) -> impl Iterator<Item = Place> {
        let chosen = self.choices.iter().map(|(_, rpc, _)| *rpc);
        let called = self.steps.iter().flatten().filter_map(|call| match call {
            Call::To(place) => Some(*place),
            Call::Vote => None,
        });
        called.chain(chosen)
    }
}

/// What a route calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// This RPC.
    To(Place),
    /// The RPC of the emoji that the request chooses. Without one, none.
    Vote,
}

/// What calls should show, as if these were the only ones.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Expected {
    /// The names of the rules that take part, in the order in which they do.
    pub rules: Vec<String>,
    /// How many succeed.
    pub success: Ratio,
    /// How much longer they take, those that fail as well.
    #[serde(rename = "added_latency_seconds")]
    pub added_latency: Latency,
}

/// A share, from 0 (none) to 1 (all).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ratio {
    /// That of very many calls, if it can be told.
    pub ratio: Option<f64>,
    /// With 99.9 %, together with `at_most`, so many calls have no lower one.
    pub at_least: f64,
    /// Nor a higher one.
    pub at_most: f64,
}

/// The quantiles of a latency.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latency {
    /// Half of the calls take no longer.
    pub p50: Quantile,
    /// Nine of ten.
    pub p90: Quantile,
    /// 99 of a hundred.
    pub p99: Quantile,
}

/// A quantile of a latency, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantile {
    /// That of very many calls. Under limits of which nothing can be told, as if they let all through.
    #[serde(rename = "value")]
    pub seconds: f64,
    /// With 99.9 %, together with `at_most`, so many calls have no lower one.
    pub at_least: f64,
    /// Nor a higher one.
    pub at_most: f64,
}

impl Faults {
    /// What calls to places should show, of each of which it says which RPCs stand behind it if it is a route.
    pub fn predict(
        &self,
        served: Vec<(Place, Behind)>,
        question: &Question,
    ) -> Vec<(Place, Expected)> {
        let mut made = Vec::new();
        let each = served
            .into_iter()
            .map(|(place, behind)| (place, self.expected(place, &behind, question, &mut made)));
        each.collect()
    }

    /// What calls to a place should show. Many have the same rules, and what was `made` for one is that of another.
    fn expected(
        &self,
        place: Place,
        behind: &Behind,
        question: &Question,
        made: &mut Vec<(Prediction, (Ratio, Latency))>,
    ) -> Expected {
        let (rules, prediction) = self.prediction(place, behind, question);
        let same = made.iter().find(|(other, _)| *other == prediction).map(|(_, shown)| *shown);
        let (success, added_latency) = same.unwrap_or_else(|| {
            let shown = prediction.make();
            made.push((prediction, shown));
            shown
        });
        Expected { rules, success, added_latency }
    }

    /// The names of the rules that take part in that, and how many succeed: at little cost, since nothing is drawn. Where
    /// it would take luck to be in time, the bounds are wide.
    pub fn success(
        &self,
        place: Place,
        behind: &Behind,
        question: &Question,
    ) -> (Vec<String>, Ratio) {
        let (rules, prediction) = self.prediction(place, behind, question);
        (rules, prediction.success())
    }

    /// What is known of such calls, and the names of the rules that take part.
    fn prediction(
        &self,
        place: Place,
        behind: &Behind,
        question: &Question,
    ) -> (Vec<String>, Prediction) {
        let calls = question.calls.clamp(1, MAX_CALLS);
        let timeouts = Timeouts { caller: question.timeout, behind: behind.timeout };
        let mut paths = self.paths(place, behind, question);
        self.settle_limits(&mut paths, calls, question, timeouts);
        let mut rules: Vec<String> = Vec::new();
        for (_, met) in paths.iter().flat_map(Path::met) {
            if !rules.contains(&met.active.rule.name) {
                rules.push(met.active.rule.name.clone());
            }
        }
        (rules, Prediction { paths, calls, timeouts })
    }

    /// The ways that requests go, one for each emoji that they may choose.
    fn paths(&self, place: Place, behind: &Behind, question: &Question) -> Vec<Path> {
        // Before there are any, all alike.
        let total: f64 = behind.choices.iter().map(|(_, _, weight)| weight).sum();
        let weigh = |(emoji, rpc, weight): &(&'static str, Place, f64)| {
            (*emoji, *rpc, if total > 0.0 { *weight } else { 1.0 })
        };
        let chosen = behind.choices.iter().map(weigh).filter(|(_, _, weight)| *weight > 0.0);
        let chosen: Vec<_> = chosen.collect();
        let total: f64 = chosen.iter().map(|(_, _, weight)| weight).sum();
        let path = |choice: Option<(&str, Place)>, weight| {
            let emoji = choice.map(|(emoji, _)| emoji);
            let timeout = question.timeout.map_or(behind.timeout, |most| most.min(behind.timeout));
            let at_call = |call: &Call| match (*call, choice) {
                (Call::To(place), _) => self.met(place, emoji, question.at, Some(timeout)),
                (Call::Vote, Some((_, rpc))) => self.met(rpc, emoji, question.at, Some(timeout)),
                (Call::Vote, None) => Vec::new(),
            };
            let steps = behind.steps.iter().map(|step| step.iter().map(at_call).collect());
            let own = self.met(place, emoji, question.at, question.timeout);
            Path { weight, own, steps: steps.collect() }
        };
        if chosen.is_empty() {
            return vec![path(None, 1.0)];
        }
        let of_choice = |(emoji, rpc, weight): &(&'static str, Place, f64)| {
            path(Some((*emoji, *rpc)), weight / total)
        };
        chosen.iter().map(of_choice).collect()
    }

    /// The rules that strike a request for a place, which may choose an emoji.
    fn met(
        &self,
        place: Place,
        emoji: Option<&str>,
        now: Instant,
        timeout: Option<Duration>,
    ) -> Vec<Met> {
        let about = self.places().iter().find(|(known, _)| *known == place);
        let chooses = about.is_some_and(|(_, about)| about == About::Choice);
        let mut striking = self.striking(place, emoji.filter(|_| chooses), now);
        if chooses && emoji.is_none() {
            // Who chooses none is not struck by what is for some.
            striking.retain(|active| active.rule.emoji.is_empty());
        }
        striking.into_iter().map(|active| Met::new(active, timeout)).collect()
    }

    /// Finds out what limits let through, one after the other: what comes to each depends on those before it.
    fn settle_limits(
        &self,
        paths: &mut [Path],
        calls: u32,
        question: &Question,
        timeouts: Timeouts,
    ) {
        let mut limits: Vec<(Option<usize>, String)> = Vec::new();
        for path in &*paths {
            let met = path.met().filter(|(_, met)| met.admits.is_some());
            limits.extend(met.map(|(step, met)| (step, met.active.rule.name.clone())));
        }
        // Those of the place itself come first, and those of a place in the order of the rules.
        limits.sort_by_key(|(step, _)| *step);
        let mut settled = HashSet::new();
        for (step, name) in limits {
            if settled.insert(name.clone()) {
                let admits = self.admits(paths, &name, step, calls, question, timeouts);
                for met in paths.iter_mut().flat_map(Path::met_mut) {
                    if met.active.rule.name == name {
                        met.admits = Some(admits);
                    }
                }
            }
        }
    }

    /// What a limit lets through, if those that come before it are settled.
    fn admits(
        &self,
        paths: &[Path],
        name: &str,
        step: Option<usize>,
        calls: u32,
        question: &Question,
        timeouts: Timeouts,
    ) -> Admits {
        let met: Vec<Vec<&Met>> = paths.iter().map(|path| path.met_as(name).collect()).collect();
        let Some(active) = met.iter().flatten().next().map(|met| &met.active) else {
            return Admits::UNKNOWN;
        };
        let (Some(Effect::Rate(per_second)), Some(over)) = (&active.rule.effect, question.over)
        else {
            return Admits::UNKNOWN;
        };
        let by_chance = |path: &Path| path.extent(timeouts).may_be_late;
        // Others may come to it as well, or it is not known how many of these do.
        let unsure = self.is_shared(active)
            || met.iter().any(|met| met.len() > 1)
            || paths.iter().any(|path| path.is_unsure_before(name))
            || step.is_some() && paths.iter().any(by_chance);
        if unsure {
            return Admits::UNKNOWN;
        }
        let coming = |view| -> f64 {
            paths.iter().map(|path| path.weight * path.reaches(name, step, view)).sum()
        };
        let coming = Coming {
            least: coming(View::Least),
            likely: coming(View::Likely),
            most: coming(View::Most),
        };
        limits::rate(*per_second, calls, coming, over)
    }

    /// Whether a rule is for more than one place.
    fn is_shared(&self, active: &Active) -> bool {
        let places = self.places().iter();
        places.filter(|(place, about)| active.rule.can_strike(*place, *about)).nth(1).is_some()
    }
}
