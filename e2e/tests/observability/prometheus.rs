//! A real Prometheus with the repository's own configuration.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use emojivoto_e2e::{root, tool};
use emojivoto_testkit::{eventually, http};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

pub(super) const DIRECTORY: &str = "observability/prometheus";

/// A running Prometheus. It ends with the test, and takes along what it stored.
pub(super) struct Prometheus {
    child: Child,
    address: String,
    directory: PathBuf,
}

impl Prometheus {
    /// Starts it with these targets and waits until it has scraped each of them.
    pub(super) async fn watching(targets: &[String]) -> Self {
        let name = format!("prometheus-{}", targets[0].replace(':', "-"));
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&directory).expect("the temporary directory is writable");
        fs::write(directory.join("prometheus.yml"), configuration(targets)).expect("writable");
        let child = Command::new(tool("prometheus"))
            .args(["--enable-feature=exemplar-storage", "--config.file=prometheus.yml"])
            .args(["--storage.tsdb.path=data", "--web.listen-address=127.0.0.1:0"])
            .current_dir(&directory)
            .stderr(File::create(directory.join("log")).expect("writable"))
            .stdout(Stdio::null())
            .spawn()
            .expect("Prometheus starts");
        let mut prometheus = Self { child, address: String::new(), directory };
        prometheus.address = eventually("Prometheus listens", async || {
            let log = prometheus.log();
            let (_, rest) = log.split_once(r#"msg="Listening on" address="#)?;
            Some(rest.split_whitespace().next()?.to_owned())
        })
        .await;
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

    fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
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

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let _ = writeln!(io::stderr(), "Prometheus' log:\n{}", self.log());
        }
        let _ = fs::remove_dir_all(&self.directory);
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
