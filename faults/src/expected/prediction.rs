//! From the ways that requests go to what they should show.

use std::time::Duration;

use super::{
    Latency, Quantile, Ratio,
    extent::Extent,
    path::{Path, Timeouts, View},
};
use crate::{
    binomial::{OUTSIDE, counts, share, shares},
    draw::{For, draw},
};

/// How many requests are drawn.
const SAMPLES: u32 = 20_000;

/// Which of the ways a request goes is drawn apart from what happens to it there.
const SEED: u64 = 0x6368_6f69_6365;

#[derive(PartialEq)]
pub(super) struct Prediction {
    pub(super) paths: Vec<Path>,
    pub(super) calls: u32,
    pub(super) timeouts: Timeouts,
}

/// What has been drawn: how long requests take, in order, and how many succeed.
struct Drawn {
    took: Vec<Duration>,
    succeeded: u32,
}

/// A share of which may be known no more than that it lies between two others.
#[derive(Clone, Copy)]
struct Share {
    low: f64,
    likely: f64,
    high: f64,
}

impl Prediction {
    pub(super) fn make(&self) -> (Ratio, Latency) {
        let extents: Vec<_> = self.paths.iter().map(|path| path.extent(self.timeouts)).collect();
        let all = extents.iter().filter_map(|extent| extent.all());
        let (least, most) =
            all.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1))).unwrap_or_default();
        let by_chance = extents.iter().any(|extent| extent.may_be_late);
        let limited = self.paths.iter().any(Path::has_limits);
        let views: &[View] = if limited {
            &[View::All, View::Least, View::Likely, View::Most]
        } else {
            &[View::All]
        };
        let needs_samples = by_chance || least < most;
        let drawn: Vec<Option<Drawn>> =
            views.iter().map(|view| needs_samples.then(|| self.draw(*view))).collect();
        let success: Vec<Share> = views
            .iter()
            .zip(&drawn)
            .map(|(view, drawn)| match drawn {
                Some(drawn) if by_chance => {
                    let (low, high) = shares(SAMPLES, drawn.succeeded);
                    let likely = f64::from(drawn.succeeded) / f64::from(SAMPLES);
                    Share { low, likely, high }
                }
                _ => {
                    let share = self.passes(*view, &extents);
                    Share { low: share, likely: share, high: share }
                }
            })
            .collect();
        // Without limits, all views are the first one.
        let of = |view: usize| if limited { view } else { 0 };
        let latency = |at| match (&drawn[of(1)], &drawn[of(2)], &drawn[of(3)]) {
            (Some(least_let), Some(likely), Some(most_let)) => {
                let (low, high) = self.ranks(at);
                quantile(
                    at_rank(&likely.took, middle(at)).unwrap_or(least),
                    // Refused requests take less time, not more.
                    at_rank(&least_let.took, low).unwrap_or(least).max(least),
                    at_rank(&most_let.took, high).unwrap_or(most).min(most),
                )
            }
            _ => quantile(least, least, most),
        };
        let ratio = self.ratio(success[0], success[of(1)], success[of(2)], success[of(3)]);
        (ratio, Latency { p50: latency(0.5), p90: latency(0.9), p99: latency(0.99) })
    }

    /// The share that succeeds, without samples: of what may be late by chance, all may succeed, or none.
    pub(super) fn success(&self) -> Ratio {
        let extents: Vec<_> = self.paths.iter().map(|path| path.extent(self.timeouts)).collect();
        let in_time = |extent: &Extent| {
            let passes = extent.passes.filter(|_| !extent.may_be_late);
            Extent { passes, ..*extent }
        };
        let in_time: Vec<_> = extents.iter().map(in_time).collect();
        let share = |view| {
            let high = self.passes(view, &extents);
            Share { low: self.passes(view, &in_time), likely: high, high }
        };
        let [all, least, likely, most] =
            [View::All, View::Least, View::Likely, View::Most].map(share);
        let known = !extents.iter().any(|extent| extent.may_be_late);
        let ratio = self.ratio(all, least, likely, most);
        Ratio { ratio: ratio.ratio.filter(|_| known), ..ratio }
    }

    /// The share of all requests that succeeds, if none is late by chance.
    fn passes(&self, view: View, extents: &[Extent]) -> f64 {
        let each: Vec<_> = self
            .paths
            .iter()
            .zip(extents)
            .map(|(path, extent)| if extent.may_pass() { path.passes(view) } else { 0.0 })
            .collect();
        let one_for_all = each.iter().all(|share| share.to_bits() == each[0].to_bits());
        if one_for_all {
            return each[0];
        }
        let weighed = self.paths.iter().zip(&each).map(|(path, share)| path.weight * share);
        weighed.sum::<f64>().clamp(0.0, 1.0)
    }

    /// What limits refuse is not left to chance in the way that all else is: of what they let through, the rest of the
    /// rules lets a part succeed that differs as of fewer calls.
    fn ratio(&self, all: Share, least: Share, likely: Share, most: Share) -> Ratio {
        let known = !self.paths.iter().any(Path::is_unsure);
        let part = |of: f64| if all.likely > 0.0 { (of / all.likely).clamp(0.0, 1.0) } else { 1.0 };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "no more than the calls"
        )]
        let calls = |part: f64| (f64::from(self.calls) * part).floor() as u32;
        let limited = self.paths.iter().any(Path::has_limits);
        let (fewest, most) = if limited { (part(least.low), part(most.high)) } else { (1.0, 1.0) };
        let share_of = |count: u32, calls: u32| f64::from(count) / f64::from(calls.max(1));
        let at_least = fewest * share_of(counts(calls(fewest), all.low).0, calls(fewest));
        let upper = if calls(most) > 0 {
            share_of(counts(calls(most), all.high).1, calls(most))
        } else {
            1.0
        };
        let ratio = known.then_some(likely.likely);
        Ratio { ratio, at_least, at_most: most * upper }
    }

    /// Draws what comes of requests, in the order of how long they take.
    fn draw(&self, view: View) -> Drawn {
        let mut ends = Vec::new();
        let mut end = 0.0;
        for path in &self.paths {
            end += path.weight;
            ends.push(end);
        }
        let mut drawn = Drawn { took: Vec::new(), succeeded: 0 };
        for n in 0..u64::from(SAMPLES) {
            let chosen = draw(SEED, n, For::Share);
            let chosen = ends.partition_point(|end| *end <= chosen).min(self.paths.len() - 1);
            let (took, succeeds) = self.paths[chosen].draw(n, view, self.timeouts);
            drawn.took.push(took);
            drawn.succeeded += u32::from(succeeds);
        }
        drawn.took.sort_unstable();
        drawn
    }

    /// Between which of the drawn requests, counted from 1, the quantile of the calls lies. Both calls and drawn requests
    /// are as they are by chance.
    fn ranks(&self, at: f64) -> (u32, u32) {
        // Which one of the calls is the quantile is a matter of taste: this one, or the next.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "no more than the calls"
        )]
        let k = (f64::from(self.calls - 1) * at).floor() as u32 + 1;
        let next = (k + 1).min(self.calls);
        let low = share(self.calls, k, OUTSIDE / 2.0);
        let high = share(self.calls, next, 1.0 - OUTSIDE / 2.0);
        (counts(SAMPLES, low).0, counts(SAMPLES, high).1 + 1)
    }
}

/// The rank of the quantile of what has been drawn.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of them")]
fn middle(at: f64) -> u32 {
    (f64::from(SAMPLES) * at).ceil() as u32
}

/// None, if it lies outside of what has been drawn.
fn at_rank(took: &[Duration], rank: u32) -> Option<Duration> {
    took.get(usize::try_from(rank.checked_sub(1)?).ok()?).copied()
}

fn quantile(likely: Duration, low: Duration, high: Duration) -> Quantile {
    let seconds = likely.clamp(low, high.max(low));
    Quantile {
        seconds: seconds.as_secs_f64(),
        at_least: low.as_secs_f64(),
        at_most: high.max(low).as_secs_f64(),
    }
}
