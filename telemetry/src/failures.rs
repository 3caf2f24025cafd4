//! The last failure of each kind, for somebody who looks at the process.

use std::{
    collections::HashMap,
    error::Error,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use http::{HeaderValue, StatusCode};
use opentelemetry::{Context, TraceId, trace::TraceContextExt as _};
use percent_encoding::percent_decode;

use crate::{causes, metrics::Place, operation::Side};

/// Causes are kept no longer than this, in bytes.
const MAX_CAUSE: usize = 200;

/// What fails again within this time is the same to whoever looks. It is not kept again, because it may be very often.
const AGAIN: Duration = Duration::from_millis(500);

/// A failure: what, where, when and why.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Whether the process was asked, or asked somebody.
    pub side: Side,
    /// What for.
    pub place: Place,
    /// How it ended.
    pub status: Ended,
    /// Why, in words.
    pub cause: Option<String>,
    /// The rule that ended it on purpose.
    pub fault: Option<String>,
    /// The trace that it belongs to.
    pub trace: Option<TraceId>,
    /// When it ended.
    pub at: Instant,
}

/// How something ended that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ended {
    /// With this code of gRPC, as Go writes it.
    Code(&'static str),
    /// With this status of HTTP.
    Status(StatusCode),
    /// With none, for this reason.
    None(&'static str),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(text) | Self::None(text) => f.write_str(text),
            Self::Status(status) => f.write_str(status.as_str()),
        }
    }
}

/// Rules that struck a request on purpose: goes into the extensions of its response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("on purpose, by the fault {rules}")]
pub struct Injected {
    /// Their names, with commas between them.
    pub rules: String,
    /// Whether the last one has ended the request. Otherwise they have only held it.
    pub ended: bool,
}

impl Injected {
    /// The rule that has ended the request.
    pub fn by(&self) -> Option<&str> {
        last_of(&self.rules).filter(|_| self.ended)
    }
}

/// The last of rules that a header names.
pub fn last_of(rules: &str) -> Option<&str> {
    rules.rsplit(", ").next()
}

/// Why something failed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Why<'a> {
    /// Where it is known.
    pub cause: Option<Cause<'a>>,
    /// The rule that has ended it on purpose.
    pub fault: Option<&'a str>,
}

/// Why something failed, in words only once somebody wants to know.
#[derive(Debug, Clone, Copy)]
pub enum Cause<'a> {
    /// This went wrong.
    Error(&'a (dyn Error + 'static)),
    /// This is what the other side said, as gRPC sends it.
    Message(&'a HeaderValue),
    /// This.
    Words(&'a str),
}

impl Cause<'_> {
    fn words(self) -> String {
        let mut words = match self {
            Self::Error(error) => causes(error),
            Self::Message(message) => {
                percent_decode(message.as_bytes()).decode_utf8_lossy().into_owned()
            }
            Self::Words(words) => words.to_owned(),
        };
        words.truncate(words.floor_char_boundary(MAX_CAUSE));
        words
    }
}

/// What keeps them: for each place and status the last one, so that what fails often hides nothing else.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failures(Arc<Mutex<HashMap<Kind, Failure>>>);

/// With whether it was on purpose: what is may hide nothing that is not.
type Kind = (Side, Place, Ended, bool);

impl Failures {
    /// Keeps one that has just ended. Nobody waits for it: while somebody else has the failures, it is left out.
    pub(crate) fn keep(
        &self,
        (side, place, status): (Side, Place, Ended),
        why: Why<'_>,
        context: &Context,
    ) {
        let kind = (side, place, status, why.fault.is_some());
        let Ok(mut failures) = self.0.try_lock() else { return };
        let at = Instant::now();
        if failures.get(&kind).is_some_and(|last| at.saturating_duration_since(last.at) < AGAIN) {
            return;
        }
        let span = context.span();
        let trace = Some(span.span_context().trace_id()).filter(|id| *id != TraceId::INVALID);
        let cause = why.cause.map(Cause::words).filter(|words| !words.is_empty());
        let fault = why.fault.map(ToOwned::to_owned);
        failures.insert(kind, Failure { side, place, status, cause, fault, trace, at });
    }

    /// The newest first.
    pub(crate) fn last(&self) -> Vec<Failure> {
        let failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut failures: Vec<_> = failures.values().cloned().collect();
        failures.sort_by_key(|failure| std::cmp::Reverse(failure.at));
        failures
    }
}
