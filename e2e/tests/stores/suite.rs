//! The services, as processes of their own.

use std::{collections::BTreeMap, net::SocketAddr, sync::LazyLock};

use emojivoto_e2e::binary;
use emojivoto_proto::voting::{ResultsRequest, VotingClient, VotingResult};
use emojivoto_testkit::{Binary, Run, channel, emoji, eventually, http, within};

/// A service, and where it is.
pub(crate) struct Process {
    pub(crate) run: Run,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
}

/// Looked for once: a test starts some of them twenty times.
pub(crate) static VOTING_SVC: LazyLock<String> = LazyLock::new(|| binary("emojivoto-voting-svc"));
static WEB: LazyLock<String> = LazyLock::new(|| binary("emojivoto-web"));

impl Process {
    fn start(binary: &str, port: &str, settings: &[(&str, &str)]) -> Self {
        // Nobody reads what it says: a line for each request would fill the pipe.
        let quiet = [(port, "0"), ("PROM_PORT", "0"), ("REQUEST_LOG", "0")];
        let mut run = Binary::new(binary).envs(&quiet).envs(settings).start();
        let admin = run.address("PROM_PORT");
        let address = run.address(port);
        Self { run, address, admin }
    }

    /// What `/ready` says.
    pub(crate) async fn is_ready(&self) -> bool {
        http::get(&format!("http://{}/ready", self.admin)).await.status == 200
    }

    /// Waits until `/ready` says so.
    pub(crate) async fn becomes(&self, ready: bool) {
        let what = format!("a service that is {}ready", if ready { "" } else { "not " });
        eventually(&what, async || (self.is_ready().await == ready).then_some(())).await;
    }

    /// The sum of the metrics that begin like this.
    pub(crate) async fn sum(&self, metric: &str) -> u64 {
        http::sum_of_metrics(self.admin, metric).await
    }
}

/// voting-svc.
pub(crate) fn voting(store: &str, settings: &[(&str, &str)]) -> Process {
    let store = [("VOTES_STORE", store), ("SHUTDOWN_GRACE", "1s")];
    let settings: Vec<_> = store.iter().chain(settings).copied().collect();
    Process::start(&VOTING_SVC, "GRPC_PORT", &settings)
}

/// web before these; emoji-svc is in the process of the test.
pub(crate) struct Web {
    _emoji: emojivoto_testkit::Service,
    web: Process,
}

impl Web {
    pub(crate) async fn before(votings: &[&Process]) -> Self {
        let emoji = emoji().await;
        let hosts: Vec<_> = votings.iter().map(|voting| voting.address.to_string()).collect();
        let policy = if hosts.len() > 1 { "least_request" } else { "pick_first" };
        let settings = [
            ("EMOJISVC_HOST", emoji.address().to_string()),
            ("VOTINGSVC_HOST", hosts.join(",")),
            ("GRPC_LB_POLICY", policy.to_owned()),
        ];
        let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
        let web = Process::start(&WEB, "WEB_PORT", &settings);
        web.becomes(true).await;
        Self { _emoji: emoji, web }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.web.address
    }

    /// The leaderboard.
    pub(crate) async fn votes(&self) -> BTreeMap<String, u64> {
        let url = format!("http://{}/api/leaderboard", self.web.address);
        let board = eventually("a leaderboard", async || {
            let answer = http::get(&url).await;
            (answer.status == 200).then(|| answer.json())
        });
        let board = board.await;
        let entry = |entry: &serde_json::Value| {
            let votes = entry["votes"].as_str()?.parse().ok()?;
            Some((entry["shortcode"].as_str()?.to_owned(), votes))
        };
        let entries = board.as_array().expect("an array").iter();
        entries.map(|one| entry(one).expect("an entry")).collect()
    }
}

/// The votes that a voting-svc knows of, as it tells by itself.
pub(crate) async fn results(svc: &Process) -> BTreeMap<String, u64> {
    let mut client = VotingClient::new(channel(svc.address));
    let results = within("results", client.results(ResultsRequest {})).await.expect("results");
    let result = |VotingResult { shortcode, votes }| (shortcode, votes.unsigned_abs().into());
    results.into_inner().results.into_iter().map(result).collect()
}
