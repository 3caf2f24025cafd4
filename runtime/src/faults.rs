//! Faults on purpose: the rules of a process, and the layer by which a service puts them before what it serves.
//!
//! `places` are what can be struck, `settings` where rules come from at start, `file` where they come from later, `admin`
//! how they are looked at and changed, `layer` what they do to a request, `stall` half an answer, `work` what is done for
//! nobody, `zpages` what the live page shows of them, `metrics` what is counted of it all. What a rule is, and when it strikes, is `emojivoto_faults`'.

pub(crate) mod admin;
mod file;
mod layer;
mod metrics;
mod places;
mod settings;
mod stall;
mod work;
mod zpages;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

pub use emojivoto_faults::{
    Behind, Call, Code, Delay, Effect, Failure, Invalid, Place, Places, Rule, parse,
};
use emojivoto_faults::{Expected, Faults, Question};
use emojivoto_proto::Shortcode;
pub use emojivoto_telemetry::Injected;
use emojivoto_telemetry::{
    Telemetry,
    prometheus::metrics::{counter::Counter, gauge::Gauge},
};
use http::HeaderName;
pub(crate) use layer::Held;
pub use layer::{Face, Injecting, Reset, Stalls};
pub use places::places;
pub use settings::FaultArgs;
pub use stall::Stalled;
pub use work::{Work, Working};

/// Names the rules that struck a request, in its answer.
pub const HEADER: HeaderName = HeaderName::from_static("x-emojivoto-fault");

/// The bug of the original, to the letter: so many of the votes for the doughnut are not counted.
pub fn doughnut(share: f64) -> Rule {
    let (code, message) = (Some(Code::UNKNOWN), Some("ERROR".to_owned()));
    Rule {
        name: "doughnut".to_owned(),
        emoji: vec![Shortcode::doughnut().as_str().to_owned()],
        share,
        effect: Some(Effect::Fail(Failure { code, status: None, message })),
        ..Rule::default()
    }
}

/// What stands behind a place of a service, as far as it calls others.
type BehindPlace = Arc<dyn Fn(Place) -> Option<Behind> + Send + Sync>;

/// The faults of a process. Clones are handles to the same ones.
#[derive(Clone)]
pub struct Injection(Arc<Shared>);

struct Shared {
    faults: Faults,
    /// Whether answers say what struck them.
    announce: bool,
    /// Work that was done for nobody.
    wasted: Counter,
    /// Whether the rules that came last are in force: 1 or 0.
    reloaded: Gauge,
    /// What the process serves.
    served: Mutex<Vec<(Vec<Place>, BehindPlace)>>,
    /// What was chosen before calls are compared.
    before: Mutex<zpages::Before>,
    /// For how long those wait whose RPCs rules have struck: the shortest and the longest time, in nanoseconds.
    patience: [AtomicU64; 2],
}

impl std::fmt::Debug for Injection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Injection").field(&self.0.faults).finish()
    }
}

impl Default for Injection {
    /// Without rules, for services that run in no process of the suite.
    fn default() -> Self {
        Self::new(true)
    }
}

impl Injection {
    fn new(announce: bool) -> Self {
        let faults = Faults::new(places());
        let (wasted, reloaded, served, before) = Default::default();
        let patience = [AtomicU64::new(u64::MAX), AtomicU64::new(0)];
        let shared = Shared { faults, announce, wasted, reloaded, served, before, patience };
        Self(Arc::new(shared))
    }

    /// Adds what is counted of them to the metrics of a process, to which it can be added once.
    pub(crate) fn register(&self, telemetry: &Telemetry) {
        metrics::register(self, telemetry);
    }

    /// The rules in force.
    pub(crate) fn rules(&self) -> &Faults {
        &self.0.faults
    }

    /// Adds to the rules that the process has by itself, until it is given others of the same names.
    pub fn base(&self, rules: Vec<Rule>) {
        self.0.faults.base(rules);
    }

    /// Adds what another process has by itself, unless that one is a part of this.
    pub fn assume(&self, rules: Vec<Rule>) {
        self.0.faults.assume(rules);
    }

    /// Replaces the rules that were given so far, with a line that says `by` whom.
    pub fn give(&self, rules: Vec<Rule>, by: &str) {
        let names: Vec<_> = rules.iter().map(|rule| rule.name.as_str()).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        tracing::info!("faults on purpose, given by {by}: {names}");
        self.0.faults.replace(rules);
        self.0.reloaded.set(1);
        // Those who call now may be others.
        let [shortest, longest] = &self.0.patience;
        shortest.store(u64::MAX, Relaxed);
        longest.store(0, Relaxed);
    }

    /// Says that the process serves these places, and what stands behind each.
    pub fn serves(
        &self,
        places: Vec<Place>,
        behind: impl Fn(Place) -> Option<Behind> + Send + Sync + 'static,
    ) {
        let mut served = self.0.served.lock().unwrap_or_else(PoisonError::into_inner);
        served.push((places, Arc::new(behind)));
    }

    /// What the process serves, with what stands behind it.
    fn served(&self) -> Vec<(Place, Behind)> {
        // A copy, so that nobody who serves something waits until all of this is told.
        let served = self.0.served.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let behind_each = |(places, behind): &(Vec<Place>, BehindPlace)| {
            let behind = |place: &Place| (*place, behind(*place).unwrap_or_default());
            places.iter().map(behind).collect::<Vec<_>>()
        };
        served.iter().flat_map(behind_each).collect()
    }

    /// What calls to each place that the process serves should show. Where the question does not say how long callers of
    /// RPCs wait, they wait for as long as they have said, if all have said the same.
    fn expected(&self, question: &Question) -> Vec<(Place, Expected)> {
        let (rpcs, routes) = self.served().into_iter().partition(|(place, _)| place.is_rpc());
        let of_rpcs = Question { timeout: self.timeout_of_rpcs(question), ..*question };
        let mut expected = self.rules().predict(rpcs, &of_rpcs);
        expected.extend(self.rules().predict(routes, question));
        expected
    }

    /// How long callers of RPCs wait: as the question says, or as all of them have said.
    fn timeout_of_rpcs(&self, question: &Question) -> Option<Duration> {
        let told = self.patience().filter(|[shortest, longest]| shortest == longest);
        question.timeout.or(told.and_then(|[timeout, _]| timeout))
    }

    /// How long callers of RPCs wait whom rules have struck, from the shortest to the longest time; none is for ever. Nothing,
    /// if there were none.
    fn patience(&self) -> Option<[Option<Duration>; 2]> {
        let [shortest, longest] = self.0.patience.each_ref().map(|time| time.load(Relaxed));
        let time = |time| (time < u64::MAX).then(|| Duration::from_nanos(time));
        (longest > 0).then(|| [time(shortest), time(longest)])
    }

    /// Takes notice of how long a caller waits, which is for ever if it does not say so.
    fn waits(&self, timeout: Option<Duration>) {
        let nanoseconds = |timeout: Duration| u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        let time = timeout.map_or(u64::MAX, nanoseconds);
        let [shortest, longest] = &self.0.patience;
        shortest.fetch_min(time, Relaxed);
        longest.fetch_max(time, Relaxed);
    }

    /// The rules in force, as text: a set that can be given again.
    fn in_force(&self) -> String {
        let rules = self.0.faults.in_force(Instant::now());
        let rules: Vec<_> = rules.iter().map(ToString::to_string).collect();
        rules.join("\n")
    }
}
