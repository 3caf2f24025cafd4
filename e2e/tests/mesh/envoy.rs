//! Envoy, the proxy that Istio's meshes are made of.

use std::{
    collections::BTreeMap,
    fs, io,
    net::SocketAddr,
    process::Command,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use emojivoto_e2e::{Program, tool};
use emojivoto_testkit::{eventually, http};
use serde_json::Value;

/// A running Envoy. It ends with the test.
pub(crate) struct Envoy {
    _program: Program,
    admin: String,
    listeners: BTreeMap<String, SocketAddr>,
}

impl Envoy {
    /// Starts it with a configuration, and waits until it listens.
    pub(crate) async fn start(configuration: &Value) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Relaxed);
        let directory = Program::directory(&format!("envoy-{}-{number}", std::process::id()));
        fs::write(directory.join("envoy.json"), configuration.to_string()).expect("writable");
        let admin_file = directory.join("admin");
        let mut command = Command::new(tool("envoy"));
        command
            .args(["--config-path", "envoy.json", "--admin-address-path", "admin"])
            // One thread, so that turns are taken in order; and no other Envoy to take over from.
            .args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]);
        let mut program = Program::start(&mut command, directory);
        let (admin, listeners) = eventually("Envoy listens", || {
            // Which fails if it has ended.
            program.log();
            listening(fs::read_to_string(&admin_file))
        })
        .await;
        let listeners = listeners["listener_statuses"].as_array().expect("listeners");
        let address = |listener: &Value| {
            let port = listener["local_address"]["socket_address"]["port_value"].as_u64()?;
            let port = u16::try_from(port).ok()?;
            Some((listener["name"].as_str()?.to_owned(), SocketAddr::from(([127, 0, 0, 1], port))))
        };
        // Those with a path instead of a port are called by Envoy itself only.
        let listeners = listeners.iter().filter_map(address).collect();
        Self { _program: program, admin, listeners }
    }

    /// Where a listener listens.
    pub(crate) fn address(&self, listener: &str) -> SocketAddr {
        let address = self.listeners.get(listener);
        *address.unwrap_or_else(|| panic!("no listener {listener:?} in {:?}", self.listeners))
    }

    /// How many requests there were with these labels (see `http_manager`).
    pub(crate) async fn requests(&self, labels: &[(&str, &str)]) -> u64 {
        self.sum("mesh_requests", labels).await
    }

    /// How many pods of a Service get no requests from a client, because too many failed.
    pub(crate) async fn left_out(&self, client: &str, service: &str) -> u64 {
        self.ejections("active", client, service).await
    }

    /// How many times a pod was left out.
    pub(crate) async fn times_left_out(&self, client: &str, service: &str) -> u64 {
        self.ejections("enforced_total", client, service).await
    }

    async fn ejections(&self, which: &str, client: &str, service: &str) -> u64 {
        let metric = format!("cluster_outlier_detection_ejections_{which}");
        let cluster = format!("{client} to {service}");
        self.sum(&metric, &[("envoy_cluster_name", &cluster)]).await
    }

    /// The sum of a metric over the series that have these labels.
    async fn sum(&self, metric: &str, labels: &[(&str, &str)]) -> u64 {
        let url = format!("http://{}/stats/prometheus?usedonly", self.admin);
        let metrics = http::get(&url).await.body;
        let value = |line: &str| {
            let series = line.strip_prefix("envoy_")?.strip_prefix(metric)?;
            let (of, value) = series.strip_prefix('{')?.rsplit_once("} ")?;
            let has = |(name, value): &(&str, &str)| {
                of.split("\",")
                    .any(|label| label.trim_end_matches('"') == format!("{name}=\"{value}"))
            };
            labels.iter().all(has).then(|| value.parse::<u64>().expect("a count"))
        };
        metrics.lines().filter_map(value).sum()
    }
}

/// The address of an Envoy's administration and its listeners, once it listens.
async fn listening(admin: io::Result<String>) -> Option<(String, Value)> {
    let admin = admin.ok()?;
    let ready = http::send(::http::Request::get(format!("http://{admin}/ready")), "").await.ok()?;
    (ready.status == 200).then_some(())?;
    let listeners = http::get(&format!("http://{admin}/listeners?format=json")).await;
    Some((admin, listeners.json()))
}
