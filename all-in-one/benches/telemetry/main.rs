//! What traces cost: votes through web, emoji-svc and voting-svc with the metrics that there always are, and with
//! traces of 1 % and of all votes besides, side by side in one run of a minute and a half.
//!
//!     cargo bench -p emojivoto --bench telemetry
//!
//! The three services run here, on loopback. Who votes, and who receives the traces, are processes of
//! their own (this program, started again). They do as little as they can, but share the processor:
//! votes per second include their work, processor time per vote does not.

mod collector;
mod load;
mod services;

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use services::{Services, Traces};

/// All variants in turn, this often, so that whatever else the machine does meets all of them.
const ROUNDS: usize = 12;

/// How the services are observed.
const VARIANTS: [(&str, Traces); 3] = [
    ("metrics", Traces::None),
    ("metrics, 1 % of the traces", Traces::Share("0.01")),
    ("metrics, all traces", Traces::Share("1.0")),
];

fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["collector"] => collector::run(),
        ["load", web] => load::run(web.parse().expect("an address")),
        _ => compare(),
    }
}

/// What one variant did in one round.
#[derive(Debug, Clone, Copy)]
struct Sample {
    votes_per_second: f64,
    microseconds_per_vote: f64,
}

impl Sample {
    /// Whatever else the machine does can only take away: the best of many is what comes closest to
    /// being alone.
    fn best(self, other: Self) -> Self {
        Self {
            votes_per_second: self.votes_per_second.max(other.votes_per_second),
            microseconds_per_vote: self.microseconds_per_vote.min(other.microseconds_per_vote),
        }
    }
}

fn compare() {
    let (collector, mut lines) = role(&["collector"]);
    let endpoint = lines.next().expect("the address of the collector");
    let mut samples = [const { Vec::new() }; VARIANTS.len()];
    for round in 0..ROUNDS {
        // Another one begins each round, because what went before is felt.
        for turn in 0..VARIANTS.len() {
            let variant = (round + turn) % VARIANTS.len();
            let services = Services::start(VARIANTS[variant].1, &endpoint);
            samples[variant].push(measure(&services));
            services.stop();
        }
    }
    drop(collector);

    println!("{:28}{:>10}{:>10}{:>16}{:>10}", "", "votes/s", "", "CPU per vote", "");
    let best =
        samples.map(|of_variant| of_variant.into_iter().reduce(Sample::best).expect("rounds"));
    for ((name, _), Sample { votes_per_second: votes, microseconds_per_vote: cpu }) in
        VARIANTS.iter().zip(&best)
    {
        let votes_change = (votes / best[0].votes_per_second - 1.0) * 100.0;
        let cpu_change = (cpu / best[0].microseconds_per_vote - 1.0) * 100.0;
        println!("{name:28}{votes:>10.0}{votes_change:>9.1}%{cpu:>13.1} µs{cpu_change:>9.1}%");
    }
}

/// Lets a load vote, and notes what it cost from when it is warm to its end.
fn measure(services: &Services) -> Sample {
    let (load, mut lines) = role(&["load", &services.web().to_string()]);
    lines.next().expect("a line when it is warm");
    let before = processor_seconds();
    let line = lines.next().expect("votes and seconds");
    let seconds_here = processor_seconds() - before;
    drop(load);
    let (votes, seconds) = line.split_once(' ').expect("votes and seconds");
    let (votes, seconds): (f64, f64) =
        (votes.parse().expect("a number"), seconds.parse().expect("a number"));
    Sample { votes_per_second: votes / seconds, microseconds_per_vote: seconds_here / votes * 1e6 }
}

/// This program in another role. It ends with this one, however that does.
struct Role(Child);

impl Drop for Role {
    fn drop(&mut self) {
        let _ = self.0.kill(); // unless it has ended
        let _ = self.0.wait();
    }
}

/// Starts this program in another role, and reads its lines.
fn role(arguments: &[&str]) -> (Role, impl Iterator<Item = String> + use<>) {
    let program = env::current_exe().expect("this program");
    let child = Command::new(program).args(arguments).stdout(Stdio::piped()).spawn();
    let mut child = child.expect("this program starts");
    let output = child.stdout.take().expect("its output is piped");
    (Role(child), BufReader::new(output).lines().map(|line| line.expect("text")))
}

/// What all threads of this process have run, in seconds (`proc_pid_schedstat`, in nanoseconds).
fn processor_seconds() -> f64 {
    let threads = fs::read_dir("/proc/self/task").expect("Linux");
    let nanoseconds = threads.map(|thread| {
        let file = thread.expect("a thread").path().join("schedstat");
        let text = fs::read_to_string(file).unwrap_or_default(); // it may have ended
        text.split(' ').next().and_then(|time| time.parse::<f64>().ok()).unwrap_or_default()
    });
    nanoseconds.sum::<f64>() / 1e9
}
