//! What faults cost where none strikes, beside no layer for them at all, in one run of half a minute.
//!
//!     cargo bench -p emojivoto --bench faults
//!
//! An RPC that does nothing is called without the layer, with one that has no rules, and with ten rules that do not match,
//! in turns. What that costs more is held against what a vote costs the three services, each of which has the layer once.

use std::{
    convert::Infallible,
    hint::black_box,
    process::ExitCode,
    time::{Duration, Instant},
};

use emojivoto_runtime::{
    Lifecycle,
    faults::{Face, Failure, Injected, Injecting, Stalled, Working, parse, places},
};
use emojivoto_testkit::bench::{self, Suite, Telemetry, load::closed_loop};
use http::{Request, Response};
use tonic::body::Body;
use tower::{Service, service_fn};

const CALLS: u32 = 100_000;
const ROUNDS: usize = 50;
const PATH: &str = "/emojivoto.v1.VotingService/VoteJoy";
/// web, emoji-svc and voting-svc.
const LAYERS: f64 = 3.0;

fn main() -> ExitCode {
    if let Some(ended) = bench::role() {
        return ended;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let vote = runtime.block_on(vote());
    let rule = |n| format!("[[rule]]\nname = \"r{n}\"\ngrpc = \"VoteGhost\"\ncode = \"ABORTED\"\n");
    let ten = (0..10).map(rule).collect::<Vec<_>>().concat();
    let (without, none, ten) = (rpc(), layer(""), layer(&ten));
    let mut times = [const { Vec::new() }; 3];
    for round in 0..ROUNDS {
        for turn in 0..3 {
            let which = (round + turn) % 3;
            times[which].push(match which {
                0 => runtime.block_on(time(without.clone())),
                1 => runtime.block_on(time(none.clone())),
                _ => runtime.block_on(time(ten.clone())),
            });
        }
    }
    let [without, none, ten] = times.map(|mut times| {
        times.sort_unstable_by(f64::total_cmp);
        times[ROUNDS / 2]
    });
    println!("\na vote costs the three services {:.1} µs", vote / 1e3);
    println!(
        "\n{:24}{:>10}{:>10}{:>14}",
        "an RPC that does nothing", "ns a call", "more", "of a vote"
    );
    for (name, time) in [("no layer", without), ("no rule", none), ("ten that do not match", ten)] {
        let more = time - without;
        println!("  {name:22}{time:>10.1}{more:>10.1}{:>13.2}%", LAYERS * more / vote * 100.0);
    }
    ExitCode::SUCCESS
}

/// The processor time of a vote, in nanoseconds, with all defaults.
async fn vote() -> f64 {
    let suite = Suite::start(Telemetry::Defaults, &[]);
    let begin = || suite.processor_times();
    let (warm_up, measured) = (Duration::from_secs(1), Duration::from_secs(5));
    let path = "/api/vote?choice=:joy:";
    let (before, answers) = closed_loop(suite.web(), path, 64, warm_up, measured, begin).await;
    let after = suite.processor_times();
    let spent: Duration = (0..3).map(|one| after[one].saturating_sub(before[one])).sum();
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let votes = answers.good() as f64;
    spent.as_secs_f64() * 1e9 / votes
}

/// An RPC that does nothing.
fn rpc() -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static {
    service_fn(|request: Request<Body>| async move {
        black_box(&request);
        Ok(Response::new(Body::empty()))
    })
}

/// The same behind the layer, under rules.
fn layer(
    rules: &str,
) -> impl Service<Request<Body>, Response = Response<Body>, Error: std::fmt::Debug> + Clone {
    let (lifecycle, _stop) = Lifecycle::new();
    lifecycle.faults().give(parse(rules, &places()).expect("a good set"), "the benchmark");
    Injecting::new(Working::new(rpc(), &lifecycle), Grpc, &lifecycle)
}

/// Nanoseconds a call.
async fn time<S>(mut service: S) -> f64
where
    S: Service<Request<Body>, Response = Response<Body>, Error: std::fmt::Debug>,
{
    let start = Instant::now();
    for _ in 0..CALLS {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = http::Uri::from_static(PATH);
        let _ = black_box(service.call(request).await.expect("an answer"));
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
}

/// As a gRPC service has it; nothing here fails.
#[derive(Clone)]
struct Grpc;

impl Face<Body> for Grpc {
    type Body = Body;

    fn path<'a>(&self, request: &'a Request<Body>) -> Option<&'a str> {
        Some(request.uri().path())
    }

    async fn choice(&self, request: Request<Body>) -> (Request<Body>, Option<String>) {
        (request, None)
    }

    fn timeout(&self, _: &Request<Body>) -> Option<Duration> {
        None
    }

    fn set_timeout(&self, _: &mut Request<Body>, _: Duration) {}

    async fn fail(&self, _: &Failure, _: Request<Body>, _: &Injected) -> Response<Body> {
        Response::new(Body::empty())
    }

    fn too_late(&self) -> Response<Body> {
        Response::new(Body::empty())
    }

    fn stalled(&self, half: Stalled<Body>) -> Body {
        Body::new(half)
    }
}
