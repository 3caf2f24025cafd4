//! How much a service takes on at a time, and how often that was not enough.

mod budget;

pub(crate) use budget::Refusals;
pub use budget::{Budget, Permit};
use emojivoto_telemetry::{
    Telemetry,
    prometheus::metrics::{counter::Counter, family::Family},
};

/// How much a service takes on at a time. What is beyond is refused at once, so that what is taken on is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections that are open. For one more, those that have been idle longest are closed.
    pub connections: usize,
    /// Requests in flight: from their head until the client has taken all of the answer.
    pub requests: usize,
}

impl Limits {
    /// Whose defaults `MAX_CONNECTIONS` and `MAX_REQUESTS` have.
    pub const DEFAULT: Self = Self { connections: 1024, requests: 512 };
    /// The admin server's: a scraper or two, a prober, and a person.
    pub(crate) const ADMIN: Self = Self { connections: 64, requests: 32 };
}

/// `emojivoto_rejected_total`. One of each a process, whichever of its services refuse something.
#[derive(Debug, Clone, Default)]
pub struct Rejected(Family<[(&'static str, &'static str); 1], Counter>);

impl Rejected {
    /// Adds it to the metrics of a process, to which it can be added once.
    pub fn register(telemetry: &Telemetry) -> Self {
        let rejected = Self::default();
        let help = "What was refused because there was too much of it";
        telemetry.register(|registry| {
            registry.register("emojivoto_rejected", help, rejected.0.clone());
        });
        rejected
    }

    pub(crate) fn of(&self, reason: &'static str) -> Counter {
        self.0.get_or_create_owned(&[("reason", reason)])
    }
}
