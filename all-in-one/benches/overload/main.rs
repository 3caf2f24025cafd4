//! What becomes of the suite when more is asked of it than it can do, in one run of a minute and a half.
//!
//!     cargo bench -p emojivoto --bench overload
//!
//! web, emoji-svc and voting-svc, each a process (this program, started again), share one core, and the load has
//! another, so that what is offered does not take from who answers.

mod viewers;

use std::{process::ExitCode, time::Duration};

use emojivoto_testkit::bench::{
    self, Process, Suite, Telemetry,
    load::{Answers, Idle, closed_loop, open_loop},
};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tokio::runtime::{Builder, Runtime};

const VOTE: &str = "/api/vote?choice=:joy:";
const CONNECTIONS: usize = 1_000;
const MEASURED: Duration = Duration::from_secs(4);

fn main() -> ExitCode {
    if let Some(ended) = bench::role() {
        return ended;
    }
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    idle(&runtime);
    let cores = Cores::of_this_process();
    let suite = cores.beside(|| Suite::start(Telemetry::Defaults, &[]));
    overload(&runtime, &suite);
    drop(suite);
    viewers::watch(&runtime, cores);
    ExitCode::SUCCESS
}

/// Where those run who answer, and where those do who ask.
#[derive(Clone, Copy)]
struct Cores {
    theirs: usize,
    ours: usize,
}

impl Cores {
    fn of_this_process() -> Self {
        let all = sched_getaffinity(None).expect("Linux");
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core));
        let theirs = cores.next().expect("this runs on one");
        let ours = cores.next().unwrap_or_else(|| {
            println!("there is only one core: the load takes from who answers");
            theirs
        });
        Self { theirs, ours }
    }

    /// Starts processes on their core, and goes on on ours.
    fn beside<T>(self, start: impl FnOnce() -> T) -> T {
        let keep_to = |core| {
            let mut set = CpuSet::new();
            set.set(core);
            sched_setaffinity(None, &set).expect("a core of this process");
        };
        keep_to(self.theirs);
        let started = start();
        keep_to(self.ours);
        started
    }
}

/// All four with nothing to do but for one vote a second.
fn idle(runtime: &Runtime) {
    let suite = Suite::start(Telemetry::Defaults, &[]);
    let bot = Process::bot(suite.web());
    runtime.block_on(async { tokio::time::sleep(Duration::from_secs(5)).await });
    let memory = |name| {
        let [web, emoji, voting] = suite.memory(name);
        [web, emoji, voting, emojivoto_testkit::usage::memory(bot.id(), name)]
    };
    println!("idle, MB of memory       web   emoji  voting     bot     all");
    for (name, what) in [("VmRSS", "resident"), ("RssAnon", "  of that its own")] {
        let each = memory(name).map(megabytes);
        let sum: f64 = each.iter().sum();
        let [web, emoji, voting, bot] = each;
        println!("{what:18}{web:>10.1}{emoji:>8.1}{voting:>8.1}{bot:>8.1}{sum:>8.1}");
    }
}

#[expect(clippy::cast_precision_loss, reason = "below 2^53 bytes")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Each kind of load, and right before it 64 clients that ask as fast as they are answered: with what those get it is
/// compared, because machines are not as fast all the time.
fn overload(runtime: &Runtime, suite: &Suite) {
    let closed = |connections, measured| {
        let warm_up = Duration::from_secs(1);
        let load = closed_loop(suite.web(), VOTE, connections, warm_up, measured, || ());
        runtime.block_on(load).1
    };
    println!(
        "\nvotes                    offered       good  of best      p50      p99    refused      p99  failed unsent   peak MB: web + emoji + voting"
    );
    let compare = |what: &str, load: &dyn Fn(f64) -> (Option<f64>, Answers)| {
        let best = closed(64, Duration::from_secs(2));
        let best = best.rate(best.good());
        let (offered, answers) = load(best);
        let offered = offered.map_or("as many".to_owned(), |rate| format!("{rate:.0}/s"));
        let good = answers.rate(answers.good());
        let millis = |duration: Duration| duration.as_secs_f64() * 1e3;
        let [web, emoji, voting] = suite.memory("VmHWM").map(megabytes);
        println!(
            "{what:22}{offered:>10}{good:>9.0}/s{:>8.0}%{:>6.1} ms{:>6.1} ms{:>9.0}/s{:>6.1} ms{:>8}{:>7}{web:>10.1} + {emoji:.1} + {voting:.1}",
            good / best * 100.0,
            millis(answers.quantile(500)),
            millis(answers.quantile(990)),
            answers.rate(answers.refused()),
            millis(answers.quantile_of_refused(990)),
            answers.failed,
            answers.unsent,
        );
    };
    for times in [0.5, 1.0, 2.0, 3.0] {
        compare(&format!("{times} of what it can do"), &|best| {
            let load = open_loop(suite.web(), VOTE, best * times, CONNECTIONS, MEASURED);
            (Some(best * times), runtime.block_on(load))
        });
    }
    for connections in [512, 2_000, 4_000] {
        compare(&format!("{connections} at a time"), &|_| (None, closed(connections, MEASURED)));
    }
    let idle = runtime.block_on(Idle::open(suite.web(), VOTE, 4_000));
    compare("64, and 4000 idle", &|_| (None, closed(64, MEASURED)));
    drop(idle);
}
