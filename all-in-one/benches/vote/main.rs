//! What a vote costs, beside the least that one can cost with the same libraries, in one run of two and a half minutes.
//!
//!     cargo bench -p emojivoto --bench vote
//!
//! web, emoji-svc and voting-svc run as they do in their containers, each a process (this program, started again), and
//! so do three that do nothing but the work (`floor.rs`). All take turns, so that whatever else the machine does meets
//! all of them. The load shares the processor: answers per second include its work, processor time does not.

mod collector;
mod floor;

use std::{env, process::ExitCode, time::Duration};

use emojivoto_testkit::bench::{
    self, Process, Suite, Telemetry,
    load::{Answers, closed_loop},
};

const CONNECTIONS: usize = 64;
const WARM_UP: Duration = Duration::from_millis(200);
const MEASURED: Duration = Duration::from_secs(1);
const ROUNDS: usize = 15;
/// Of the pages, which cost many times as much and differ less.
const PAGE_ROUNDS: usize = 6;

fn main() -> ExitCode {
    if let Some(ended) = bench::role() {
        return ended;
    }
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["floor", service, ref backends @ ..] => floor::run(service, backends),
        ["collector"] => collector::run(),
        _ => compare(),
    }
    ExitCode::SUCCESS
}

fn compare() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let collector = Process::with(&["collector"]);
    let endpoint = format!("http://{}", collector.address());
    let suites = [
        ("bare floor", floor::start()),
        ("telemetry off", Suite::start(Telemetry::Off, &[])),
        ("defaults", Suite::start(Telemetry::Defaults, &[])),
        ("all traces", Suite::start(Telemetry::AllTraces(&endpoint), &[])),
    ];
    let votes = take_turns(&suites, ROUNDS, |suite| {
        runtime.block_on(measure(suite, "/api/vote?choice=:joy:", CONNECTIONS))
    });
    print("GET /api/vote", &suites, &votes);
    for path in ["/", "/api/list", "/api/leaderboard"] {
        let [floor, _, defaults, _] = &suites;
        let two = [floor, defaults].map(|(name, suite)| (*name, suite));
        let answers =
            take_turns(&two, PAGE_ROUNDS, |suite| runtime.block_on(measure(suite, path, 16)));
        print(&format!("GET {path}"), &two, &answers);
    }
}

/// What one suite did in one round. Processor time is in microseconds an answer, of web, emoji-svc and voting-svc.
struct Sample {
    answers: Answers,
    processor: [f64; 3],
}

impl Sample {
    fn all(&self) -> f64 {
        self.processor.iter().sum()
    }
}

async fn measure(suite: &Suite, path: &str, connections: usize) -> Sample {
    let begin = || suite.processor_times();
    let address = suite.web();
    let (before, answers) = closed_loop(address, path, connections, WARM_UP, MEASURED, begin).await;
    let after = suite.processor_times();
    assert_eq!((answers.refused(), answers.failed), (0, 0), "all are answered");
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let count = answers.good() as f64;
    let processor = std::array::from_fn(|process| {
        after[process].saturating_sub(before[process]).as_secs_f64() / count * 1e6
    });
    Sample { answers, processor }
}

/// Lets each suite do its part in each round; another one begins each time, because what went before is felt.
fn take_turns<S, const N: usize>(
    suites: &[(&str, S); N],
    rounds: usize,
    measure: impl Fn(&S) -> Sample,
) -> [Vec<Sample>; N] {
    let mut samples = [const { Vec::new() }; N];
    for round in 0..rounds {
        for turn in 0..N {
            let suite = (round + turn) % N;
            samples[suite].push(measure(&suites[suite].1));
        }
    }
    samples
}

/// Medians, and how they compare with those of the first suite.
fn print<S, const N: usize>(what: &str, suites: &[(&str, S); N], samples: &[Vec<Sample>; N]) {
    println!(
        "\n{what:22}{:>9}{:>7}{:>9}{:>9}   CPU a request: web + emoji + voting",
        "per s", "", "p50", "p99"
    );
    let median = |of: &Vec<Sample>, value: &dyn Fn(&Sample) -> f64| {
        let mut values: Vec<_> = of.iter().map(value).collect();
        values.sort_unstable_by(f64::total_cmp);
        values[values.len() / 2]
    };
    // Of each round by itself: what slows one suite of it slows the others.
    let ratio = |of: &Vec<Sample>, value: &dyn Fn(&Sample) -> f64| {
        let mut ratios: Vec<_> =
            of.iter().zip(&samples[0]).map(|(one, floor)| value(one) / value(floor)).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    };
    for ((name, _), of) in suites.iter().zip(samples) {
        let rate = median(of, &|sample| sample.answers.rate(sample.answers.good()));
        let millis = |per_mille| {
            median(of, &|sample| sample.answers.quantile(per_mille).as_secs_f64() * 1e3)
        };
        let (p50, p99) = (millis(500), millis(990));
        let [web, emoji, voting] = [0, 1, 2].map(|process| median(of, &|s| s.processor[process]));
        let (all, all_ratio) = (median(of, &Sample::all), ratio(of, &Sample::all));
        let rate_ratio = ratio(of, &|sample| sample.answers.rate(sample.answers.good()));
        println!(
            "  {name:20}{rate:>9.0}{rate_ratio:>6.2}x{p50:>6.1} ms{p99:>6.1} ms \
             {all:>8.1} µs {all_ratio:>5.2}x: {web:>5.1} + {emoji:.1} + {voting:.1}"
        );
    }
}
