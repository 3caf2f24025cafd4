//! What those cost who watch the leaderboard.

use std::{net::SocketAddr, time::Duration};

use emojivoto_testkit::bench::{
    Process, Suite, Telemetry,
    load::{closed_loop, open_loop},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime::Runtime,
    task::JoinSet,
    time::sleep,
};

use crate::{Cores, VOTE, megabytes};

/// While they watch, the board changes each second.
const WATCHED: Duration = Duration::from_secs(6);
/// Votes a second meanwhile.
const VOTES: f64 = 1_000.0;

/// Crowds of several sizes, each with a suite of its own.
pub(crate) fn watch(runtime: &Runtime, cores: Cores) {
    println!(
        "\n{VOTES} votes a second, and who watch   let in  p50, p99 of a vote    web: memory, a viewer     CPU, a viewer and second"
    );
    let mut without = 0.0;
    for crowd in [0, 1_000, 10_000] {
        let settings = [("MAX_VIEWERS", "10000"), ("MAX_CONNECTIONS", "12000")];
        let suite = cores.beside(|| Suite::start(Telemetry::Defaults, &settings));
        let bot = Process::bot(suite.web());
        let share = runtime.block_on(of(crowd, &suite, without));
        if crowd == 0 {
            without = share;
        }
        drop(bot);
    }
}

/// The share of a core that web took; `without` is what it takes without anybody who watches.
async fn of(crowd: usize, suite: &Suite, without: f64) -> f64 {
    // So that what the votes need is there before.
    let warm = closed_loop(suite.web(), VOTE, 64, Duration::ZERO, Duration::from_secs(1), || ());
    let _warm = warm.await;
    let memory = || suite.memory("RssAnon")[0];
    let before = memory();
    let mut viewers = JoinSet::new();
    let mut let_in = 0.0;
    for _ in 0..crowd {
        if let Some(stream) = viewer(suite.web()).await {
            let_in += 1.0;
            viewers.spawn(read(stream));
        }
    }
    sleep(Duration::from_secs(2)).await;
    let grown = memory().saturating_sub(before);
    let start = suite.processor_times()[0];
    let votes = open_loop(suite.web(), VOTE, VOTES, 64, WATCHED).await;
    let processor = suite.processor_times()[0].saturating_sub(start);
    let share = processor.as_secs_f64() / WATCHED.as_secs_f64();
    let each = |sum: f64| if let_in > 0.0 { sum / let_in } else { 0.0 };
    println!(
        "{crowd:>33}{let_in:>9.0}{:>10.1} ms{:>7.1} ms{:>11.1} MB{:>8.1} kB{:>8.2} cores{:>8.0} µs",
        votes.quantile(500).as_secs_f64() * 1e3,
        votes.quantile(990).as_secs_f64() * 1e3,
        megabytes(grown),
        each(megabytes(grown) * 1e3),
        share,
        each((share - without) * 1e6),
    );
    share
}

/// One that got a stream.
async fn viewer(web: SocketAddr) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(web).await.ok()?;
    let request = format!("GET /leaderboard/live HTTP/1.1\r\nhost: {web}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.ok()?;
    (&start == b"HTTP/1.1 200").then_some(stream)
}

async fn read(mut stream: TcpStream) {
    let mut buffer = vec![0; 16 * 1024];
    while stream.read(&mut buffer).await.is_ok_and(|length| length > 0) {}
}
