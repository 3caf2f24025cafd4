//! What faults cost where none strikes, beside no layer for them at all, in one run of a quarter of a minute.
//!
//!     cargo bench -p emojivoto --bench faults
//!
//! A request that nothing is done for is made without the layer, with one that has the rule that there always is (that of
//! the doughnut), and with ten more that do not match, in turns: an RPC, and a vote at web, which reads the emoji that is
//! chosen before rules that go by it. What that costs more is held against what a vote costs the three services: each of
//! them has the layer once.
//!
//! It fails if no rule costs more than 1 % of a vote, or ten more than 3 %.

use std::{
    collections::HashMap,
    convert::Infallible,
    hint::black_box,
    process::ExitCode,
    time::{Duration, Instant},
};

use axum::extract::Query;
use emojivoto_proto::Shortcode;
use emojivoto_runtime::{
    Lifecycle,
    faults::{Face, Failure, Injected, Injecting, Stalled, Working, doughnut, parse, places},
};
use emojivoto_testkit::bench::{self, Suite, Telemetry, load::closed_loop};
use http::{Request, Response, Uri};
use tonic::body::Body;
use tower::{Service, service_fn};

const CALLS: u32 = 100_000;
const ROUNDS: usize = 50;
const RPC: &str = "/emojivoto.v1.VotingService/VoteJoy";
const VOTE: &str = "/api/vote?choice=:joy:";

/// Ten for all kinds of places but the one that is called.
const TEN: [&str; 10] = [
    "grpc = \"VoteGhost\"\ncode = \"ABORTED\"",
    "grpc = [\"VoteTada\", \"VoteMask\"]\nreset = true",
    "grpc = \"Vote*\"\nemoji = \":ghost:\"\ndelay = \"1s\"",
    "emoji = [\":tada:\", \":mask:\"]\nshare = 0.5\ncode = \"ABORTED\"",
    "grpc = \"Results\"\nstall = true",
    "grpc = \"ListAll\"\nconcurrency = 5",
    "grpc = [\"ListAll\", \"Results\"]\ndelay = { from = \"1ms\", to = \"9ms\" }",
    "http = \"/\"\nstatus = 503",
    "http = \"*\"\nemoji = \":ghost:\"\nstatus = 503",
    "http = \"/api/vote\"\nrate = 10",
];

fn main() -> ExitCode {
    if let Some(ended) = bench::role() {
        return ended;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let vote = runtime.block_on(vote());
    let (without, none) = (nothing(), layer(""));
    let (ten, others) = (layer(&rules(&TEN)), layer(&for_other_emoji()));
    let measures: [&dyn Fn() -> f64; 6] = [
        &|| runtime.block_on(time(without.clone(), RPC)),
        &|| runtime.block_on(time(none.clone(), RPC)),
        &|| runtime.block_on(time(ten.clone(), RPC)),
        &|| runtime.block_on(time(without.clone(), VOTE)),
        &|| runtime.block_on(time(none.clone(), VOTE)),
        &|| runtime.block_on(time(others.clone(), VOTE)),
    ];
    let mut times = [const { Vec::new() }; 6];
    for round in 0..ROUNDS {
        for turn in 0..measures.len() {
            let which = (round + turn) % measures.len();
            times[which].push(measures[which]());
        }
    }
    let times = times.map(|mut times| {
        times.sort_unstable_by(f64::total_cmp);
        times[ROUNDS / 2]
    });
    println!("\na vote costs the three services {:.1} µs", vote / 1e3);
    println!("\n{:36}{:>10}{:>10}{:>12}", "", "ns a call", "more", "of a vote");
    let mut too_much = false;
    // Each of the three services has the layer, but only one of them, web, votes.
    for (what, layers, times) in [("an RPC", 3.0, &times[..3]), ("a vote at web", 1.0, &times[3..])]
    {
        let names = [("no layer", 0.0), ("no rule", 0.01), ("ten that do not match", 0.03)];
        for ((name, limit), time) in names.into_iter().zip(times) {
            let more = time - times[0];
            let of_vote = layers * more / vote;
            println!("  {what:14} {name:24}{time:>5.1}{more:>10.1}{:>11.2}%", of_vote * 100.0);
            too_much |= of_vote > limit;
        }
    }
    if too_much {
        println!("\nthat is more than 1 % without a rule, or 3 % with ten");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn rules(of: &[impl AsRef<str>]) -> String {
    let rule = |(number, rule)| format!("[[rule]]\nname = \"r{number}\"\n{rule}\n");
    of.iter().map(AsRef::as_ref).enumerate().map(rule).collect::<Vec<_>>().concat()
}

/// Ten for the votes of web, none of them for the one that is made.
fn for_other_emoji() -> String {
    let rule = |emoji| format!("http = \"/api/vote\"\nemoji = \"{emoji}\"\nstatus = 503");
    rules(&Shortcode::all().skip(1).take(10).map(rule).collect::<Vec<_>>())
}

/// The processor time of a vote, in nanoseconds, with all defaults.
async fn vote() -> f64 {
    let suite = Suite::start(Telemetry::Defaults, &[]);
    let begin = || suite.processor_times();
    let (warm_up, measured) = (Duration::from_secs(1), Duration::from_secs(5));
    let (before, answers) = closed_loop(suite.web(), VOTE, 64, warm_up, measured, begin).await;
    let after = suite.processor_times();
    let spent: Duration = (0..3).map(|one| after[one].saturating_sub(before[one])).sum();
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let votes = answers.good() as f64;
    spent.as_secs_f64() * 1e9 / votes
}

/// Does nothing for a request.
fn nothing()
-> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static {
    service_fn(|request: Request<Body>| async move {
        black_box(&request);
        Ok(Response::new(Body::empty()))
    })
}

/// The same behind the layer, under these rules and that for the doughnut.
fn layer(
    rules: &str,
) -> impl Service<Request<Body>, Response = Response<Body>, Error: std::fmt::Debug> + Clone + use<>
{
    let (lifecycle, _stop) = Lifecycle::new();
    lifecycle.faults().base(vec![doughnut(1.0)]);
    lifecycle.faults().give(parse(rules, &places()).expect("a good set"), "the benchmark");
    Injecting::new(Working::new(nothing(), &lifecycle), Plain, &lifecycle)
}

/// Nanoseconds a call.
async fn time<S>(mut service: S, uri: &'static str) -> f64
where
    S: Service<Request<Body>, Response = Response<Body>, Error: std::fmt::Debug>,
{
    let start = Instant::now();
    for _ in 0..CALLS {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = Uri::from_static(uri);
        let _ = black_box(service.call(request).await.expect("an answer"));
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
}

/// As services have it; nothing here fails.
#[derive(Clone)]
struct Plain;

impl Face<Body> for Plain {
    type Body = Body;

    fn path<'a>(&self, request: &'a Request<Body>) -> Option<&'a str> {
        Some(request.uri().path())
    }

    /// As web reads it where there is no form, and says that it has.
    async fn choice(&self, mut request: Request<Body>) -> (Request<Body>, Option<String>) {
        let query = Query::<HashMap<String, String>>::try_from_uri(request.uri()).ok();
        request.extensions_mut().insert(Plain);
        (request, query.and_then(|Query(mut query)| query.remove("choice")))
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
