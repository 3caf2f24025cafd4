//! How long tests wait.

use std::{
    future::Future,
    sync::{
        atomic::{AtomicU32, Ordering::Relaxed},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

/// No step of a test takes this long unless something is broken.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How many times the tests of this process have waited in vain.
static IN_VAIN: AtomicU32 = AtomicU32::new(0);

/// How long to wait now. A quarter of it is left after each wait in vain, down to a tenth of a second: what is
/// broken is broken for most tests, and they shall not take minutes to say so.
fn patience() -> Duration {
    PATIENCE / 4_u32.pow(IN_VAIN.load(Relaxed).min(4))
}

/// Waits for something.
///
/// # Panics
/// When it does not come in time; `what` says what was waited for.
pub async fn within<T>(what: &str, wait: impl Future<Output = T>) -> T {
    waiting(what, patience(), wait).await
}

/// The same for what may take ten seconds where nothing is broken: however often others have waited in vain.
pub(crate) async fn patiently<T>(what: &str, wait: impl Future<Output = T>) -> T {
    waiting(what, PATIENCE, wait).await
}

async fn waiting<T>(what: &str, patience: Duration, wait: impl Future<Output = T>) -> T {
    match tokio::time::timeout(patience, wait).await {
        Ok(come) => come,
        Err(_) => in_vain(what, patience),
    }
}

/// One wait that blocks, for several things that come one after the other.
pub(crate) struct Wait {
    patience: Duration,
    deadline: Instant,
}

impl Wait {
    pub(crate) fn begin() -> Self {
        let patience = patience();
        Self { patience, deadline: Instant::now() + patience }
    }

    /// What comes next; nothing if there will be no more.
    ///
    /// # Panics
    /// When it does not come in time; `what` says what was waited for.
    pub(crate) fn receive<T>(
        &self,
        from: &Receiver<T>,
        what: impl FnOnce() -> String,
    ) -> Option<T> {
        match from.recv_timeout(self.deadline.saturating_duration_since(Instant::now())) {
            Ok(received) => Some(received),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => in_vain(&what(), self.patience),
        }
    }
}

fn in_vain(what: &str, patience: Duration) -> ! {
    IN_VAIN.fetch_add(1, Relaxed);
    panic!("not within {patience:?}: {what}")
}
