//! Where what the page says comes from, and how it is put together.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use emojivoto_faults::{InForce, MAX_CALLS, Place as FaultPlace, Ratio};
use emojivoto_telemetry::{
    Observability, Side,
    metrics::{Counts, Figures as Reader, Place},
};

use crate::{
    history::{History, Sample, figures, share},
    report::{Expected, Failure, Fault, Process, Report, Row, Windows},
};

/// The faults of a process.
pub trait Faults: Send + Sync + 'static {
    /// The rules in force.
    fn in_force(&self) -> Vec<InForce>;

    /// Since when the same ones strike, and how long others may have held requests before; none, if since the start.
    fn unchanged_since(&self) -> Option<(Instant, Duration)>;

    /// What calls should show to places that the process serves, so many each, since this moment or, without one, since the
    /// start. None where that is not known.
    fn success(&self, calls: &[(FaultPlace, u32)], since: Option<Instant>) -> Vec<Option<Success>>;
}

/// How many calls should succeed.
pub struct Success {
    /// The names of the rules that strike them.
    pub rules: Vec<String>,
    /// The share.
    pub ratio: Ratio,
    /// Whether a rule makes them fail with a status from 400 to 499.
    pub refuses: bool,
}

/// What a page is about.
pub struct Sources {
    /// The name of the process.
    pub name: &'static str,
    /// What is counted, and what failed.
    pub observability: Arc<Observability>,
    /// The services that run in it.
    pub services: Box<dyn Fn() -> Vec<&'static str> + Send + Sync>,
    /// What goes wrong on purpose.
    pub faults: Box<dyn Faults>,
}

/// What is known of a process.
pub(crate) struct Known {
    sources: Sources,
    start: Instant,
    memory: Mutex<Memory>,
}

struct Memory {
    reader: Reader,
    history: History,
}

impl Known {
    pub(crate) fn new(sources: Sources) -> Self {
        let start = Instant::now();
        let memory = Memory { reader: Reader::default(), history: History::new(start) };
        Self { sources, start, memory: Mutex::new(memory) }
    }

    /// What there is to say now.
    pub(crate) fn report(&self) -> Report {
        let Self { sources, start, memory } = self;
        let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
        let Memory { reader, history } = &mut *memory;
        let at = Instant::now();
        let now = Sample { at, counts: sources.observability.counts(reader) };
        history.add(&now);
        let [short, long, all] = history.begins(&now);
        let row = |(index, (_, place)): (usize, &(Side, Place))| Row {
            place: *place,
            in_flight: now.counts.get(index).map_or(0, |counts| counts.in_flight),
            last_10s: figures(*place, index, short, &now),
            last_minute: figures(*place, index, long, &now),
            since_start: figures(*place, index, all, &now),
            expected: None,
        };
        let indices = |wanted| {
            let places = reader.places().iter().enumerate();
            let mut places: Vec<_> = places.filter(|(_, (side, _))| *side == wanted).collect();
            places.sort_by_key(|(_, (_, place))| order(*place));
            places
        };
        let of_served = indices(Side::Server);
        let mut served: Vec<_> = of_served.iter().copied().map(row).collect();
        let called = indices(Side::Client).into_iter().map(row).collect();
        let seconds = |begin: &Sample| at.saturating_duration_since(begin.at).as_secs_f64();
        let windows = Windows {
            last_10s: seconds(short),
            last_minute: seconds(long),
            since_start: seconds(all),
        };
        let since = sources.faults.unchanged_since();
        if let Some(begin) = history.compared(since, &now) {
            let counts = of_served.iter().map(|(index, (_, place))| {
                (fault_place(*place), crate::history::since(*index, begin, &now))
            });
            let counts: Vec<_> = counts.collect();
            let expected = compare(&counts, &*sources.faults, since.map(|_| begin.at));
            // Unless they have just become others.
            if sources.faults.unchanged_since() == since {
                for (row, expected) in served.iter_mut().zip(expected) {
                    row.expected = expected;
                }
            }
        }
        Report {
            process: Process {
                name: sources.name,
                version: env!("CARGO_PKG_VERSION"),
                revision: emojivoto_telemetry::REVISION,
                uptime_seconds: at.saturating_duration_since(*start).as_secs_f64(),
                services: (sources.services)(),
            },
            windows,
            served,
            called,
            faults: sources.faults.in_force().into_iter().map(fault).collect(),
            failures: self.failures(at),
        }
    }

    fn failures(&self, now: Instant) -> Vec<Failure> {
        /// No more are shown.
        const LAST: usize = 12;
        let failures = self.sources.observability.failures().into_iter().take(LAST);
        let failure = |failure: emojivoto_telemetry::Failure| Failure {
            side: match failure.side {
                Side::Server => "served",
                Side::Client => "called",
            },
            place: failure.place,
            status: failure.status.to_string(),
            cause: failure.cause,
            fault: failure.fault,
            trace_id: failure.trace.map(|trace| trace.to_string()),
            seconds_ago: now.saturating_duration_since(failure.at).as_secs_f64(),
        };
        failures.map(failure).collect()
    }
}

/// Routes before RPCs, and all by their names.
fn order(place: Place) -> (u8, &'static str, &'static str) {
    match place {
        Place::Route { http_route } => (0, http_route, ""),
        Place::Url { url_template } => (1, url_template, ""),
        Place::Rpc { grpc_service, grpc_method } => (2, grpc_service, grpc_method),
    }
}

fn fault(InForce { rule, state, struck }: InForce) -> Fault {
    Fault { name: rule.name.clone(), state, struck, toml: rule.to_string() }
}

/// Holds what was counted of places against the rules, which are the same since then.
fn compare(
    counts: &[(FaultPlace, Counts)],
    faults: &dyn Faults,
    since: Option<Instant>,
) -> Vec<Option<Expected>> {
    // Rules may not have come to what a client did wrong.
    let compared = |counts: &Counts| counts.ended.saturating_sub(counts.cancelled + counts.refused);
    let calls = counts.iter().map(|(place, counts)| {
        (*place, u32::try_from(compared(counts)).unwrap_or(MAX_CALLS).clamp(1, MAX_CALLS))
    });
    let expected = faults.success(&calls.collect::<Vec<_>>(), since);
    let expect = |((_, counts), success): (&(FaultPlace, Counts), Option<Success>)| {
        Some(expect(success?, compared(counts), counts))
    };
    counts.iter().zip(expected).map(expect).collect()
}

fn expect(success: Success, calls: u64, counts: &Counts) -> Expected {
    /// What may come of rounding.
    const SLACK: f64 = 1e-9;
    let Success { rules, ratio: Ratio { ratio, at_least, at_most }, refuses } = success;
    let is_outside = |seen: Option<f64>| {
        seen.is_some_and(|seen| seen < at_least - SLACK || seen > at_most + SLACK)
    };
    let all = calls + counts.refused;
    let (calls, seen, outside) = if refuses {
        let seen = share(counts.succeeded, all);
        (all, seen, is_outside(seen))
    } else {
        // Or they may have, and let it through.
        let seen = share(counts.succeeded, calls);
        let outside = is_outside(seen) && is_outside(share(counts.succeeded + counts.refused, all));
        (calls, seen, outside)
    };
    Expected { rules, success: ratio, at_least, at_most, calls, seen, outside }
}

fn fault_place(place: Place) -> FaultPlace {
    match place {
        Place::Rpc { grpc_service: service, grpc_method: method } => {
            FaultPlace::Rpc { service, method }
        }
        Place::Route { http_route: template } | Place::Url { url_template: template } => {
            FaultPlace::Route(template)
        }
    }
}
