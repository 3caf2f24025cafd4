//! Within which times requests may be answered: what samples alone cannot tell, since they miss what is rare.

use std::time::Duration;

use super::{STALL_LIMIT, path::Met};

/// From the shortest to the longest.
pub(super) type Range = (Duration, Duration);

pub(super) fn hull(one: Option<Range>, other: Option<Range>) -> Option<Range> {
    match (one, other) {
        (Some(one), Some(other)) => Some((one.0.min(other.0), one.1.max(other.1))),
        (one, other) => one.or(other),
    }
}

/// One after the other.
pub(super) fn after(one: Range, other: Range) -> Range {
    (one.0 + other.0, one.1 + other.1)
}

/// At the same time.
fn later(one: Range, other: Range) -> Range {
    (one.0.max(other.0), one.1.max(other.1))
}

/// Within which times requests may be answered, if some can be in this way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    pub(super) passes: Option<Range>,
    pub(super) fails: Option<Range>,
    /// Until they begin to stall.
    pub(super) stalls: Option<Range>,
    /// Whether it is left to chance if a timeout passes.
    pub(super) may_be_late: bool,
}

impl Extent {
    pub(super) const NOTHING: Self = Self {
        passes: Some((Duration::ZERO, Duration::ZERO)),
        fails: None,
        stalls: None,
        may_be_late: false,
    };

    pub(super) fn of(met: &[Met]) -> Self {
        let mut extent = Self::NOTHING;
        let mut so_far = Range::default();
        for met in met {
            let share = met.active.rule.share;
            let delays = met.delays();
            match met.admits {
                Some(admits) if admits.least >= 1.0 => {}
                Some(_) => extent.fails = hull(extent.fails, Some(so_far)),
                None if share <= 0.0 => {}
                None if met.active.rule.effect.is_some() => {
                    let end = if met.stalls() { &mut extent.stalls } else { &mut extent.fails };
                    *end = hull(*end, Some(after(so_far, delays)));
                    if share >= 1.0 {
                        return Self { passes: None, ..extent };
                    }
                }
                // What is too slow by itself makes no difference to who succeeds, but to how long others take.
                None if met.fails => {
                    extent.fails = hull(extent.fails, Some(after(so_far, delays)));
                    if share >= 1.0 {
                        return Self { passes: None, ..extent };
                    }
                }
                None => {
                    so_far.1 += delays.1;
                    if share >= 1.0 {
                        so_far.0 += delays.0;
                    }
                }
            }
        }
        Self { passes: Some(so_far), ..extent }
    }

    /// Whether some can succeed at all.
    pub(super) fn may_pass(self) -> bool {
        self.passes.is_some()
    }

    /// All of them.
    pub(super) fn all(self) -> Option<Range> {
        hull(self.passes, self.fails)
    }

    /// Those that stall fail in the end.
    pub(super) fn stall(&mut self) {
        let stalls = self.stalls.take().map(|range| after(range, (STALL_LIMIT, STALL_LIMIT)));
        self.fails = hull(self.fails, stalls);
    }

    /// Those of an RPC whose caller waits for so long.
    pub(super) fn of_a_call(mut self, timeout: Duration) -> Self {
        self.stall();
        self.cut(Some(timeout));
        self
    }

    /// Nobody waits for longer.
    pub(super) fn cut(&mut self, timeout: Option<Duration>) {
        let Some(timeout) = timeout else { return };
        self.fails = self.fails.map(|(least, most)| (least.min(timeout), most.min(timeout)));
        if let Some((least, _)) = self.passes.filter(|(_, most)| *most >= timeout) {
            self.fails = hull(self.fails, Some((timeout, timeout)));
            self.passes = (least < timeout).then_some((least, timeout));
            self.may_be_late |= least < timeout;
        }
    }

    /// Two at the same time, of which the later one counts.
    pub(super) fn beside(self, other: Self) -> Self {
        let all = self.all().zip(other.all()).map(|(one, other)| later(one, other));
        let can_fail = self.fails.is_some() || other.fails.is_some();
        Self {
            passes: self.passes.zip(other.passes).map(|(one, other)| later(one, other)),
            fails: all.filter(|_| can_fail),
            stalls: None,
            may_be_late: self.may_be_late || other.may_be_late,
        }
    }
}
