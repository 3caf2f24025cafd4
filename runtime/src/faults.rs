//! Faults on purpose: the rules of a process, and the layer by which a service puts them before what it serves.
//!
//! `places` are what can be struck, `settings` where rules come from at start, `file` where they come from later, `admin`
//! how they are looked at and changed, `layer` what they do to a request, `stall` half an answer, `work` what is done for
//! nobody, `metrics` what is counted of it all. What a rule is, and when it strikes, is `emojivoto_faults`'.

pub(crate) mod admin;
mod file;
mod layer;
mod metrics;
mod places;
mod settings;
mod stall;
mod work;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

pub use emojivoto_faults::{
    Behind, Call, Code, Delay, Effect, Failure, Invalid, Place, Places, Rule, parse,
};
use emojivoto_faults::{Expected, Faults, Question};
use emojivoto_proto::Shortcode;
use emojivoto_telemetry::{
    Telemetry,
    prometheus::metrics::{counter::Counter, gauge::Gauge},
};
use http::HeaderName;
pub use layer::{Face, Injected, Injecting, Reset};
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
type BehindPlace = Box<dyn Fn(Place) -> Option<Behind> + Send + Sync>;

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
        let (wasted, reloaded, served) = Default::default();
        Self(Arc::new(Shared { faults, announce, wasted, reloaded, served }))
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
    }

    /// Says that the process serves these places, and what stands behind each.
    pub fn serves(
        &self,
        places: Vec<Place>,
        behind: impl Fn(Place) -> Option<Behind> + Send + Sync + 'static,
    ) {
        let mut served = self.0.served.lock().unwrap_or_else(PoisonError::into_inner);
        served.push((places, Box::new(behind)));
    }

    /// What calls to each place that the process serves should show.
    fn expected(&self, question: &Question) -> Vec<(Place, Expected)> {
        let served = self.0.served.lock().unwrap_or_else(PoisonError::into_inner);
        let places = served
            .iter()
            .flat_map(|(places, behind)| places.iter().map(move |place| (*place, behind)));
        let expected = |place, behind: &BehindPlace| {
            self.0.faults.expected(place, behind(place).as_ref(), question)
        };
        places.map(|(place, behind)| (place, expected(place, behind))).collect()
    }

    fn in_force(&self) -> String {
        self.0.faults.in_force(Instant::now())
    }
}
