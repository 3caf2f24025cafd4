//! The real `docker-compose.yml`, by Compose v2 on a real engine.
//!
//! The images are the `Dockerfile`'s own final stages around binaries that are compiled here, outside of a
//! container: its build stage needs a base image from a registry, which a test cannot count on.

use std::time::Duration;

use emojivoto_e2e::{Response, eventually, http_get};
use serde_json::Value;
use suite::{REVISION, SERVICES, Suite};

mod images;
mod stack;
mod suite;

const WEB: &str = "localhost:8081";

#[test]
fn the_suite_runs_votes_recovers_and_stops() {
    images::build();
    let suite = Suite::up();

    for service in SERVICES {
        becomes_healthy(&suite, service);
        is_locked_down(&suite, service);
        says_what_it_is_built_from(&suite, service);
    }

    assert_eq!(get("/").status, 200);
    assert_eq!(ballot().len(), 100);
    votes_count();
    bot_votes();

    suite.compose(&["restart", "voting-svc"]);
    eventually("votes after a restart of voting-svc", Duration::from_secs(10), || {
        match get("/api/vote?choice=:joy:") {
            Response { status: 200, .. } => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    bot_votes();
    becomes_healthy(&suite, "voting-svc");

    for service in SERVICES {
        assert_eq!(suite.inspect(service)["RestartCount"], 0, "{service} crashed");
    }
    suite.compose(&["stop"]);
    for service in SERVICES {
        assert_eq!(suite.inspect(service)["State"]["ExitCode"], 0, "{service} did not end well");
        has_tried_no_export(&suite, service);
    }
}

fn becomes_healthy(suite: &Suite, service: &str) {
    eventually(&format!("{service} is healthy"), Duration::from_mins(1), || {
        match suite.inspect(service)["State"]["Health"].take() {
            health if health["Status"] == "healthy" => Ok(()),
            health => Err(health.to_string()),
        }
    });
}

fn is_locked_down(suite: &Suite, service: &str) {
    let host = suite.inspect(service)["HostConfig"].take();
    assert_eq!(host["ReadonlyRootfs"], true, "{service}");
    assert_eq!(host["CapDrop"], serde_json::json!(["ALL"]), "{service}");
    assert_eq!(host["SecurityOpt"], serde_json::json!(["no-new-privileges:true"]), "{service}");
    assert_eq!(host["RestartPolicy"]["Name"], "unless-stopped", "{service}");
    let users = suite.users_of_processes(service);
    assert!(!users.is_empty(), "{service} has processes");
    for user in users {
        assert_eq!(user, "65532", "{service}");
    }
}

fn says_what_it_is_built_from(suite: &Suite, service: &str) {
    let admin = format!("{}:8801", suite.address(service));
    let metrics = http_get(&admin, "/metrics").unwrap_or_else(|e| panic!("{service}: {e}")).body;
    let build = metrics.lines().find(|line| line.starts_with("emojivoto_build_info{"));
    assert!(build.is_some_and(|line| line.contains(REVISION)), "{service}: {build:?}");
}

/// Of a process that has ended, and with it whatever it would have exported: it says where to, and what is lost.
fn has_tried_no_export(suite: &Suite, service: &str) {
    let log = suite.compose(&["logs", "--no-color", service]);
    assert!(log.contains("INFO"), "{service} has a log: {log}");
    let words = ["export", "spans"];
    let tried: Vec<_> =
        log.lines().filter(|line| words.iter().any(|word| line.contains(word))).collect();
    assert!(tried.is_empty(), "{service}: {tried:#?}");
}

/// One emoji wins a vote, the doughnut never does.
fn votes_count() {
    let before = votes(":joy:");
    assert_eq!(get("/api/vote?choice=:joy:").status, 200);
    assert!(votes(":joy:") > before);

    let doughnut = get("/api/vote?choice=:doughnut:");
    assert_eq!(doughnut.status, 500, "{doughnut:?}");
    assert_eq!(votes(":doughnut:"), 0);
}

/// The leaderboard moves while nobody but the bot votes.
fn bot_votes() {
    let total = || -> u64 { leaderboard().iter().map(|(_, votes)| votes).sum() };
    let before = total();
    eventually("the bot's votes are on the leaderboard", Duration::from_secs(30), || {
        if total() > before { Ok(()) } else { Err(format!("still {before} votes")) }
    });
}

fn votes(shortcode: &str) -> u64 {
    leaderboard().into_iter().find(|(entry, _)| entry == shortcode).map_or(0, |(_, votes)| votes)
}

/// Shortcodes and votes.
fn leaderboard() -> Vec<(String, u64)> {
    let entries = json("/api/leaderboard");
    let entries = entries.as_array().expect("the leaderboard is a list");
    let field = |entry: &Value, name: &str| entry[name].as_str().map(str::to_owned);
    let entry = |entry| Some((field(entry, "shortcode")?, field(entry, "votes")?.parse().ok()?));
    entries
        .iter()
        .map(|e| entry(e).unwrap_or_else(|| panic!("not an entry of a leaderboard: {e}")))
        .collect()
}

fn ballot() -> Vec<Value> {
    json("/api/list").as_array().expect("the ballot is a list").clone()
}

fn json(target: &str) -> Value {
    let Response { status, body } = get(target);
    assert_eq!(status, 200, "{target}: {body}");
    serde_json::from_str(&body).unwrap_or_else(|e| panic!("{target}: {e}: {body}"))
}

fn get(target: &str) -> Response {
    http_get(WEB, target).unwrap_or_else(|e| panic!("{WEB}{target}: {e}"))
}
