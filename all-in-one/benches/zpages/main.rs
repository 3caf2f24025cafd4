//! What the live page costs whoever is looked at, in one run of three quarters of a minute.
//!
//!     cargo bench -p emojivoto --bench zpages
//!
//! The suite in one process, which has had votes for all emoji, so that the page is as long as it gets. First what one look
//! costs, beside a scrape of the same; then what those cost who watch, without votes and while they come in, beside nobody.

use std::{net::SocketAddr, time::Duration};

use emojivoto_proto::Shortcode;
use emojivoto_testkit::{
    Binary, Run,
    bench::load::{closed_loop, open_loop},
    http,
    usage::{memory, processor_time},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime::Builder,
    task::JoinSet,
    time::sleep,
};

/// Looks are repeated for so long, and watched is so long.
const LOOKED: Duration = Duration::from_secs(1);
const WATCHED: Duration = Duration::from_secs(5);
/// Votes a second while somebody watches.
const VOTES: f64 = 500.0;

fn main() {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let suite = Suite::start().await;
        suite.looks().await;
        for votes in [0.0, VOTES] {
            // Who has looked may look again, for a minute: another suite is one that nobody has looked at.
            let suite = Suite::start().await;
            suite.watchers(votes).await;
        }
    });
}

struct Suite {
    run: Run,
    admin: SocketAddr,
    web: SocketAddr,
}

impl Suite {
    async fn start() -> Self {
        let ports = ["WEB_PORT", "EMOJI_PORT", "VOTING_PORT", "PROM_PORT"].map(|port| (port, "0"));
        let binary = Binary::new(env!("CARGO_BIN_EXE_emojivoto")).envs(&ports);
        let mut run = binary.envs(&[("NO_BOT", "true"), ("REQUEST_LOG", "0")]).start();
        let (admin, web) = (run.address("PROM_PORT"), run.address("WEB_PORT"));
        run.line("Ctrl-C ends it");
        for emoji in Shortcode::all() {
            let choice = emoji.as_str();
            http::get(&format!("http://{web}/api/vote?choice={choice}")).await;
        }
        Self { run, admin, web }
    }

    fn processor(&self) -> Duration {
        processor_time(self.run.id())
    }

    async fn looks(&self) {
        println!("\n{:<30}{:>9}{:>12}", "one look at", "kB", "CPU");
        for path in ["/metrics", "/?format=json", "/"] {
            let length = http::get(&format!("http://{}{path}", self.admin)).await.length;
            let begin = || self.processor();
            let warm_up = Duration::from_millis(200);
            let (before, answers) = closed_loop(self.admin, path, 1, warm_up, LOOKED, begin).await;
            let each =
                self.processor().saturating_sub(before).as_secs_f64() / count(answers.good());
            println!("{path:<30}{:>9.0}{:>9.2} ms", count(length) / 1e3, each * 1e3);
        }
    }

    async fn watchers(&self, votes: f64) {
        println!(
            "\n{:<30}{:>12}{:>17}{:>10}{:>12}{:>9}",
            format!("{votes} votes a second, watched by"),
            "CPU",
            "memory grew by",
            "reports",
            "votes p50",
            "p99"
        );
        let resident = memory(self.run.id(), "RssAnon");
        let mut watching = JoinSet::new();
        for crowd in [0, 1, 8] {
            while watching.len() < crowd {
                let stream = self.watch().await;
                watching.spawn(read(stream));
            }
            let (start, reports) = (self.processor(), self.reports().await);
            let latency = if votes > 0.0 {
                let vote = "/api/vote?choice=:joy:";
                let votes = open_loop(self.web, vote, votes, 16, WATCHED).await;
                let ms = |per_mille| votes.quantile(per_mille).as_secs_f64() * 1e3;
                format!("{:>9.2} ms{:>6.2} ms", ms(500), ms(990))
            } else {
                sleep(WATCHED).await;
                String::new()
            };
            let processor = self.processor().saturating_sub(start);
            println!(
                "{:<30}{:>6.4} cores{:>14.2} MB{:>10}{latency}",
                if crowd == 0 { "nobody".to_owned() } else { crowd.to_string() },
                processor.as_secs_f64() / WATCHED.as_secs_f64(),
                count_of(memory(self.run.id(), "RssAnon").saturating_sub(resident)) / 1e6,
                self.reports().await - reports,
            );
        }
    }

    async fn watch(&self) -> TcpStream {
        let mut stream = TcpStream::connect(self.admin).await.expect("a connection");
        let request = format!("GET /events HTTP/1.1\r\nhost: {}\r\n\r\n", self.admin);
        stream.write_all(request.as_bytes()).await.expect("a request");
        stream
    }

    async fn reports(&self) -> u64 {
        http::sum_of_metrics(self.admin, "emojivoto_zpages_reports_total").await
    }
}

async fn read(mut stream: TcpStream) {
    let mut buffer = vec![0; 16 * 1024];
    while stream.read(&mut buffer).await.is_ok_and(|length| length > 0) {}
}

fn count(count: usize) -> f64 {
    count_of(count as u64)
}

#[expect(clippy::cast_precision_loss, reason = "no more than some millions")]
fn count_of(count: u64) -> f64 {
    count as f64
}
