//! The services of a process, from when they are added to when they have ended.

#[cfg(test)]
mod tests;

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use emojivoto_telemetry::{LogFormat, Observability, Telemetry};
use futures_util::future::select_all;
use tokio::{
    net::TcpListener,
    task::{JoinError, JoinHandle},
};

use super::listen::{CannotListen, Role};
use crate::{Error, Lifecycle, Limits, Rejected, Stop, admin::Services, faults::Injection};

/// A running process, to which its services are added while it starts.
#[derive(Debug)]
pub struct Process {
    log_format: LogFormat,
    role: Role,
    admin: SocketAddr,
    services: Services,
    observability: Arc<Observability>,
    limits: (Limits, Rejected),
    faults: Injection,
    running: Vec<Running>,
}

#[derive(Debug)]
struct Running {
    name: &'static str,
    stop: Stop,
    task: JoinHandle<Result<(), Error>>,
}

impl Process {
    /// One without services. Those that are added are observed by `observability`, and told of to `/ready` by
    /// `services`. Each takes on as much as `limits` say, and has the `faults` of the process.
    pub(super) fn new(
        role: Role,
        log_format: LogFormat,
        admin: SocketAddr,
        services: Services,
        observability: Arc<Observability>,
        limits: (Limits, Rejected),
        faults: Injection,
    ) -> Self {
        let running = Vec::new();
        Self { log_format, role, admin, services, observability, limits, faults, running }
    }

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
            self.observability.say(text);
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
        let (limits, rejected) = self.limits.clone();
        let lifecycle = lifecycle.limited(limits, rejected).with_faults(self.faults.clone());
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

    /// The names of the services that still run.
    pub(super) fn left(&self) -> String {
        let left: Vec<_> = self.running.iter().map(|service| service.name).collect();
        left.join(", ")
    }

    /// Resolves when the services have all ended by themselves, or one has failed.
    pub(super) async fn ends(&mut self) -> Result<(), Error> {
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

    pub(super) async fn drain(&mut self, delay: Duration) -> Result<(), Error> {
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
