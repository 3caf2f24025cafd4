//! A real Prometheus with the repository's own configuration.

use std::fs;

use emojivoto_e2e::{Program, root};
use emojivoto_testkit::{eventually, http};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

pub(super) const DIRECTORY: &str = "observability/prometheus";

/// A Prometheus that watches the suite.
pub(super) struct Prometheus(emojivoto_e2e::Prometheus);

impl Prometheus {
    /// Starts it with these targets and waits until it has scraped each of them.
    pub(super) async fn watching(targets: &[String]) -> Self {
        let name = format!("prometheus-{}", targets[0].replace(':', "-"));
        let directory = Program::directory(&name);
        fs::write(directory.join("prometheus.yml"), configuration(targets)).expect("writable");
        let prometheus = Self(emojivoto_e2e::Prometheus::start(directory).await);
        let up = format!("sum(up) == {}", targets.len());
        eventually("Prometheus has scraped every target", async || {
            prometheus.0.try_query(&up).await.filter(|found| !found.is_empty())
        })
        .await;
        prometheus
    }

    /// The samples that an expression evaluates to now.
    pub(super) async fn query(&self, expression: &str) -> Vec<Value> {
        let found = self.0.try_query(expression).await;
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
        let answer = http::get(&format!("{}/api/v1/rules", self.0.url())).await.json();
        let groups = answer["data"]["groups"].as_array().expect("groups").clone();
        groups.iter().flat_map(|g| g["rules"].as_array().expect("rules").clone()).collect()
    }

    /// The trace ids of the exemplars that belong to what an expression selects.
    pub(super) async fn traces(&self, expression: &str) -> Vec<String> {
        let query = utf8_percent_encode(expression, NON_ALPHANUMERIC);
        let url = format!("{}/api/v1/query_exemplars?query={query}", self.0.url());
        let answer = http::get(&url).await.json();
        let series = answer["data"].as_array().unwrap_or_else(|| panic!("{expression}: {answer}"));
        series
            .iter()
            .flat_map(|series| series["exemplars"].as_array().into_iter().flatten())
            .map(|exemplar| exemplar["labels"]["trace_id"].as_str().expect("an id").to_owned())
            .collect()
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
