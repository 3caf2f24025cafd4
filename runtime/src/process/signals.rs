//! The signals that end a process.

use std::io;

/// SIGTERM and SIGINT (elsewhere than on Unix, Ctrl-C), alike.
pub(super) struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Resolves to the name of the next SIGINT.
    pub(super) async fn interrupt(&mut self) -> &'static str {
        self.interrupt.recv().await;
        "SIGINT"
    }

    /// Resolves to the name of the next signal.
    pub(super) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Resolves to the name of the next Ctrl-C.
    pub(super) async fn interrupt(&mut self) -> &'static str {
        self.next().await
    }

    /// Resolves to the name of the next signal.
    pub(super) async fn next(&mut self) -> &'static str {
        match tokio::signal::ctrl_c().await {
            Ok(()) => "Ctrl-C",
            Err(_) => std::future::pending().await,
        }
    }
}
