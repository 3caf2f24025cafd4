//! A process, from its settings to its exit code.

mod listen;
mod shutdown;
mod signals;
mod supervise;

use std::{env, num::NonZeroU32, process::ExitCode, sync::Arc};

use clap::{Args, Subcommand};
use emojivoto_net::open_files;
use emojivoto_telemetry::Observability;
use emojivoto_zpages::{Sources, Zpages};
pub use listen::{CannotListen, Role};
use signals::Signals;
pub use supervise::Process;

pub use crate::cli::is_called;
use crate::{
    Error, Lifecycle, Limits, Rejected,
    admin::{self, Services},
    cli::{self, NoCommand},
    faults,
    http::{self, refuse::LINGERING},
    settings::Common,
};

/// Files and connections that are open besides those of the servers: to backends and collectors, for a store.
const FILES_RESERVE: usize = 64;

/// With fewer it makes no sense to serve, whatever the system allows.
const FEWEST_CONNECTIONS: usize = 64;

/// As clap ends a process.
const WRONG_SETTING: u8 = 2;

/// All that a binary's `main` does: reads the settings, starts logs and the admin server, lets
/// `start` add the services, and waits for their end or a signal. `binary` and `about` are for
/// `--help` and `--version`.
///
/// On SIGTERM or SIGINT: not ready, `SHUTDOWN_DELAY`, stop accepting, finish what is in flight for
/// at most `SHUTDOWN_GRACE`, export the last spans, exit code 0. A further SIGINT ends the process at
/// once. A failure at start, or of a service, is exit code 1; a wrong setting is exit code 2.
pub fn main<S: Args>(
    binary: &'static str,
    about: &'static str,
    role: Role,
    start: impl AsyncFnOnce(S, &mut Process) -> Result<(), Error>,
) -> ExitCode {
    main_or(binary, about, role, start, |command: NoCommand, _| match command {})
}

/// The same for a binary that can be told to do something else, such as `binary export`: what `command` does. An error
/// is its last word, and exit code 1.
pub fn main_or<S: Args, C: Subcommand>(
    binary: &'static str,
    about: &'static str,
    role: Role,
    start: impl AsyncFnOnce(S, &mut Process) -> Result<(), Error>,
    command: impl FnOnce(C, S) -> Result<(), Error>,
) -> ExitCode {
    let (settings, common) = match cli::parse(binary, about) {
        Ok((settings, common, None)) => (settings, common),
        Ok((settings, _, Some(told))) => {
            return match command(told, settings) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => last_word(&*error, ExitCode::FAILURE),
            };
        }
        Err(exit_code) => return exit_code,
    };
    let export = match emojivoto_telemetry::Settings::from_env(|variable| env::var_os(variable)) {
        Ok(export) => export,
        Err(error) => return last_word(&error, ExitCode::from(WRONG_SETTING)),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return last_word(&error, ExitCode::FAILURE),
    };
    let entered = runtime.enter();
    let started = Observability::start(export, role.hosted(), role.name(), &common.logs);
    let (observability, logs) = match started {
        Ok((observability, logs)) => (Arc::new(observability), logs),
        Err(error) => return last_word(&*error, ExitCode::FAILURE),
    };
    if common.oc_agent_host.is_some() {
        tracing::warn!(
            "OC_AGENT_HOST is ignored: OpenCensus has ended; its successor is OTEL_EXPORTER_OTLP_ENDPOINT"
        );
    }
    drop(entered);
    let start = async |process: &mut Process| start(settings, process).await;
    let outcome = runtime.block_on(live(&common, role, observability, start));
    // Nothing is waited for that did not end in time, such as a name that is being looked up.
    runtime.shutdown_background();
    drop(logs); // what is logged is written before the process says its last word
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => last_word(&*error, ExitCode::FAILURE),
    }
}

fn last_word(error: &dyn std::error::Error, exit_code: ExitCode) -> ExitCode {
    #[expect(clippy::print_stderr, reason = "there are no logs any more, or not yet")]
    {
        eprintln!("error: {error}");
    }
    exit_code
}

/// Runs the admin server beside the services, from before they start until they have stopped.
async fn live(
    settings: &Common,
    role: Role,
    observability: Arc<Observability>,
    start: impl AsyncFnOnce(&mut Process) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut signals = Signals::listen()?;
    let services = Services::default();
    let listener = role.listen("PROM_PORT", settings.prom_port).await?;
    let admin = listener.local_addr()?;
    let (injection, faults_file) = settings.faults.start()?;
    injection.register(&observability.service(role.name()));
    let names = services.clone();
    let zpages = Zpages::new(Sources {
        name: role.name(),
        observability: Arc::clone(&observability),
        services: Box::new(move || names.names()),
        faults: Box::new(injection.clone()),
    });
    let app = admin::router(services.clone(), Arc::clone(&observability))
        .merge(faults::admin::router(injection.clone(), settings.faults.faults_admin))
        .merge(emojivoto_zpages::router(Arc::clone(&zpages)));
    // Never told to stop: it answers until the process is gone.
    let (admin_life, _admin_stop) = Lifecycle::new();
    let rejected = Rejected::register(&observability.service(role.name()));
    let admin_life = admin_life.limited(Limits::ADMIN, rejected.clone());
    let process = Process::new(
        role,
        settings.logs.log_format,
        admin,
        services.clone(),
        Arc::clone(&observability),
        (limits(settings, role), rejected),
        injection.clone(),
    );
    let faults_file = async {
        match faults_file {
            Some(file) => file.watch(&injection).await,
            None => std::future::pending().await,
        }
    };
    let running = async {
        let outcome = start_to_stop(settings, process, services, &mut signals, start).await;
        shutdown::last_export(&observability, &mut signals, outcome).await
    };
    tokio::select! {
        failed = http::serve(listener, app, &admin_life) => Ok(failed?),
        never = faults_file => match never {},
        never = zpages.run() => match never {},
        ended = running => ended,
    }
}

/// What the settings allow each service, or as much of it as the system does.
fn limits(settings: &Common, role: Role) -> Limits {
    let count = |setting: NonZeroU32| usize::try_from(setting.get()).unwrap_or(usize::MAX);
    let (connections, requests) = (count(settings.max_connections), count(settings.max_requests));
    let services = role.servers();
    let others = Limits::ADMIN.connections + services * LINGERING + FILES_RESERVE;
    let needed = connections.saturating_mul(services).saturating_add(others);
    let allowed = usize::try_from(open_files::allow(needed as u64)).unwrap_or(usize::MAX);
    if allowed >= needed {
        return Limits { connections, requests };
    }
    let fit = (allowed.saturating_sub(others) / services).max(FEWEST_CONNECTIONS).min(connections);
    tracing::warn!(
        "MAX_CONNECTIONS={connections} needs {needed} open files, of which the system allows {allowed}: {fit} it is"
    );
    Limits { connections: fit, requests }
}

async fn start_to_stop(
    settings: &Common,
    mut process: Process,
    services: Services,
    signals: &mut Signals,
    start: impl AsyncFnOnce(&mut Process) -> Result<(), Error>,
) -> Result<(), Error> {
    tokio::select! {
        started = start(&mut process) => started?,
        signal = signals.next() => {
            tracing::info!("{signal}: stopping before everything had started");
            return Ok(());
        }
    }
    services.complete();
    tokio::select! {
        ended = process.ends() => return ended,
        signal = signals.next() => tracing::info!("{signal}: draining"),
    }
    shutdown::drain(&mut process, settings, signals).await
}
