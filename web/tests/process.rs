//! The binary, as a container starts it.

use std::{sync::Arc, time::Duration};

use emojivoto_testkit::{
    Binary, Holding, behaves, emoji, eventually, healthcheck, http, refuses, reports_as, requires,
    voting, voting_on, within,
};

const WEB: &str = env!("CARGO_BIN_EXE_emojivoto-web");

const BACKENDS: [(&str, &str); 2] = [
    ("EMOJISVC_HOST", "emoji-svc.emojivoto:8080"),
    ("VOTINGSVC_HOST", "voting-svc.emojivoto:8080"),
];

#[test]
fn it_has_a_help_a_version_and_no_patience_with_wrong_settings() {
    let settings = [
        "WEB_PORT",
        "EMOJISVC_HOST",
        "VOTINGSVC_HOST",
        "GRPC_LB_POLICY",
        "GRPC_TIMEOUT",
        "MESSAGE_OF_THE_DAY",
    ];
    behaves(WEB, "emojivoto-web", &BACKENDS, &settings);
    for host in ["http://emoji-svc:8080", "emoji-svc", "emoji-svc:http", ":8080"] {
        refuses(WEB, &BACKENDS, "EMOJISVC_HOST", host, "expected host:port without a scheme");
        refuses(WEB, &BACKENDS, "VOTINGSVC_HOST", host, "expected host:port without a scheme");
    }
    refuses(WEB, &BACKENDS, "GRPC_LB_POLICY", "round_robin", "");
    requires(WEB, &BACKENDS[..1], "VOTINGSVC_HOST");
    requires(WEB, &BACKENDS[1..], "EMOJISVC_HOST");
}

#[test]
fn several_addresses_are_refused_where_one_connection_is_made() {
    let free_ports = [("WEB_PORT", "0"), ("PROM_PORT", "0")];
    let web = Binary::new(WEB).envs(&BACKENDS).envs(&free_ports).env("VOTINGSVC_HOST", "a:1,b:2");
    let output = web.output();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("VOTINGSVC_HOST: ") && stderr.contains("GRPC_LB_POLICY=least_request"),
        "{stderr}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_how_many_replicas_are_connected() {
    let (emoji, (one, _)) = (emoji().await, voting(Duration::ZERO).await);
    let (other, _) = voting(Duration::ZERO).await;
    let mut run = Binary::new(WEB)
        .env("WEB_PORT", "0")
        .env("PROM_PORT", "0")
        // It has several addresses on many machines, one of which is where nobody listens.
        .env("EMOJISVC_HOST", format!("localhost:{}", emoji.address().port()))
        .env("VOTINGSVC_HOST", format!("{},{}", one.address(), other.address()))
        .env("GRPC_LB_POLICY", "least_request")
        .start();
    let metrics = format!("http://{}/metrics", run.address("PROM_PORT"));
    let counts = async |service: &str, count: u64| {
        let line = format!("emojivoto_upstream_replicas{{service=\"{service}\"}} {count}\n");
        let counted = || async { http::get(&metrics).await.body.contains(&line).then_some(()) };
        eventually(&line, counted).await;
    };
    counts("emoji-svc", 1).await;
    counts("voting-svc", 2).await;
    other.drained().await;
    counts("voting-svc", 1).await;
    let line = format!("web: voting-svc: connected replicas: 1 [{}]", one.address());
    run.line("web: voting-svc: connected replicas: 2 ");
    assert!(run.line(&line).contains(" INFO "));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_hides_faults_of_others_as_well_as_its_own() {
    let (emoji, (voting, _)) = (emoji().await, voting(Duration::ZERO).await);
    for (announce, fault) in [("true", "slow, doughnut"), ("false", "")] {
        let mut run = Binary::new(WEB)
            .env("WEB_PORT", "0")
            .env("PROM_PORT", "0")
            .env("EMOJISVC_HOST", emoji.address().to_string())
            .env("VOTINGSVC_HOST", voting.address().to_string())
            .env("FAULTS", "[[rule]]\nname = \"slow\"\nhttp = \"/api/vote\"\ndelay = \"1ms\"")
            .env("FAULTS_ANNOUNCE", announce)
            .start();
        let web = run.address("WEB_PORT");
        let vote = http::get(&format!("http://{web}/api/vote?choice=:doughnut:")).await;
        assert_eq!((vote.status.as_u16(), vote.header("x-emojivoto-fault")), (500, fault));
    }
}

/// As in the original's image of web, from which manifests of others start the bot.
#[test]
fn by_the_name_of_the_bot_it_is_the_bot() {
    let name = "emojivoto-vote-bot";
    let link = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_file(&link); // of an earlier run
    std::os::unix::fs::symlink(WEB, &link).expect("a link");
    let link = link.to_str().expect("text");
    behaves(link, name, &[("WEB_HOST", "web-svc:80")], &["WEB_HOST", "REQUEST_RATE", "TTL"]);
    // A container's `command` where the image has an entry point.
    let told = Binary::new(WEB).args(&[name, "--version"]).output();
    let version = format!("{name} {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8_lossy(&told.stdout), version);
    let mut bot =
        Binary::new(WEB).args(&[name]).env("WEB_HOST", "127.0.0.1:1").env("PROM_PORT", "0");
    bot = bot.env("TTL", "1");
    bot.start().line("vote-bot: voting at http://127.0.0.1:1");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_logs_requests_is_ready_with_its_backends_and_drains_on_sigterm() {
    let (emoji, (voting, _)) = (emoji().await, voting(Duration::ZERO).await);
    let mut run = Binary::new(WEB)
        .env("WEB_PORT", "0")
        .env("PROM_PORT", "0")
        .env("EMOJISVC_HOST", emoji.address().to_string())
        .env("VOTINGSVC_HOST", voting.address().to_string())
        // Of v11: accepted and ignored.
        .env("INDEX_BUNDLE", "dist/index_bundle.js")
        .env("WEBPACK_DEV_SERVER", "http://localhost:8083")
        .start();
    let (admin, web) = (run.address("PROM_PORT"), run.address("WEB_PORT"));
    eventually("ready", || async { (healthcheck(WEB, admin).0 == Some(0)).then_some(()) }).await;
    let url = format!("http://{web}/api/vote?choice=:doughnut:");
    assert_eq!(http::get(&url).await.status, 500);
    // What a client is not told is in the log.
    let line = run.line("GET /api/vote?choice=:doughnut: 500 ");
    assert!(line.contains("call to voting-svc failed") && line.contains("ERROR"), "{line}");
    // HTTP/2 sends the target with scheme and host, which is not what is looked for.
    let form = "application/x-www-form-urlencoded";
    assert_eq!(http::post_h2(&url, form, b"").await.status, 500);
    run.line("POST /api/vote?choice=:doughnut: 500 ");
    run.signal("TERM");
    let (code, lines, stderr) = run.end();
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_live_but_not_ready_without_its_backends_and_can_be_stopped() {
    let mut run = Binary::new(WEB)
        .env("WEB_PORT", "0")
        .env("PROM_PORT", "0")
        .env("EMOJISVC_HOST", "127.0.0.1:1")
        .env("VOTINGSVC_HOST", "127.0.0.1:1")
        .start();
    let admin = run.address("PROM_PORT");
    run.address("WEB_PORT");
    assert_eq!(http::get(&format!("http://{admin}/live")).await.status, 200);
    assert_eq!(healthcheck(WEB, admin), (Some(1), "not ready: web\n".to_owned()));
    run.signal("TERM");
    assert_eq!(run.end().0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_a_backend_that_is_well_are_not_given_up_because_the_other_is_away() {
    let emoji = emoji().await;
    let mut run = Binary::new(WEB)
        .env("WEB_PORT", "0")
        .env("PROM_PORT", "0")
        .env("EMOJISVC_HOST", emoji.address().to_string())
        .env("VOTINGSVC_HOST", "127.0.0.1:1")
        .start();
    let metrics = format!("http://{}/metrics", run.address("PROM_PORT"));
    let handled = |code: &str| {
        let rpc =
            r#"grpc_type="unary",grpc_service="emojivoto.v1.EmojiService",grpc_method="ListAll""#;
        format!("grpc_client_handled_total{{{rpc},grpc_code=\"{code}\"}} ")
    };
    // It asks both, again and again, until it is ready.
    let metrics = eventually("lists of the ballot", || async {
        let metrics = http::get(&metrics).await.body;
        let lists = metrics.lines().find_map(|line| line.strip_prefix(&handled("OK")))?;
        lists.parse::<u64>().is_ok_and(|lists| lists >= 3).then_some(metrics)
    })
    .await;
    assert!(!metrics.contains(&handled("Canceled")), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_in_flight_at_sigterm_is_answered_and_counted_once() {
    let store = Arc::new(Holding::default());
    let (emoji, voting) = (emoji().await, voting_on(Arc::clone(&store)).await);
    let mut run = Binary::new(WEB)
        .env("WEB_PORT", "0")
        .env("PROM_PORT", "0")
        .env("EMOJISVC_HOST", emoji.address().to_string())
        .env("VOTINGSVC_HOST", voting.address().to_string())
        .start();
    let url = format!("http://{}/api/vote?choice=:joy:", run.address("WEB_PORT"));
    let vote = tokio::spawn(async move { http::get(&url).await });
    within("a vote at the store", store.arrived.notified()).await;
    run.signal("TERM");
    run.line("draining");
    store.go_on.notify_one();
    assert_eq!(vote.await.expect("no panic").status, 200);
    let (code, lines, _) = run.end();
    assert_eq!(code, Some(0));
    assert!(lines.iter().any(|line| line.ends_with("drained")), "{lines:#?}");
    assert_eq!(store.votes().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_knows_it_by_the_name_that_others_rely_on() {
    reports_as(WEB, &[("EMOJISVC_HOST", "127.0.0.1:1"), ("VOTINGSVC_HOST", "127.0.0.1:1")], "web")
        .await;
}
