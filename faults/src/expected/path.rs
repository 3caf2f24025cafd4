//! What a request meets on its way, and what may come of it.

use std::{sync::Arc, time::Duration};

use super::{
    STALL_LIMIT,
    extent::{Extent, after, hull},
    limits::Admits,
};
use crate::{
    Delay, Effect,
    draw::{For, draw},
    set::Active,
};

/// How many of those that limits decide on they let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// All, as if there were no limits.
    All,
    /// As few as it may be.
    Least,
    /// As many as are likely.
    Likely,
    /// As many as it may be.
    Most,
}

/// A rule that a request meets.
#[derive(Debug)]
pub(super) struct Met {
    pub(super) active: Arc<Active>,
    /// If it is a limit.
    pub(super) admits: Option<Admits>,
    /// Whether what it strikes fails: because it says so, or because its shortest delay is too long already.
    pub(super) fails: bool,
}

impl PartialEq for Met {
    fn eq(&self, other: &Self) -> bool {
        let same = Arc::ptr_eq(&self.active, &other.active);
        same && self.admits == other.admits && self.fails == other.fails
    }
}

/// When somebody gives up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Timeouts {
    /// The caller of the place.
    pub(super) caller: Option<Duration>,
    /// The place, as a caller of those behind it.
    pub(super) behind: Duration,
}

/// The way of the requests that choose the same emoji.
#[derive(Debug, PartialEq)]
pub(super) struct Path {
    /// The share of all requests that go it.
    pub(super) weight: f64,
    /// At the place itself.
    pub(super) own: Vec<Met>,
    /// Behind it: one step after the other, each of calls at the same time.
    pub(super) steps: Vec<Vec<Vec<Met>>>,
}

impl Met {
    /// A rule at a place where nobody waits for longer than this.
    pub(super) fn new(active: Arc<Active>, timeout: Option<Duration>) -> Self {
        let rule = &active.rule;
        let too_long = |delay: &Delay| timeout.is_some_and(|most| delay.quantile(0.0) >= most);
        let fails = matches!(rule.effect, Some(Effect::Fail(_) | Effect::Reset | Effect::Stall))
            || rule.delay.as_ref().is_some_and(too_long);
        let is_limit = matches!(rule.effect, Some(Effect::Rate(_) | Effect::Concurrency(_)));
        Self { admits: is_limit.then_some(Admits::UNKNOWN), fails, active }
    }

    /// The share of the requests that does not fail by it.
    fn passes(&self, view: View) -> f64 {
        match self.admits {
            Some(admits) => admits.of(view),
            None if self.fails => 1.0 - self.active.rule.share,
            None => 1.0,
        }
    }

    /// The share of the requests for which the rules after it, at the same place, have a say. A delay does not keep them
    /// from it, however long it is: all of them have their say before it begins.
    fn goes_on(&self, view: View) -> f64 {
        let only_slow = self.admits.is_none() && self.active.rule.effect.is_none();
        if only_slow { 1.0 } else { self.passes(view) }
    }

    /// The shortest and the longest delay.
    pub(super) fn delays(&self) -> (Duration, Duration) {
        // Farther out than this lies nothing that anybody sees.
        const FAR: f64 = 1.0 - 1e-12;
        let longest = |delay: &Delay| match delay {
            Delay::Normal { .. } => delay.quantile(FAR),
            _ => delay.longest(),
        };
        let delay = self.active.rule.delay.as_ref();
        delay.map_or_else(Default::default, |delay| (delay.quantile(0.0), longest(delay)))
    }

    /// Whether it is a limit of which is not known what it lets through.
    fn is_unsure(&self) -> bool {
        self.admits.is_some_and(|admits| admits.likely.is_none())
    }

    /// Whether it lets an answer begin, and stop halfway.
    pub(super) fn stalls(&self) -> bool {
        self.active.rule.effect == Some(Effect::Stall)
    }
}

/// The share of the requests that does not fail by one of these.
fn pass(met: &[Met], view: View) -> f64 {
    met.iter().map(|met| met.passes(view)).product()
}

/// The share of the requests that is passed on to the steps. Those that stall are: they are answered, and then the
/// answer stops.
fn pass_on(met: &[Met], view: View) -> f64 {
    let (mut left, mut stall) = (1.0, 0.0);
    for met in met {
        let passes = met.passes(view);
        if met.stalls() {
            stall += left * (1.0 - passes);
        }
        left *= passes;
    }
    left + stall
}

impl Path {
    /// The share of its requests that succeeds, if delays that add up to a timeout are left aside.
    pub(super) fn passes(&self, view: View) -> f64 {
        let behind = self.steps.iter().flatten();
        pass(&self.own, view) * behind.map(|met| pass(met, view)).product::<f64>()
    }

    /// The share of its requests that a rule decides on at the place itself, or in a step, if it does.
    pub(super) fn reaches(&self, name: &str, step: Option<usize>, view: View) -> f64 {
        let share_at = |met: &[Met]| {
            let at = met.iter().position(|met| met.active.rule.name == name)?;
            Some(met[..at].iter().map(|met| met.goes_on(view)).product::<f64>())
        };
        let Some(step) = step else { return share_at(&self.own).unwrap_or(0.0) };
        let before = self.steps[..step].iter().flatten();
        let before = before.map(|met| pass(met, view)).product::<f64>();
        let here = self.steps[step].iter().filter_map(|met| share_at(met)).sum::<f64>();
        pass_on(&self.own, view) * before * here
    }

    /// The rules that it meets, in order, each with its step.
    pub(super) fn met(&self) -> impl Iterator<Item = (Option<usize>, &Met)> {
        let behind = self.steps.iter().enumerate();
        let behind = behind
            .flat_map(|(step, calls)| calls.iter().flatten().map(move |met| (Some(step), met)));
        self.own.iter().map(|met| (None, met)).chain(behind)
    }

    /// As often as it meets a rule of this name.
    pub(super) fn met_as(&self, name: &str) -> impl Iterator<Item = &Met> {
        self.met().map(|(_, met)| met).filter(move |met| met.active.rule.name == name)
    }

    /// Whether it meets this limit, and one before of which is not known what it lets through.
    pub(super) fn is_unsure_before(&self, name: &str) -> bool {
        let before = self.met().map(|(_, met)| met);
        let mut before = before.take_while(|met| met.active.rule.name != name);
        before.any(Met::is_unsure) && self.met_as(name).next().is_some()
    }

    /// Whether it meets a limit.
    pub(super) fn has_limits(&self) -> bool {
        self.met().any(|(_, met)| met.admits.is_some())
    }

    /// Whether it meets one of which is not known what it lets through.
    pub(super) fn is_unsure(&self) -> bool {
        self.met().any(|(_, met)| met.is_unsure())
    }

    /// The same, to be changed.
    pub(super) fn met_mut(&mut self) -> impl Iterator<Item = &mut Met> {
        self.own.iter_mut().chain(self.steps.iter_mut().flatten().flatten())
    }

    /// Within which times its requests may be answered.
    pub(super) fn extent(&self, timeouts: Timeouts) -> Extent {
        let own = Extent::of(&self.own);
        let mut behind = Extent::NOTHING;
        for calls in &self.steps {
            let Some(so_far) = behind.passes else { break };
            let calls = calls.iter().map(|met| Extent::of(met).of_a_call(timeouts.behind));
            let step = calls.fold(Extent::NOTHING, Extent::beside);
            behind = Extent {
                passes: step.passes.map(|step| after(so_far, step)),
                fails: hull(behind.fails, step.fails.map(|step| after(so_far, step))),
                stalls: None,
                may_be_late: behind.may_be_late || step.may_be_late,
            };
        }
        let stalls = own.stalls.zip(behind.all()).map(|(own, behind)| after(own, behind));
        let mut extent = Extent {
            passes: own.passes.zip(behind.passes).map(|(own, behind)| after(own, behind)),
            fails: hull(
                own.fails,
                own.passes.zip(behind.fails).map(|(own, behind)| after(own, behind)),
            ),
            stalls,
            may_be_late: behind.may_be_late,
        };
        extent.stall();
        extent.cut(timeouts.caller);
        extent
    }

    /// What comes of its n-th request: how long it takes, and whether it succeeds.
    pub(super) fn draw(&self, n: u64, view: View, timeouts: Timeouts) -> (Duration, bool) {
        let mut calls = 0;
        let mut draw = |met: &[Met]| {
            calls += 1;
            strike(met, (n << 24) | (calls << 12), view)
        };
        let (mut took, own) = draw(&self.own);
        let mut succeeds = own != Outcome::Fails;
        for step in &self.steps {
            if !succeeds {
                break;
            }
            let mut longest = Duration::ZERO;
            for met in step {
                let (mut delay, outcome) = draw(met);
                if outcome == Outcome::Stalls {
                    delay += STALL_LIMIT;
                }
                longest = longest.max(delay.min(timeouts.behind));
                succeeds &= outcome == Outcome::Passes && delay < timeouts.behind;
            }
            took += longest;
        }
        if own == Outcome::Stalls {
            took += STALL_LIMIT;
        }
        match timeouts.caller {
            Some(timeout) if took >= timeout => (timeout, false),
            _ => (took, succeeds && own == Outcome::Passes),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passes,
    Fails,
    /// After an answer that would have been.
    Stalls,
}

/// What rules do to a request, as [`crate::Here::strike`] does it. What is drawn depends on the request and the rule
/// alone, so that limits that let more through never make a request faster.
fn strike(met: &[Met], n: u64, view: View) -> (Duration, Outcome) {
    /// Any.
    const SEED: u64 = 0x656d_6f6a_6976_6f74;
    let mut took = Duration::ZERO;
    for (n, met) in (n..).zip(met) {
        let rule = &met.active.rule;
        if let Some(admits) = met.admits {
            if draw(SEED, n, For::Share) >= admits.of(view) {
                return (took, Outcome::Fails);
            }
            continue;
        }
        if rule.share < 1.0 && draw(SEED, n, For::Share) >= rule.share {
            continue;
        }
        took += match &rule.delay {
            None => Duration::ZERO,
            Some(Delay::Fixed(delay)) => *delay,
            Some(delay) => delay.quantile(draw(SEED, n, For::Delay)),
        };
        if rule.effect.is_some() {
            return (took, if met.stalls() { Outcome::Stalls } else { Outcome::Fails });
        }
    }
    (took, Outcome::Passes)
}
