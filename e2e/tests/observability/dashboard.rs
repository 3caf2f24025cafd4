//! Dashboard and provisioning as files: whether Grafana can show all of it, and what it asks Prometheus for.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use emojivoto_e2e::{root, run, tool};
use serde_json::{Value, json};

const FILE: &str = "observability/grafana/dashboards/emojivoto.json";

/// The expressions of every panel, with Grafana's variables replaced by what it would put there, and
/// the titles of the panels that they belong to.
pub(super) fn expressions() -> Vec<(String, String)> {
    let panels = panels();
    let targets = panels.iter().flat_map(|panel| {
        let targets = panel["targets"].as_array().into_iter().flatten();
        targets.map(|target| (text(panel, "title"), text(target, "expr")))
    });
    targets
        .map(|(title, expr)| {
            let expr = expr.replace("$__rate_interval", "20s").replace("$__range", "15m");
            assert!(!expr.contains('$'), "{title}: an unknown variable in {expr}");
            (title, expr)
        })
        .collect()
}

#[test]
fn every_panel_says_what_it_shows_and_has_its_own_place() {
    let panels = panels();
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in &panels {
        let title = text(panel, "title");
        assert!(ids.insert(panel["id"].as_u64()), "{title}: its id is another panel's, too");
        let place = |key: &str| panel["gridPos"][key].as_u64().unwrap_or_else(|| panic!("{title}"));
        assert!(place("x") + place("w") <= 24, "{title}: wider than the page");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(taken.insert((x, y)), "{title}: lies over another panel");
            }
        }
        if panel["type"] == "row" {
            continue;
        }
        assert!(text(panel, "description").ends_with('.'), "{title}: a sentence about it");
        text(&panel["fieldConfig"]["defaults"], "unit");
        let source = json!({"type": "prometheus", "uid": "${datasource}"});
        assert_eq!(panel["datasource"], source, "{title}");
        let targets = panel["targets"].as_array().unwrap_or_else(|| panic!("{title}"));
        assert!(!targets.is_empty(), "{title}: asks for nothing");
        let references: BTreeSet<_> = targets.iter().map(|t| t["refId"].as_str()).collect();
        assert_eq!(references.len(), targets.len(), "{title}: a refId is there twice");
        assert!(targets.iter().all(|target| target["datasource"] == source), "{title}");
    }
}

#[test]
fn every_duration_shows_exemplars() {
    let durations: Vec<_> = panels()
        .into_iter()
        .filter(|panel| panel["type"] == "timeseries" && panel.to_string().contains("_bucket"))
        .collect();
    assert!(durations.len() >= 4, "{durations:?}");
    for panel in durations {
        assert_eq!(panel["targets"][0]["exemplar"], true, "{}", panel["title"]);
    }
}

#[test]
fn grafana_knows_every_field() {
    run(Command::new(tool("python3"))
        .arg(root().join("e2e/checks/schemas.py"))
        .arg("dashboard")
        .arg(root().join(FILE)));
}

#[test]
fn what_is_provisioned_fits_together() {
    let sources = yaml("observability/grafana/provisioning/datasources/datasources.yml");
    let source = |kind: &str| {
        let sources = sources["datasources"].as_array().into_iter().flatten();
        let mut found = sources.filter(|source| source["type"] == kind);
        found.next().unwrap_or_else(|| panic!("no data source for {kind}"))
    };
    let variable = &dashboard()["templating"]["list"][0];
    assert_eq!(variable["name"], "datasource");
    assert_eq!(variable["query"], source("prometheus")["type"]);
    // Which Grafana shows by this name only if both are it. Another's may have any other uid.
    assert_eq!(variable["current"], json!({"text": "default", "value": "default"}));
    assert_eq!(source("prometheus")["isDefault"], true);
    let trace = &source("prometheus")["jsonData"]["exemplarTraceIdDestinations"][0];
    assert_eq!(
        (&trace["name"], &trace["datasourceUid"]),
        (&json!("trace_id"), &source("jaeger")["uid"])
    );
    let metrics = &source("jaeger")["jsonData"]["tracesToMetrics"]["datasourceUid"];
    assert_eq!(metrics, &source("prometheus")["uid"]);
    let interval = &yaml("observability/prometheus/prometheus.yml")["global"]["scrape_interval"];
    assert_eq!(&source("prometheus")["jsonData"]["timeInterval"], interval);

    let compose = yaml("observability/compose.yml");
    let grafana = compose["services"]["grafana"]["volumes"].to_string();
    let provider = yaml("observability/grafana/provisioning/dashboards/dashboards.yml");
    let path = text(&provider["providers"][0]["options"], "path");
    assert!(grafana.contains(&format!("observability/grafana/dashboards:{path}:ro")), "{grafana}");
    let ini = read("observability/grafana/grafana.ini");
    assert!(
        ini.contains(&format!("default_home_dashboard_path = {path}/emojivoto.json\n")),
        "{ini}"
    );
    for kind in ["prometheus", "jaeger"] {
        let url = text(source(kind), "url");
        let (host, port) = url.trim_start_matches("http://").split_once(':').expect("host:port");
        let service = &compose["services"][host];
        assert!(service["image"].is_string(), "{url}: no such service");
        assert!(service["ports"].to_string().contains(&format!(":{port}\"")), "{url}: {service}");
    }
}

fn dashboard() -> Value {
    serde_json::from_str(&read(FILE)).unwrap_or_else(|e| panic!("{FILE}: {e}"))
}

fn panels() -> Vec<Value> {
    let panels = dashboard()["panels"].as_array().expect("panels").clone();
    assert!(panels.len() > 20, "only {} panels", panels.len());
    panels
}

fn text(value: &Value, key: &str) -> String {
    let text = value[key].as_str().filter(|text| !text.is_empty());
    text.unwrap_or_else(|| panic!("no {key} in {value}")).to_owned()
}

fn yaml(file: &str) -> Value {
    serde_saphyr::from_str(&read(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}
