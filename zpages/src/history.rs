//! What was counted when, for as long as somebody looks, and what has happened between two of these moments.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use emojivoto_telemetry::metrics::{Counts, Place};

use crate::report::{Figures, Quantile};

/// The windows, besides that from the start.
const SHORT: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_mins(1);

/// No two samples are closer to each other. A bit less than what they are taken in.
const CLOSEST: Duration = Duration::from_millis(900);
/// Those that are too old for the short window are no closer to each other than this.
const CLOSEST_OLD: Duration = Duration::from_millis(4_500);

/// What a process had counted at a moment, by place.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) at: Instant,
    pub(crate) counts: Vec<Counts>,
}

/// The samples of the last minute.
#[derive(Debug)]
pub(crate) struct History {
    /// When the process began, with nothing counted.
    start: Sample,
    /// The oldest first.
    samples: VecDeque<Sample>,
    /// With which sample comparing began, and since when the rules were the same then.
    compared: Option<(Instant, Sample)>,
}

impl History {
    pub(crate) fn new(start: Instant) -> Self {
        let start = Sample { at: start, counts: Vec::new() };
        Self { start, samples: VecDeque::new(), compared: None }
    }

    /// Adds what is counted now, and forgets what no window needs.
    pub(crate) fn add(&mut self, now: &Sample) {
        let age = |sample: &Sample| now.at.saturating_duration_since(sample.at);
        if self.samples.back().is_some_and(|last| age(last) < CLOSEST) {
            return;
        }
        self.samples.push_back(now.clone());
        let mut kept: Option<Instant> = None;
        self.samples.retain(|sample| {
            let close = kept.is_some_and(|kept| sample.at < kept + CLOSEST_OLD);
            // What is a bit older than a window is what the window begins with.
            let keep =
                age(sample) <= SHORT + CLOSEST || (age(sample) <= LONG + CLOSEST_OLD && !close);
            if keep {
                kept = Some(sample.at);
            }
            keep
        });
    }

    /// The samples with which the windows begin that end now: of 10 seconds, of a minute, and of all time.
    pub(crate) fn begins<'a>(&'a self, now: &'a Sample) -> [&'a Sample; 3] {
        // Nobody may have looked for a while. A window is shorter then, and hardly ever longer than it is called.
        // One that has hardly begun says nothing yet.
        let begins = |longest| {
            let age = |sample: &Sample| now.at.saturating_duration_since(sample.at);
            let fits = |sample: &&Sample| (CLOSEST..=longest).contains(&age(sample));
            self.samples.iter().find(fits).unwrap_or(now)
        };
        [begins(SHORT + CLOSEST), begins(LONG + CLOSEST_OLD), &self.start]
    }

    /// The sample since which calls can be held against the rules, which are the same since then: from the start, or from
    /// the first look after they changed, once those have nearly all ended whom others struck.
    pub(crate) fn compared(
        &mut self,
        unchanged_since: Option<(Instant, Duration)>,
        now: &Sample,
    ) -> Option<&Sample> {
        /// What calls take that nothing holds.
        const SETTLES: Duration = Duration::from_secs(5);
        let Some((since, held)) = unchanged_since else { return Some(&self.start) };
        if self.compared.as_ref().is_none_or(|(before, _)| *before != since) {
            if now.at < since + held + SETTLES {
                return None;
            }
            self.compared = Some((since, now.clone()));
        }
        self.compared.as_ref().map(|(_, sample)| sample)
    }
}

/// What happened to a place from one sample to another, which are so many seconds apart.
pub(crate) fn figures(place: Place, index: usize, from: &Sample, to: &Sample) -> Figures {
    let counts = since(index, from, to);
    let calls = counts.ended;
    let buckets = &counts.buckets[..place.bounds().len()];
    let quantile = |at| quantile(at, place.bounds(), buckets, counts.timed);
    let seconds = to.at.saturating_duration_since(from.at).as_secs_f64();
    Figures {
        calls,
        failed: counts.failed(),
        rate_per_second: if seconds > 0.0 { float(calls) / seconds } else { 0.0 },
        success: share(counts.succeeded, calls),
        p50_seconds: quantile(0.5),
        p95_seconds: quantile(0.95),
        p99_seconds: quantile(0.99),
    }
}

/// What was counted of a place in between.
pub(crate) fn since(index: usize, from: &Sample, to: &Sample) -> Counts {
    let of = |sample: &Sample| sample.counts.get(index).copied().unwrap_or_default();
    of(to).since(&of(from))
}

/// None of none.
pub(crate) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| float(part) / float(whole))
}

#[expect(clippy::cast_precision_loss, reason = "nobody calls so often")]
fn float(count: u64) -> f64 {
    count as f64
}

/// As Prometheus' `histogram_quantile` has it: a straight line from one bound to the next.
/// See <https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile>.
fn quantile(at: f64, bounds: &[f64], buckets: &[u64], all: u64) -> Option<Quantile> {
    let highest = *bounds.last()?;
    if all == 0 {
        return None;
    }
    let rank = at * float(all);
    let bucket = buckets.iter().position(|count| float(*count) >= rank);
    let Some(bucket) = bucket else { return Some(Quantile { seconds: highest, or_more: true }) };
    let (below, before) = match bucket.checked_sub(1) {
        Some(previous) => (bounds[previous], buckets[previous]),
        None => (0.0, 0),
    };
    let part = (rank - float(before)) / float(buckets[bucket] - before);
    Some(Quantile { seconds: below + (bounds[bucket] - below) * part, or_more: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RPC: Place = Place::Rpc { grpc_service: "s.Voting", grpc_method: "VoteJoy" };

    fn sample(at: Instant, ended: u64, succeeded: u64) -> Sample {
        Sample { at, counts: vec![Counts { ended, succeeded, ..Counts::default() }] }
    }

    #[test]
    fn quantiles_are_those_of_prometheus() {
        // Worked out of the same buckets by `histogram_quantile` of Prometheus 2.42.
        let (bounds, buckets) = ([0.1, 0.5, 2.5], [10, 30, 38]);
        let quantile = |at| quantile(at, &bounds, &buckets, 40);
        let near = |at, seconds: f64, or_more| {
            let got = quantile(at).expect("calls");
            assert!((got.seconds - seconds).abs() < 1e-9, "{at}: {got:?}");
            assert_eq!(got.or_more, or_more, "{at}: {got:?}");
        };
        near(0.25, 0.1, false);
        near(0.5, 0.3, false);
        near(0.95, 2.5, false);
        near(0.99, 2.5, true);
        assert_eq!(super::quantile(0.5, &bounds, &[0, 0, 0], 0), None);
    }

    #[test]
    fn windows_are_as_long_as_somebody_has_looked_and_no_longer_than_they_are_called() {
        let start = Instant::now();
        let mut history = History::new(start);
        let at = |seconds| start + Duration::from_secs(seconds);
        let lengths = |history: &History, now: &Sample| {
            history.begins(now).map(|begin| now.at.duration_since(begin.at).as_secs())
        };
        let now = sample(at(100), 7, 7);
        history.add(&now);
        assert_eq!(lengths(&history, &now), [0, 0, 100]);
        for second in 101..=400 {
            let now = sample(at(second), second, second);
            history.add(&now);
            let [short, long, all] = lengths(&history, &now);
            let looked = second - 100;
            assert_eq!((short, all), (looked.min(10), second));
            assert!((looked.min(60)..=looked.min(65)).contains(&long), "{long} after {looked}");
            assert!(history.samples.len() <= 25, "{}", history.samples.len());
        }
        for pause in [8, 20, 40, 60, 3_600] {
            let last = history.samples.back().expect("samples").at;
            let now = sample(last + Duration::from_secs(pause), 500, 500);
            history.add(&now);
            let [short, long, _] = lengths(&history, &now);
            assert!(short <= 10 && long <= 64, "{short}, {long} after {pause}");
        }
    }

    #[test]
    fn many_looks_at_once_are_one_sample() {
        let start = Instant::now();
        let mut history = History::new(start);
        for look in 0..1_000 {
            history.add(&sample(start + Duration::from_millis(look), look, look));
        }
        assert_eq!(history.samples.len(), 2);
    }

    #[test]
    fn what_happened_in_a_window_is_the_difference() {
        let start = Instant::now();
        let (from, to) = (sample(start, 10, 9), sample(start + SHORT, 30, 24));
        let Figures { calls, failed, rate_per_second, success, .. } = figures(RPC, 0, &from, &to);
        assert_eq!((calls, failed, success), (20, 5, Some(0.75)));
        assert!((rate_per_second - 2.0).abs() < 1e-9, "{rate_per_second}");
        let none = figures(RPC, 7, &from, &to);
        assert_eq!((none.calls, none.success, none.p50_seconds), (0, None, None));
    }

    #[test]
    fn calls_are_compared_from_a_while_after_the_rules_have_changed() {
        let start = Instant::now();
        let mut history = History::new(start);
        let at = |seconds| sample(start + Duration::from_secs(seconds), seconds, 0);
        let mut begin = |changed: Option<(u64, Duration)>, now| {
            let changed = changed.map(|(at, held)| (start + Duration::from_secs(at), held));
            history
                .compared(changed, &at(now))
                .map(|sample| sample.counts.len() as u64 * (sample.at - start).as_secs())
        };
        assert_eq!(begin(None, 50), Some(0));
        let (none, long) = (Duration::ZERO, Duration::from_mins(1));
        assert_eq!(begin(Some((60, none)), 61), None);
        assert_eq!(begin(Some((60, none)), 66), Some(66));
        assert_eq!(begin(Some((60, none)), 90), Some(66));
        assert_eq!(begin(Some((100, long)), 164), None, "what was held may still come");
        assert_eq!(begin(Some((100, long)), 165), Some(165));
    }
}
