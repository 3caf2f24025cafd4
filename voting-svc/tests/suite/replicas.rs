//! Several of the binary behind one web, which spreads the votes over them.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};

use emojivoto_testkit::{Run, Service, emoji, eventually, http, web_spreading};
use tokio::task::JoinHandle;

use crate::on_free_ports;

/// How many votes are in flight at a time.
const VOTERS: usize = 8;

struct Replica {
    run: Run,
    address: SocketAddr,
    admin: SocketAddr,
}

impl Replica {
    fn start(settings: &[(&str, &str)]) -> Self {
        let mut run = on_free_ports(settings).start();
        let admin = run.address("PROM_PORT");
        let address = run.address("GRPC_PORT");
        Self { run, address, admin }
    }

    /// The sum of a metric.
    async fn sum(&self, metric: &str) -> u64 {
        http::sum_of_metrics(self.admin, metric).await
    }

    async fn votes(&self) -> u64 {
        self.sum("emojivoto_votes_total{").await
    }

    async fn gets_votes(&self) {
        let before = self.votes().await;
        // More than those that are in flight.
        let enough = before + VOTERS as u64 + 1;
        let voted = || async { (self.votes().await >= enough).then_some(()) };
        eventually("votes for a replica", voted).await;
    }
}

/// web in front of them, and its other backend.
async fn web(replicas: [&Replica; 3]) -> (Service, Service) {
    let emoji = emoji().await;
    let web = web_spreading(emoji.address(), &replicas.map(|replica| replica.address)).await;
    (web.ready().await, emoji)
}

async fn vote(url: &str) -> u16 {
    http::get(url).await.status.as_u16()
}

/// Votes without a pause, until told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    failures: Arc<AtomicUsize>,
    voters: Vec<JoinHandle<Vec<u16>>>,
}

impl Load {
    fn start(web: &Service) -> Self {
        let (stop, failures) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let voter = || {
            let url = web.url("/api/vote?choice=:joy:");
            let (stop, failures) = (Arc::clone(&stop), Arc::clone(&failures));
            tokio::spawn(async move {
                let mut statuses = Vec::new();
                while !stop.load(SeqCst) {
                    let status = vote(&url).await;
                    failures.fetch_add(usize::from(status != 200), SeqCst);
                    statuses.push(status);
                }
                statuses
            })
        };
        let voters = std::iter::repeat_with(voter).take(VOTERS).collect();
        Self { stop, failures, voters }
    }

    async fn sees_a_failure(&self) {
        let failed = || async { (self.failures.load(SeqCst) > 0).then_some(()) };
        eventually("a vote that fails", failed).await;
    }

    /// How many were acknowledged, and with what status the others failed. None of the voters saw more than one fail.
    async fn end(self) -> (u64, Vec<u16>) {
        self.stop.store(true, SeqCst);
        let (mut acknowledged, mut failed) = (0, Vec::new());
        for voter in self.voters {
            let statuses = voter.await.expect("no panic");
            let failures: Vec<_> =
                statuses.iter().copied().filter(|&status| status != 200).collect();
            assert!(failures.len() <= 1, "{failures:?}");
            acknowledged += (statuses.len() - failures.len()) as u64;
            failed.extend(failures);
        }
        (acknowledged, failed)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_gets_its_share_of_the_votes() {
    let replicas = [(); 3].map(|()| Replica::start(&[]));
    let (web, _emoji) = web(replicas.each_ref()).await;
    let url = web.url("/api/vote?choice=:joy:");
    for _ in 0..300 {
        assert_eq!(vote(&url).await, 200);
    }
    let [one, two, three] = &replicas;
    let counted = [one.votes().await, two.votes().await, three.votes().await];
    assert_eq!(counted.iter().sum::<u64>(), 300, "{counted:?}");
    assert!(counted.iter().all(|&votes| votes >= 45), "{counted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_killed_takes_with_it_what_it_holds_and_nothing_else() {
    let one = Replica::start(&[]);
    let two = Replica::start(&[]);
    // What it counts would die with it, and could not be compared. So it never gets to count.
    let doomed = Replica::start(&[("ARTIFICIAL_DELAY", "1h")]);
    let (web, _emoji) = web([&one, &two, &doomed]).await;
    let load = Load::start(&web);
    eventually("votes that it holds", || async {
        let started = doomed.sum("grpc_server_started_total{").await;
        (started > doomed.sum("grpc_server_handled_total{").await).then_some(())
    })
    .await;
    let port = doomed.address.port().to_string();
    drop(doomed); // by SIGKILL
    one.gets_votes().await;
    two.gets_votes().await;
    let (acknowledged, failed) = load.end().await;
    // None that may have arrived was sent again.
    assert!(!failed.is_empty() && failed.iter().all(|&status| status == 503), "{failed:?}");
    assert_eq!(one.votes().await + two.votes().await, acknowledged);

    let load = Load::start(&web);
    let back = Replica::start(&[("GRPC_PORT", &port)]);
    back.gets_votes().await;
    assert_eq!(load.end().await.1, [0_u16; 0], "its coming costs nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_hangs_is_avoided_until_it_does_not() {
    let [one, two, hangs] = [(); 3].map(|()| Replica::start(&[]));
    let (web, _emoji) = web([&one, &two, &hangs]).await;
    let load = Load::start(&web);
    hangs.gets_votes().await;
    hangs.run.signal("STOP");
    // The others get the votes meanwhile, but for the few that it has got.
    one.gets_votes().await;
    two.gets_votes().await;
    // Those fail when it is given up, which costs no further ones.
    load.sees_a_failure().await;
    one.gets_votes().await;
    two.gets_votes().await;
    hangs.run.signal("CONT");
    hangs.gets_votes().await;
    let (acknowledged, failed) = load.end().await;
    assert!(failed.iter().all(|status| [503, 504].contains(status)), "{failed:?}");
    // What it had got when it hung, it may have counted afterwards, or not.
    let counted = one.votes().await + two.votes().await + hangs.votes().await;
    assert!((acknowledged..=acknowledged + failed.len() as u64).contains(&counted));
}
