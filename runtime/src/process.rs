//! A process: its services from start to drained, its signals, its exit code.

mod signals;
#[cfg(test)]
mod tests;

use std::{
    env,
    future::Future,
    io::{self, Write as _},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::Args;
use futures_util::future::select_all;
use signals::Signals;
use tokio::{
    net::TcpListener,
    task::{JoinError, JoinHandle},
    time::timeout,
};

pub use crate::cli::is_called;
use crate::{
    Error, Lifecycle, Stop, Telemetry,
    admin::{self, Services},
    cli, http,
    settings::{Common, LogFormat},
    telemetry::{
        Observability, logs,
        otlp::{self, Hosted},
    },
};

/// A port could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: cannot listen on port {port}: {}", reason(.source))]
pub struct CannotListen {
    setting: &'static str,
    port: u16,
    source: io::Error,
}

/// A person is out of patience. SIGTERM may come twice from one who is not.
#[derive(Debug, thiserror::Error)]
#[error("{0} again: ended at once")]
struct EndedAtOnce(&'static str);

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "it is taken".to_owned(),
        io::ErrorKind::PermissionDenied => "this user may not".to_owned(),
        _ => error.to_string(),
    }
}

/// A running process, to which its services are added while it starts.
#[derive(Debug)]
pub struct Process {
    log_format: LogFormat,
    role: Role,
    admin: SocketAddr,
    services: Services,
    observability: Arc<Observability>,
    running: Vec<Running>,
}

#[derive(Debug)]
struct Running {
    name: &'static str,
    stop: Stop,
    task: JoinHandle<Result<(), Error>>,
}

/// What a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// One service, for everybody: it listens by IPv6 and IPv4, on every interface.
    Service(&'static str),
    /// All services at once, for nobody but this machine: they listen by IPv4, on loopback.
    Suite,
}

impl Role {
    /// The name under which it logs.
    fn name(self) -> &'static str {
        match self {
            Self::Service(name) => name,
            Self::Suite => "emojivoto",
        }
    }

    fn hosted(self) -> Hosted {
        match self {
            Self::Service(_) => Hosted::One,
            Self::Suite => Hosted::Several,
        }
    }

    async fn listen(self, setting: &'static str, port: u16) -> Result<TcpListener, CannotListen> {
        let bind = |address| TcpListener::bind(SocketAddr::new(address, port));
        let listener = match self {
            Self::Suite => bind(Ipv4Addr::LOCALHOST.into()).await,
            Self::Service(_) => match bind(Ipv6Addr::UNSPECIFIED.into()).await {
                // Some hosts have IPv6 switched off.
                Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                    bind(Ipv4Addr::UNSPECIFIED.into()).await
                }
                result => result,
            },
        };
        let listener = listener.map_err(|source| CannotListen { setting, port, source })?;
        if let Ok(address) = listener.local_addr() {
            tracing::info!("{setting}: listening on {address}");
        }
        Ok(listener)
    }
}

impl Process {
    /// Listens on a port. `setting` names where it comes from, for the error.
    pub async fn listen(
        &self,
        setting: &'static str,
        port: u16,
    ) -> Result<TcpListener, CannotListen> {
        self.role.listen(setting, port).await
    }

    /// Says something to the person who started the process; not where a program reads its output.
    pub fn say(&self, text: &str) {
        if self.log_format == LogFormat::Text {
            let _ = writeln!(io::stdout(), "{text}"); // nobody may be listening
        }
    }

    /// Where the admin server of the process listens.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Adds a service. The process ends when all its services have ended, or one has failed; on a
    /// signal they are stopped one after the other, the last added first.
    pub fn spawn<F>(&mut self, name: &'static str, serve: impl FnOnce(Lifecycle, Telemetry) -> F)
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let (lifecycle, stop) = Lifecycle::new();
        self.services.add(name, stop.clone());
        let telemetry = self.observability.service(name);
        let task = tokio::spawn(serve(lifecycle, telemetry));
        self.running.push(Running { name, stop, task });
    }

    /// Resolves when the service that was added under this name is ready. It is an error if that one ends
    /// before, or if another one fails meanwhile: the error says which, and why.
    pub async fn ready(&mut self, name: &'static str) -> Result<(), Error> {
        let waited_for = self.running.iter().find(|service| service.name == name);
        let stop = waited_for.map(|service| service.stop.clone());
        let stop = stop.ok_or_else(|| format!("{name}: not running"))?;
        let ended_before = async {
            while self.end().await? != name {}
            Err(format!("{name}: ended before it was ready").into())
        };
        tokio::select! {
            biased; // one that was ready has not ended before
            true = stop.becomes_ready() => Ok(()), // and if it never will be, its end says why
            ended = ended_before => ended,
        }
    }

    /// Resolves when the services have all ended by themselves, or one has failed.
    async fn ends(&mut self) -> Result<(), Error> {
        while !self.running.is_empty() {
            self.end().await?;
        }
        Ok(())
    }

    /// Resolves to the name of the service that ends next.
    async fn end(&mut self) -> Result<&'static str, Error> {
        let (ended, index, _) = select_all(self.running.iter_mut().map(|r| &mut r.task)).await;
        let Running { name, .. } = self.running.remove(index);
        named(name, ended).map(|()| name)
    }

    async fn drain(&mut self, delay: Duration) -> Result<(), Error> {
        for service in &self.running {
            service.stop.drain();
        }
        tokio::time::sleep(delay).await;
        let mut outcome = Ok(());
        while let Some(service) = self.running.last_mut() {
            service.stop.stop();
            let ended = (&mut service.task).await;
            let Running { name, .. } = self.running.pop().expect("it was the last");
            outcome = outcome.and(named(name, ended));
        }
        outcome
    }
}

fn named(name: &str, ended: Result<Result<(), Error>, JoinError>) -> Result<(), Error> {
    ended.map_err(Error::from).flatten().map_err(|error| format!("{name}: {error}").into())
}

/// As clap ends a process.
const WRONG_SETTING: u8 = 2;
/// How long the last spans and logs may take to reach a collector.
const LAST_EXPORT: Duration = Duration::from_secs(3);

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
    let (settings, common) = match cli::parse(binary, about) {
        Ok(parsed) => parsed,
        Err(exit_code) => return exit_code,
    };
    let export = match otlp::Settings::from_env(|variable| env::var_os(variable)) {
        Ok(export) => export,
        Err(error) => return last_word(&error, ExitCode::from(WRONG_SETTING)),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return last_word(&error, ExitCode::FAILURE),
    };
    let entered = runtime.enter();
    let observability = Observability::start(&export, common.request_log, role.hosted());
    let (observability, logs) = match observability {
        Ok(observability) => {
            let Observability { otlp, .. } = &observability;
            let logs = logs::init(&common, otlp.log_layer(role.name()), otlp.exports_traces());
            observability.metrics.register(logs.dropped());
            observability.otlp.announce();
            (Arc::new(observability), logs)
        }
        Err(error) => return last_word(&*error, ExitCode::FAILURE),
    };
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
    let app = admin::router(services.clone(), observability.metrics.clone());
    // Never told to stop: it answers until the process is gone.
    let (admin_life, _admin_stop) = Lifecycle::new();
    let process = Process {
        log_format: settings.log_format,
        role,
        admin,
        services,
        observability: Arc::clone(&observability),
        running: Vec::new(),
    };
    let services = async {
        let outcome = start_to_stop(settings, process, &mut signals, start).await;
        if outcome.as_ref().is_err_and(|error| error.is::<EndedAtOnce>()) {
            return outcome;
        }
        tokio::select! {
            () = observability.shutdown(LAST_EXPORT) => outcome,
            signal = signals.interrupt() => Err(EndedAtOnce(signal).into()),
        }
    };
    tokio::select! {
        failed = http::serve(listener, app, &admin_life) => Ok(failed?),
        ended = services => ended,
    }
}

async fn start_to_stop(
    settings: &Common,
    mut process: Process,
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
    process.services.complete();
    tokio::select! {
        ended = process.ends() => return ended,
        signal = signals.next() => tracing::info!("{signal}: draining"),
    }
    let limit = settings.shutdown_delay.saturating_add(settings.shutdown_grace);
    tokio::select! {
        drained = timeout(limit, process.drain(settings.shutdown_delay)) => {
            let Ok(result) = drained else {
                let left: Vec<_> = process.running.iter().map(|service| service.name).collect();
                let left = left.join(", ");
                tracing::warn!("SHUTDOWN_GRACE is over; ending with requests in flight: {left}");
                return Ok(());
            };
            result.inspect(|()| tracing::info!("drained"))
        }
        signal = signals.interrupt() => Err(EndedAtOnce(signal).into()),
    }
}
