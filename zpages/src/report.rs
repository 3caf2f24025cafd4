//! What the page says, as `?format=json` tells it.

use emojivoto_telemetry::metrics::Place;
use serde::Serialize;

/// A process, as it is seen at a moment.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    pub(crate) process: Process,
    pub(crate) windows: Windows,
    /// What it answers.
    pub(crate) served: Vec<Row>,
    /// What it asks others for.
    pub(crate) called: Vec<Row>,
    /// The rules in force.
    pub(crate) faults: Vec<Fault>,
    /// The last failure of each kind, the newest first.
    pub(crate) failures: Vec<Failure>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Process {
    /// `emojivoto`, or that of the only service.
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) revision: &'static str,
    pub(crate) uptime_seconds: f64,
    /// `emoji`, `voting`, `web`, `vote-bot`: those that run here.
    pub(crate) services: Vec<&'static str>,
}

/// How many seconds each window is long. The first two are shorter than they are called as long as nobody has looked for
/// so long.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Windows {
    pub(crate) last_10s: f64,
    pub(crate) last_minute: f64,
    pub(crate) since_start: f64,
}

/// An RPC or a route.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    #[serde(flatten)]
    pub(crate) place: Place,
    pub(crate) in_flight: u64,
    pub(crate) last_10s: Figures,
    pub(crate) last_minute: Figures,
    pub(crate) since_start: Figures,
    /// What the rules in force should do. None of what is called, and where nothing can be held against them.
    pub(crate) expected: Option<Expected>,
}

/// What happened in a window.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Figures {
    /// Those that ended.
    pub(crate) calls: u64,
    /// Those of them that ended with another code than `OK`, with a status of 500 or more, or with none; not those whose
    /// client went away.
    pub(crate) failed: u64,
    pub(crate) rate_per_second: f64,
    /// The share that ended with `OK`, or a status below 400. None without calls.
    pub(crate) success: Option<f64>,
    pub(crate) p50_seconds: Option<Quantile>,
    pub(crate) p95_seconds: Option<Quantile>,
    pub(crate) p99_seconds: Option<Quantile>,
}

/// A quantile as Prometheus' `histogram_quantile` takes it from buckets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(transparent)]
pub(crate) struct Quantile {
    pub(crate) seconds: f64,
    /// It lies above the highest bound, which is what `seconds` is then.
    #[serde(skip)]
    pub(crate) or_more: bool,
}

/// What the rules in force should do to calls, and what has happened to them since the rules are in force.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Expected {
    /// The names of those that take part.
    pub(crate) rules: Vec<String>,
    /// The share that succeeds. None where it depends on how calls come.
    pub(crate) success: Option<f64>,
    /// Of 1,000 times as many calls, 999 times no less than this succeed, and no more than `at_most`.
    pub(crate) at_least: f64,
    pub(crate) at_most: f64,
    /// How many calls were compared: all but those whose client went away, or did something wrong (400 to 499) that no rule
    /// makes them do.
    pub(crate) calls: u64,
    /// The share of them that has succeeded. None without calls.
    pub(crate) seen: Option<f64>,
    /// Whether what was seen lies outside of what was expected.
    pub(crate) outside: bool,
}

/// A rule in force.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Fault {
    pub(crate) name: String,
    /// `strikes`, `begins in 30s`, `strikes for 5m more`, `is over`.
    pub(crate) state: String,
    /// How many requests it has struck.
    pub(crate) struck: u64,
    /// As it is written in a set.
    pub(crate) toml: String,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Failure {
    /// `served` or `called`.
    pub(crate) side: &'static str,
    #[serde(flatten)]
    pub(crate) place: Place,
    /// The code or status: `Unknown`, `503`, `cancelled`.
    pub(crate) status: String,
    /// In words, if there are some.
    pub(crate) cause: Option<String>,
    /// The rule that did it, if one did.
    pub(crate) fault: Option<String>,
    pub(crate) trace_id: Option<String>,
    pub(crate) seconds_ago: f64,
}
