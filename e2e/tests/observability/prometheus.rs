//! A real Prometheus with the repository's own configuration.

use std::fs;
use std::future::ready;
use std::process::Command;

use emojivoto_e2e::{root, tool};
use emojivoto_testkit::{eventually, http};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::program::Program;

pub(super) const DIRECTORY: &str = "observability/prometheus";

/// A running Prometheus. It ends with the test, and takes along what it stored.
pub(super) struct Prometheus {
    _program: Program,
    address: String,
}

impl Prometheus {
    /// Starts it with these targets and waits until it has scraped each of them.
    pub(super) async fn watching(targets: &[String]) -> Self {
        let name = format!("prometheus-{}", targets[0].replace(':', "-"));
        let directory = Program::directory(&name);
        fs::write(directory.join("prometheus.yml"), configuration(targets)).expect("writable");
        let mut command = Command::new(tool("prometheus"));
        command
            .args(["--enable-feature=exemplar-storage", "--config.file=prometheus.yml"])
            .args(["--storage.tsdb.path=data", "--web.listen-address=127.0.0.1:0"]);
        let mut program = Program::start(&mut command, directory);
        let address = eventually("Prometheus listens", || {
            let log = program.log();
            let address = log.split_once(r#"msg="Listening on" address="#);
            let address = address.and_then(|(_, rest)| rest.split_whitespace().next());
            ready(address.map(str::to_owned))
        })
        .await;
        let prometheus = Self { _program: program, address };
        let up = format!("sum(up) == {}", targets.len());
        eventually("Prometheus has scraped every target", async || {
            prometheus.try_query(&up).await.filter(|found| !found.is_empty())
        })
        .await;
        prometheus
    }

    /// The samples that an expression evaluates to now.
    pub(super) async fn query(&self, expression: &str) -> Vec<Value> {
        let found = self.try_query(expression).await;
        found.unwrap_or_else(|| panic!("Prometheus does not evaluate {expression}"))
    }

    /// Waits until an expression evaluates to something.
    pub(super) async fn eventually(&self, what: &str, expression: &str) -> Vec<Value> {
        eventually(&format!("{what}: {expression}"), async || {
            Some(self.query(expression).await).filter(|found| !found.is_empty())
        })
        .await
    }

    /// All the rules, with their state.
    pub(super) async fn rules(&self) -> Vec<Value> {
        let answer = http::get(&format!("http://{}/api/v1/rules", self.address)).await.json();
        let groups = answer["data"]["groups"].as_array().expect("groups").clone();
        groups.iter().flat_map(|g| g["rules"].as_array().expect("rules").clone()).collect()
    }

    /// The trace ids of the exemplars that belong to what an expression selects.
    pub(super) async fn traces(&self, expression: &str) -> Vec<String> {
        let query = utf8_percent_encode(expression, NON_ALPHANUMERIC);
        let url = format!("http://{}/api/v1/query_exemplars?query={query}", self.address);
        let answer = http::get(&url).await.json();
        let series = answer["data"].as_array().unwrap_or_else(|| panic!("{expression}: {answer}"));
        series
            .iter()
            .flat_map(|series| series["exemplars"].as_array().into_iter().flatten())
            .map(|exemplar| exemplar["labels"]["trace_id"].as_str().expect("an id").to_owned())
            .collect()
    }

    /// `None` while it is starting, or if it objects to the expression.
    async fn try_query(&self, expression: &str) -> Option<Vec<Value>> {
        let expression = utf8_percent_encode(expression, NON_ALPHANUMERIC);
        let url = format!("http://{}/api/v1/query?query={expression}", self.address);
        let answer = http::send(::http::Request::get(&url), "").await.ok()?;
        (answer.status == 200)
            .then(|| answer.json()["data"]["result"].as_array().cloned())
            .flatten()
    }
}

/// The repository's configuration, except for whom it asks and how often. JSON is YAML, too.
fn configuration(targets: &[String]) -> String {
    let directory = root().join(DIRECTORY);
    let text = fs::read_to_string(directory.join("prometheus.yml")).expect("it is readable");
    let mut configuration: Value = serde_saphyr::from_str(&text).expect("it is YAML");
    configuration["global"] = json!({"scrape_interval": "1s", "evaluation_interval": "1s"});
    configuration["rule_files"] = json!([directory.join("rules/*.yml")]);
    let job = &mut configuration["scrape_configs"][0];
    assert!(job["static_configs"][0]["targets"].is_array(), "the targets are elsewhere: {job}");
    job["static_configs"][0]["targets"] = json!(targets);
    configuration.to_string()
}
