//! `cargo bench -p emojivoto-voting-svc --bench stores` (two minutes): votes per second, and how long the slowest of a hundred
//! takes, for each store and as many votes at a time, over gRPC on one connection, as web sends them. Rounds of all
//! are taken in turn, so that what else the machine does falls on all of them.
//!
//! It needs `redis-server` on the PATH.

use std::{
    fmt::Write as _,
    net::TcpListener as StdListener,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use emojivoto_proto::{
    IdempotencyKey, Shortcode,
    voting::{VoteRequest, VotingClient},
};
use emojivoto_runtime::Lifecycle;
use emojivoto_telemetry::Telemetry;
use emojivoto_voting_svc::{
    PollSettings, serve,
    store::{AnyStore, Once},
};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinSet};
use tonic::{
    Request,
    transport::{Channel, Endpoint},
};

const AT_A_TIME: [usize; 4] = [1, 16, 64, 256];
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_millis(1_500);

/// What is measured: a store, its address, and whether votes are known again.
const STORES: [(&str, bool); 5] = [
    ("memory", true),
    ("memory, VOTES_ONCE=false", false),
    ("file", true),
    ("redis, appendfsync always", true),
    ("redis, appendfsync everysec", true),
];

/// What came out for one store and one number of votes at a time.
#[derive(Default)]
struct Measured {
    votes: u64,
    time: Duration,
    latencies: Vec<Duration>,
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        // Where a target folder is, there is a disk; a folder for what is temporary may be in memory.
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let (always, everysec) = (Redis::start("always"), Redis::start("everysec"));
        let mut clients = Vec::new();
        for (store, once) in STORES {
            let place = match store {
                "file" => format!("file:{}", directory.path().join("votes.redb").display()),
                "redis, appendfsync always" => always.url(),
                "redis, appendfsync everysec" => everysec.url(),
                _ => "memory".to_owned(),
            };
            clients.push(voting(&place, once).await);
        }
        let mut measured: Vec<[Measured; 4]> = STORES.iter().map(|_| Default::default()).collect();
        for _ in 0..ROUNDS {
            for (column, at_a_time) in AT_A_TIME.into_iter().enumerate() {
                for (row, client) in clients.iter().enumerate() {
                    round(client, at_a_time, &mut measured[row][column]).await;
                }
            }
        }
        print(&mut measured);
    });
}

/// A voting service with a store, and a client of it.
async fn voting(place: &str, votes_once: bool) -> VotingClient<Channel> {
    let store = AnyStore::open(&place.parse().expect("a store"), Once::default());
    let store = store.expect("a store that opens");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let settings = PollSettings { failure_rate: 1.0, artificial_delay: Duration::ZERO, votes_once };
    let (lifecycle, stop) = Lifecycle::new();
    tokio::spawn(serve(settings, store.into(), listener, Telemetry::off(), lifecycle));
    assert!(stop.becomes_ready().await, "{place}");
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    VotingClient::new(endpoint.connect().await.expect("a connection"))
}

/// Votes as often as it goes, so many at a time.
async fn round(client: &VotingClient<Channel>, at_a_time: usize, measured: &mut Measured) {
    let start = Instant::now();
    let mut voters = JoinSet::new();
    for number in 0..at_a_time {
        let mut client = client.clone();
        voters.spawn(async move {
            let mut latencies = Vec::new();
            let choices = Shortcode::all().filter(|choice| *choice != Shortcode::doughnut());
            for choice in choices.cycle().skip(number) {
                if start.elapsed() > ROUND {
                    break;
                }
                let mut request = Request::new(VoteRequest {});
                IdempotencyKey::random().add_to(request.metadata_mut().as_mut());
                let sent = Instant::now();
                client.vote(choice, request).await.expect("a vote");
                latencies.push(sent.elapsed());
            }
            latencies
        });
    }
    for mut latencies in voters.join_all().await {
        measured.votes += latencies.len() as u64;
        measured.latencies.append(&mut latencies);
    }
    measured.time += start.elapsed();
}

#[expect(clippy::cast_precision_loss, reason = "these are small")]
fn print(measured: &mut [[Measured; 4]]) {
    let rate = |measured: &Measured| measured.votes as f64 / measured.time.as_secs_f64();
    let memory: Vec<_> = measured[0].iter().map(rate).collect();
    let mut table = format!("{:28}", "votes at a time:");
    for at_a_time in AT_A_TIME {
        let _ = write!(table, "{at_a_time:>29}");
    }
    for ((store, _), row) in STORES.iter().zip(measured) {
        let _ = write!(table, "\n{store:28}");
        for (measured, memory) in row.iter_mut().zip(&memory) {
            measured.latencies.sort_unstable();
            let p99 = measured.latencies[measured.latencies.len() * 99 / 100].as_secs_f64() * 1e3;
            let rate = rate(measured);
            let _ = write!(table, "{rate:9.0}/s {:4.0} % {p99:6.1} ms", rate / memory * 100.0);
        }
    }
    println!("votes per second, of those in memory, and the 99th percentile\n\n{table}");
}

/// A server that ends with the benchmark.
struct Redis {
    port: u16,
    child: Child,
    _directory: TempDir,
}

impl Redis {
    fn start(appendfsync: &str) -> Self {
        let listener = StdListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"])
            .args(["--appendfsync", appendfsync, "--port", &port.to_string(), "--dir"])
            .arg(directory.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server, which this benchmark needs, is on the PATH");
        Self { port, child, _directory: directory }
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may be dead already
        let _ = self.child.wait();
    }
}
