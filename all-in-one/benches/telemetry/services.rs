//! What is measured.

use std::{ffi::OsString, net::SocketAddr, time::Duration};

use emojivoto_runtime::{Error, Lifecycle, Stop};
use emojivoto_telemetry::{Observability, Telemetry};
use emojivoto_testkit::defaults;
use emojivoto_voting_svc::{PollSettings, store::MemoryStore};
use emojivoto_web::{Backends, FrontEnd};
use tokio::{net::TcpListener, runtime::Runtime, task::JoinHandle};

/// Which traces are recorded, and exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Traces {
    None,
    /// From 0.0 to 1.0.
    Share(&'static str),
}

/// web in front of emoji-svc and voting-svc, on a runtime of their own.
pub(crate) struct Services {
    runtime: Runtime,
    web: SocketAddr,
    running: Vec<(Stop, JoinHandle<Result<(), Error>>)>,
    observability: Observability,
}

impl Services {
    /// `endpoint` is where traces go.
    pub(crate) fn start(traces: Traces, endpoint: &str) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let entered = runtime.enter();
        let observability = Observability::new(|variable| {
            let Traces::Share(share) = traces else { return None };
            Some(OsString::from(match variable {
                "OTEL_EXPORTER_OTLP_ENDPOINT" => endpoint,
                "OTEL_TRACES_SAMPLER" => "parentbased_traceidratio",
                "OTEL_TRACES_SAMPLER_ARG" => share,
                // So that everything is exported, as it would be at a bearable rate.
                "OTEL_BSP_MAX_QUEUE_SIZE" => "100000",
                _ => return None,
            }))
        })
        .expect("these are right");
        drop(entered);
        let mut services =
            Self { runtime, web: ([127, 0, 0, 1], 0).into(), running: Vec::new(), observability };
        let emoji = services.add("emoji", emojivoto_emoji_svc::serve);
        let voting = services.add("voting", |listener, telemetry, lifecycle| {
            let settings = defaults::<PollSettings>();
            emojivoto_voting_svc::serve(
                settings,
                MemoryStore::default().into(),
                listener,
                telemetry,
                lifecycle,
            )
        });
        services.web = services.add("web", move |listener, telemetry, lifecycle| {
            let backends = Backends::at(emoji, voting);
            emojivoto_web::serve(backends, defaults::<FrontEnd>(), listener, telemetry, lifecycle)
        });
        services
    }

    fn add<F>(
        &mut self,
        name: &'static str,
        serve: impl FnOnce(TcpListener, Telemetry, Lifecycle) -> F,
    ) -> SocketAddr
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let telemetry = self.observability.service(name);
        let listener = self.runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("an address");
        let (lifecycle, stop) = Lifecycle::new();
        let serving = serve(listener, telemetry, lifecycle);
        let serving = self.runtime.spawn(serving);
        assert!(self.runtime.block_on(stop.becomes_ready()), "{name} starts");
        self.running.push((stop, serving));
        address
    }

    pub(crate) fn web(&self) -> SocketAddr {
        self.web
    }

    pub(crate) fn stop(self) {
        self.runtime.block_on(async {
            for (stop, serving) in self.running.into_iter().rev() {
                stop.stop();
                serving.await.expect("no panic").expect("no error");
            }
            self.observability.shutdown(Duration::from_secs(5)).await;
        });
    }
}
