//! A bounded queue in front of an exporter: who puts something in never waits.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    pin, select,
    sync::{
        Notify,
        mpsc::{self, error::TrySendError},
    },
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    counts::{Counts, Outcome},
    exporter::{Export, Failure},
    settings::Batch,
};

/// The end where things are put in.
pub(super) struct Queue<T> {
    sender: mpsc::Sender<T>,
    enough: Arc<Notify>,
    size: usize,
    counts: Arc<Counts>,
}

impl<T> Queue<T> {
    /// Puts something in, or counts it as lost.
    pub(super) fn push(&self, item: T) {
        match self.sender.try_send(item) {
            Ok(()) => {
                // The task is not woken by each item, which would cost more than all the rest.
                if self.sender.max_capacity() - self.sender.capacity() >= self.size {
                    self.enough.notify_one();
                }
            }
            Err(TrySendError::Full(_)) => self.counts.processed(Outcome::QueueFull, 1),
            Err(TrySendError::Closed(_)) => self.counts.processed(Outcome::Shutdown, 1),
        }
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("sender", &self.sender).finish_non_exhaustive()
    }
}

/// Ends the tasks of all queues: first they export what they have, then they leave it.
#[derive(Debug, Clone, Default)]
pub(super) struct Stop {
    pub(super) flush: CancellationToken,
    pub(super) leave: CancellationToken,
}

/// Whether exports succeed, told once when that changes; shared by all that go to the same place.
#[derive(Debug)]
pub(super) struct Health {
    what: &'static str,
    endpoint: String,
    failing: AtomicBool,
}

impl Health {
    pub(super) fn new(what: &'static str, endpoint: String) -> Self {
        Self { what, endpoint, failing: AtomicBool::new(false) }
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    fn report(&self, failure: Option<&Failure>) {
        let Self { what, endpoint, failing } = self;
        let failed_before = failing.swap(failure.is_some(), Relaxed);
        match failure {
            Some(Failure { cause, .. }) if !failed_before => {
                tracing::warn!("cannot export {what}s to {endpoint}, they are lost: {cause}");
            }
            None if failed_before => tracing::info!("exporting {what}s to {endpoint} again"),
            _ => {}
        }
    }
}

/// The other end: takes batches out and exports them, one at a time.
pub(super) struct Task<E: Export> {
    receiver: mpsc::Receiver<E::Item>,
    enough: Arc<Notify>,
    exporter: E,
    batch: Batch,
    timeout: Duration,
    counts: Arc<Counts>,
    health: Arc<Health>,
    stop: Stop,
}

/// A queue, and the task to run at its other end. An export may take as long as `timeout`.
pub(super) fn queue<E: Export>(
    exporter: E,
    batch: Batch,
    timeout: Duration,
    counts: Arc<Counts>,
    health: Arc<Health>,
    stop: Stop,
) -> (Queue<E::Item>, Task<E>) {
    let (sender, receiver) = mpsc::channel(batch.queue);
    let enough = Arc::new(Notify::new());
    let queue = Queue {
        sender,
        enough: Arc::clone(&enough),
        size: batch.size,
        counts: Arc::clone(&counts),
    };
    (queue, Task { receiver, enough, exporter, batch, timeout, counts, health, stop })
}

impl<E: Export> Task<E> {
    /// Exports until it is told to stop.
    pub(super) async fn run(mut self) {
        while !self.stop.flush.is_cancelled() {
            self.wait().await;
            // All that has waited, and what came meanwhile if it is a whole batch again.
            loop {
                let items = self.take();
                let full = items.len() == self.batch.size;
                self.export(items).await;
                if !full || self.receiver.len() < self.batch.size {
                    break;
                }
            }
        }
        self.flush().await;
    }

    /// Resolves when something has waited long enough, or is in good company.
    async fn wait(&mut self) {
        let due = sleep(self.batch.delay);
        pin!(due);
        loop {
            select! {
                () = &mut due => return,
                () = self.stop.flush.cancelled() => return,
                // It may be that of a batch that was exported since.
                () = self.enough.notified() => if self.receiver.len() >= self.batch.size {
                    return;
                },
            }
        }
    }

    fn take(&mut self) -> Vec<E::Item> {
        let mut items = Vec::with_capacity(self.receiver.len().min(self.batch.size));
        while items.len() < self.batch.size
            && let Ok(item) = self.receiver.try_recv()
        {
            items.push(item);
        }
        items
    }

    /// Exports the rest. When an export fails, or time is up, what is left is lost: nobody can wait
    /// until the collector is back.
    async fn flush(&mut self) {
        self.receiver.close();
        let mut succeeds = true;
        loop {
            let mut items = Vec::new();
            match self.receiver.recv_many(&mut items, self.batch.size).await {
                0 => return,
                _ if succeeds => succeeds = self.export(items).await,
                lost => self.counts.processed(Outcome::Shutdown, lost),
            }
        }
    }

    async fn export(&self, items: Vec<E::Item>) -> bool {
        let number = items.len();
        if number == 0 {
            return true;
        }
        self.counts.processed(Outcome::Success, number);
        let exported = select! {
            biased;
            () = self.stop.leave.cancelled() => {
                self.counts.exported(Outcome::Shutdown, number);
                return false;
            }
            exported = timeout(self.timeout, self.exporter.export(items)) => {
                exported.unwrap_or_else(|_| Err(Failure::timeout(self.timeout)))
            }
        };
        let failure = exported.err();
        self.counts.exported(failure.as_ref().map_or(Outcome::Success, |f| f.outcome), number);
        self.health.report(failure.as_ref());
        failure.is_none()
    }
}
