//! The end of a process: what is still done, and how long it may take.

use std::time::Duration;

use emojivoto_telemetry::Observability;
use tokio::time::timeout;

use super::{signals::Signals, supervise::Process};
use crate::{Error, settings::Common};

/// How long the last spans and logs may take to reach a collector.
const LAST_EXPORT: Duration = Duration::from_secs(3);

/// A person is out of patience. SIGTERM may come twice from one who is not.
#[derive(Debug, thiserror::Error)]
#[error("{0} again: ended at once")]
struct EndedAtOnce(&'static str);

/// Lets the services finish what is in flight, for at most `SHUTDOWN_DELAY` and `SHUTDOWN_GRACE`.
pub(super) async fn drain(
    process: &mut Process,
    settings: &Common,
    signals: &mut Signals,
) -> Result<(), Error> {
    let limit = settings.shutdown_delay.saturating_add(settings.shutdown_grace);
    tokio::select! {
        drained = timeout(limit, process.drain(settings.shutdown_delay)) => {
            let Ok(result) = drained else {
                let left = process.left();
                tracing::warn!("SHUTDOWN_GRACE is over; ending with requests in flight: {left}");
                return Ok(());
            };
            result.inspect(|()| tracing::info!("drained"))
        }
        signal = signals.interrupt() => Err(EndedAtOnce(signal).into()),
    }
}

/// Exports the last spans and logs, unless the process is to end at once.
pub(super) async fn last_export(
    observability: &Observability,
    signals: &mut Signals,
    outcome: Result<(), Error>,
) -> Result<(), Error> {
    if outcome.as_ref().is_err_and(|error| error.is::<EndedAtOnce>()) {
        return outcome;
    }
    tokio::select! {
        () = observability.shutdown(LAST_EXPORT) => outcome,
        signal = signals.interrupt() => Err(EndedAtOnce(signal).into()),
    }
}
