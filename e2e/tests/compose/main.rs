//! The real `docker-compose.yml`, by Compose v2 on a real engine.
//!
//! The images are those of a release, whose binaries are compiled here, outside of a container: the `Dockerfile`'s build stage
//! needs a base image from a registry, which a test cannot count on.

use emojivoto_e2e::release::{REVISION, SERVICES};
use emojivoto_testkit::{
    eventually,
    http::{self, Answer},
};
use serde_json::Value;
use suite::Suite;

mod config;
mod images;
mod scaled;
mod stack;
mod suite;

const WEB: &str = "http://localhost:8081";

#[tokio::test]
async fn the_suite_runs_votes_recovers_and_stops() {
    images::sources_are_let_through();
    images::load_all();
    images::are_the_same_by_the_engines_own_builder();
    let suite = Suite::up();

    for service in SERVICES {
        becomes_healthy(&suite, service).await;
        is_locked_down(&suite, service);
        says_what_it_is_built_from(&suite, service).await;
    }
    can_keep_votes(&suite);

    assert_eq!(get("/").await.status, 200);
    assert_eq!(ballot().await.len(), 100);
    votes_count().await;
    shows_itself(&suite).await;
    bot_votes().await;

    let kept = leaderboard().await;
    suite.compose(&["restart", "voting-svc"]);
    eventually("votes after a restart of voting-svc", async || {
        (get("/api/vote?choice=:joy:").await.status == 200).then_some(())
    })
    .await;
    for (emoji, votes_then) in kept {
        assert!(votes(&emoji).await >= votes_then + u64::from(emoji == ":joy:"), "{emoji}");
    }
    bot_votes().await;
    becomes_healthy(&suite, "voting-svc").await;

    for service in SERVICES {
        assert_eq!(suite.inspect(service)["RestartCount"], 0, "{service} crashed");
    }
    suite.compose(&["stop"]);
    for service in SERVICES {
        assert_eq!(suite.inspect(service)["State"]["ExitCode"], 0, "{service} did not end well");
        has_tried_no_export(&suite, service);
    }
}

async fn becomes_healthy(suite: &Suite, service: &str) {
    eventually(&format!("{service} is healthy"), async || {
        (suite.inspect(service)["State"]["Health"]["Status"] == "healthy").then_some(())
    })
    .await;
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

/// The volume became the user's that voting-svc runs as.
fn can_keep_votes(suite: &Suite) {
    let container = suite.inspect("voting-svc");
    let mounts = container["Mounts"].as_array().expect("mounts");
    let [volume] = &mounts[..] else { panic!("{mounts:?}") };
    assert_eq!(volume["Type"], "volume");
    assert_eq!(volume["Destination"], "/data");
    assert_eq!(volume["RW"], true);
    assert_eq!(suite.owner("voting-svc", "/data"), "65532/65532");
}

async fn says_what_it_is_built_from(suite: &Suite, service: &str) {
    let metrics = http::get(&format!("http://{}:8801/metrics", suite.address(service))).await.body;
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

/// To this machine, web does, which calls the others.
async fn shows_itself(suite: &Suite) {
    let ports = suite.inspect("web")["NetworkSettings"]["Ports"]["8801/tcp"].take();
    assert_eq!(ports[0]["HostIp"], "127.0.0.1", "{ports}");
    let page = http::get("http://localhost:8801/").await.body;
    for text in ["VotingService", "VoteDoughnut", "not in this process"] {
        assert!(page.contains(text), "{text} in {page}");
    }
}

/// One emoji wins a vote, the doughnut never does.
async fn votes_count() {
    let before = votes(":joy:").await;
    assert_eq!(get("/api/vote?choice=:joy:").await.status, 200);
    assert!(votes(":joy:").await > before);

    let doughnut = get("/api/vote?choice=:doughnut:").await;
    assert_eq!(doughnut.status, 500, "{doughnut:?}");
    assert_eq!(votes(":doughnut:").await, 0);
}

/// The leaderboard moves while nobody but the bot votes.
async fn bot_votes() {
    let total = async || -> u64 { leaderboard().await.iter().map(|(_, votes)| votes).sum() };
    let before = total().await;
    eventually("the bot's votes are on the leaderboard", async || {
        (total().await > before).then_some(())
    })
    .await;
}

async fn votes(shortcode: &str) -> u64 {
    let leaderboard = leaderboard().await;
    leaderboard.into_iter().find(|(entry, _)| entry == shortcode).map_or(0, |(_, votes)| votes)
}

/// Shortcodes and votes.
async fn leaderboard() -> Vec<(String, u64)> {
    let entries = json("/api/leaderboard").await;
    let entries = entries.as_array().expect("the leaderboard is a list");
    let field = |entry: &Value, name: &str| entry[name].as_str().map(str::to_owned);
    let entry = |entry| Some((field(entry, "shortcode")?, field(entry, "votes")?.parse().ok()?));
    entries
        .iter()
        .map(|e| entry(e).unwrap_or_else(|| panic!("not an entry of a leaderboard: {e}")))
        .collect()
}

async fn ballot() -> Vec<Value> {
    json("/api/list").await.as_array().expect("the ballot is a list").clone()
}

async fn json(target: &str) -> Value {
    let answer = get(target).await;
    assert_eq!(answer.status, 200, "{target}: {answer:?}");
    answer.json()
}

async fn get(target: &str) -> Answer {
    http::get(&format!("{WEB}{target}")).await
}
