//! A real Prometheus.

use std::future::ready;
use std::path::PathBuf;
use std::process::Command;

use emojivoto_testkit::{eventually, http};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::{Program, tool};

/// A running Prometheus. It ends with the test, and takes along what it stored.
pub struct Prometheus {
    _program: Program,
    address: String,
}

impl Prometheus {
    /// Starts it in a folder that has its `prometheus.yml`, and perhaps a past, in `data`.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(directory: PathBuf) -> Self {
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
        eventually("Prometheus answers", async || prometheus.try_query("vector(1)").await).await;
        prometheus
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The samples that an expression evaluates to now. `None` while it is starting, or if it objects to the expression.
    pub async fn try_query(&self, expression: &str) -> Option<Vec<Value>> {
        let expression = utf8_percent_encode(expression, NON_ALPHANUMERIC);
        let url = format!("http://{}/api/v1/query?query={expression}", self.address);
        let answer = http::send(::http::Request::get(&url), "").await.ok()?;
        (answer.status == 200)
            .then(|| answer.json()["data"]["result"].as_array().cloned())
            .flatten()
    }
}
