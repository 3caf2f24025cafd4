//! What limits let through.

use std::time::Duration;

use super::path::View;
use crate::{binomial::counts, limit::Rate};

/// The share of what comes that a limit lets through.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Admits {
    pub(super) least: f64,
    /// If it can be told.
    pub(super) likely: Option<f64>,
    pub(super) most: f64,
}

impl Admits {
    /// All or none, for all that is known.
    pub(super) const UNKNOWN: Self = Self { least: 0.0, likely: None, most: 1.0 };

    pub(super) fn of(self, view: View) -> f64 {
        match view {
            View::All => 1.0,
            View::Least => self.least,
            View::Likely => self.likely.unwrap_or(self.most),
            View::Most => self.most,
        }
    }
}

/// What comes to a limit: the share of the calls, as little, as likely and as much as it may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Coming {
    pub(super) least: f64,
    pub(super) likely: f64,
    pub(super) most: f64,
}

/// What a rate lets through of so many calls within this time, of which a share comes to it.
///
/// The likely share is that of calls that come evenly; the most is that with two calls more. The least is that of calls
/// that come by chance, as from many callers, to a limit whose burst has been used: the refused ones are no more than of
/// a queue with room for as many as the burst, and service times by chance (M/M/1/K), whose loss is known.
pub(super) fn rate(per_second: f64, calls: u32, coming: Coming, over: Duration) -> Admits {
    /// Calls that come a bit earlier or later than they should.
    const SLACK: f64 = 2.0;
    /// As many deviations hold 99.9 %.
    const DEVIATIONS: f64 = 3.29;
    let likely = f64::from(calls) * coming.likely;
    if likely <= 0.0 {
        return Admits { least: 0.0, likely: Some(1.0), most: 1.0 };
    }
    // Of the limit itself, which rounds to nanoseconds.
    let limit = Rate::new(per_second);
    let (interval, burst) = (limit.interval(), limit.burst());
    let in_time = over.as_secs_f64() * 1e9 / interval;
    let (fewest, _) = counts(calls, coming.least);
    let (_, most) = counts(calls, coming.most);
    let (fewest, most) = (f64::from(fewest), f64::from(most));
    let refused_at_most = if most <= burst {
        0.0
    } else {
        let lost = most * loss(most / in_time, burst);
        (lost + DEVIATIONS * lost.sqrt() + SLACK).min(most - burst)
    };
    let refused = (likely - burst - in_time).max(0.0);
    let refused_at_least = (fewest - burst - in_time - SLACK).max(0.0);
    let admitted = |refused: f64| (1.0 - refused / likely).clamp(0.0, 1.0);
    Admits {
        least: admitted(refused_at_most.max(refused)),
        likely: Some(admitted(refused)),
        most: admitted(refused_at_least.min(refused)),
    }
}

/// The share that a queue with so much room refuses, under a load of so much of what it can do.
fn loss(load: f64, room: f64) -> f64 {
    if !load.is_finite() {
        return 1.0;
    }
    if (load - 1.0).abs() < 1e-9 {
        return 1.0 / (room + 1.0);
    }
    if load > 1.0 {
        // Divided by the power, which would not fit.
        let inverse = load.recip();
        return (1.0 - inverse) / (1.0 - inverse.powf(room + 1.0));
    }
    (1.0 - load) * load.powf(room) / (1.0 - load.powf(room + 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::{For, draw};

    #[test]
    fn what_a_limit_lets_through_lies_between_the_least_and_the_most() {
        const CALLS: u32 = 600;
        let all = Coming { least: 1.0, likely: 1.0, most: 1.0 };
        for per_second in [0.7, 1.0, 3.0, 7.5, 60.0, 400.0] {
            for load in [0.2, 0.8, 1.0, 1.3, 5.0] {
                let over = Duration::from_secs_f64(f64::from(CALLS) / (per_second * load));
                let admits = rate(per_second, CALLS, all, over);
                let evenly = (0..CALLS).map(|n| over * n / CALLS).collect();
                assert_lets_through(per_second, admits, evenly);
                for seed in 0..5 {
                    let at = |n| over.mul_f64(draw(seed, n, For::Share));
                    let by_chance = (0..u64::from(CALLS)).map(at).collect();
                    assert_lets_through(per_second, admits, by_chance);
                }
            }
        }
    }

    fn assert_lets_through(per_second: f64, admits: Admits, mut at: Vec<Duration>) {
        at.sort_unstable();
        let limit = Rate::new(per_second);
        let admitted = at.iter().filter(|at| limit.allows(**at)).count();
        #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
        let admitted = admitted as f64 / at.len() as f64;
        let range = admits.least..=admits.most;
        assert!(range.contains(&admitted), "{admitted} at {per_second} a second, not {admits:?}");
        assert!(range.contains(&admits.likely.expect("known")), "{admits:?}");
    }

    /// The third of a second is no whole number of nanoseconds.
    #[test]
    fn as_many_as_a_second_has_room_for_are_let_through_at_once() {
        let all = Coming { least: 1.0, likely: 1.0, most: 1.0 };
        let at_once = |calls| rate(3.0, calls, all, Duration::from_millis(1));
        let three = at_once(3);
        assert_eq!((three.least, three.likely, three.most), (1.0, Some(1.0), 1.0));
        let four = at_once(4);
        assert!((four.least - 0.75).abs() < 1e-9 && four.most >= 0.75, "{four:?}");
        assert!((four.likely.expect("known") - 0.75).abs() < 0.001, "{four:?}");
    }

    #[test]
    fn a_queue_refuses_more_under_more_load_and_with_less_room() {
        for (load, room, expected) in
            [(1.0, 1.0, 0.5), (0.5, 1.0, 1.0 / 3.0), (2.0, 1.0, 2.0 / 3.0), (1.0, 9.0, 0.1)]
        {
            assert!((loss(load, room) - expected).abs() < 1e-9, "{load} with {room}");
        }
        assert!((loss(4.0, 1e6) - 0.75).abs() < 1e-9 && loss(0.9, 1e6) < 1e-9);
        assert!((loss(f64::INFINITY, 1.0) - 1.0).abs() < 1e-9);
    }
}
