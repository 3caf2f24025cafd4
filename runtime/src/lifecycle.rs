//! The life of a service: starting, ready, draining, stopped.

use std::{future::Future, sync::Arc};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    faults::Injection,
    limits::{Budget, Limits, Refusals, Rejected},
};

/// What a service holds of its life: with it, it says when it is ready, and learns when to stop.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    ready: watch::Sender<bool>,
    draining: CancellationToken,
    shutdown: CancellationToken,
    limits: Limits,
    rejected: Rejected,
    faults: Injection,
}

impl Lifecycle {
    /// The life of a service, and the means to follow and to end it.
    pub fn new() -> (Self, Stop) {
        let (ready, is_ready) = watch::channel(false);
        let (draining, shutdown) = (CancellationToken::new(), CancellationToken::new());
        let stop = Stop { ready: is_ready, draining: draining.clone(), shutdown: shutdown.clone() };
        let (limits, rejected) = (Limits::DEFAULT, Rejected::default());
        let faults = Injection::default();
        (Self { ready, draining, shutdown, limits, rejected, faults }, stop)
    }

    /// The same life with other limits. What is rejected because of them is counted there.
    #[must_use]
    pub fn limited(self, limits: Limits, rejected: Rejected) -> Self {
        Self { limits, rejected, ..self }
    }

    /// The same life with the faults of a process.
    #[must_use]
    pub fn with_faults(self, faults: Injection) -> Self {
        Self { faults, ..self }
    }

    /// The faults of the process that the service is a part of.
    pub fn faults(&self) -> &Injection {
        &self.faults
    }

    /// How much the service takes on at a time.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// What the service may have so many of at a time besides: what is beyond counts as rejected, and `setting` is told as
    /// the reason.
    pub fn budget(&self, what: &'static str, most: usize, setting: &str) -> Arc<Budget> {
        let limit = format!("{most} at a time are taken on ({setting})");
        Arc::new(Budget::new(most, Refusals::new(what, limit, &self.rejected)))
    }

    /// What the service rejected.
    pub(crate) fn rejected(&self) -> &Rejected {
        &self.rejected
    }

    /// Says that the service can serve.
    pub fn ready(&self) {
        self.set(true);
    }

    /// Says that the service cannot serve at the moment.
    pub fn not_ready(&self) {
        self.set(false);
    }

    /// Those who follow it hear of changes, not of each time that it is said.
    fn set(&self, ready: bool) {
        self.ready.send_if_modified(|was| std::mem::replace(was, ready) != ready);
    }

    /// Tells what was said last of whether the service can serve.
    pub fn readiness(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    /// Resolves when no new clients are wanted, while those that come are still served.
    pub fn draining(&self) -> impl Future<Output = ()> + Send + use<> {
        self.draining.clone().cancelled_owned()
    }

    /// Resolves when the service shall accept no more, finish what is in flight, and return.
    pub fn shutdown(&self) -> impl Future<Output = ()> + Send + use<> {
        self.shutdown.clone().cancelled_owned()
    }
}

/// Follows and ends the life of a service.
#[derive(Debug, Clone)]
pub struct Stop {
    ready: watch::Receiver<bool>,
    draining: CancellationToken,
    shutdown: CancellationToken,
}

impl Stop {
    /// Whether the service can serve, and should be sent new clients.
    pub fn is_ready(&self) -> bool {
        *self.ready.borrow() && !self.draining.is_cancelled()
    }

    /// Resolves to `true` once the service is ready, to `false` if it ends without having been.
    pub async fn becomes_ready(&self) -> bool {
        self.ready.clone().wait_for(|ready| *ready).await.is_ok()
    }

    /// Tells the service that new clients are being sent elsewhere.
    pub fn drain(&self) {
        self.draining.cancel();
    }

    /// Tells the service to finish what is in flight and to return.
    pub fn stop(&self) {
        self.draining.cancel();
        self.shutdown.cancel();
    }
}
