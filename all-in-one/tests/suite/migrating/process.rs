//! What a process can be told, and what it tells.

use std::time::{Duration, Instant};

use clap::{Args, Command};
use emojivoto_runtime::settings::Common;
use emojivoto_testkit::{
    Binary,
    collector::{Collector, Span},
    defaults, eventually, http, refuses, web_with,
};

use super::Rows;
use crate::{
    Suite,
    running::{EMOJIVOTO, Running, on_free_ports, rpc, value},
};

/// Whether a service takes these arguments.
fn takes<S: Args>(arguments: &[&str]) -> bool {
    let command = S::augment_args(Command::new("settings").no_binary_name(true));
    command.try_get_matches_from(arguments).is_ok()
}

pub(super) async fn settings(rows: &mut Rows) {
    rows.row("`FAILURE_RATE`");
    let counting = defaults::<emojivoto_voting_svc::Settings>();
    assert_eq!(counting.poll.failure_rate.to_string(), "1");
    rows.row("`GRPC_PORT`, `WEB_PORT`");
    assert_eq!(counting.grpc_port, 8080);
    rows.row("`EMOJISVC_HOST`, `VOTINGSVC_HOST`");
    for (emoji, taken) in [("emoji-svc.emojivoto:8080", true), ("dns:///emoji-svc:8080", false)] {
        let emoji = format!("--emojisvc-host={emoji}");
        let hosts = [&*emoji, "--votingsvc-host=voting-svc:8080"];
        assert_eq!(takes::<emojivoto_web::Settings>(&hosts), taken, "{emoji}");
    }
    rows.row("`WEB_HOST`");
    for (web, taken) in [
        ("web-svc.emojivoto:80", true),
        ("https://emojivoto.example", true),
        ("web-svc.emojivoto:80/path", false),
    ] {
        let web = format!("--web-host={web}");
        assert_eq!(takes::<emojivoto_vote_bot::Settings>(&[&web]), taken, "{web}");
    }
    rows.row("`REQUEST_RATE=0`");
    refuses(EMOJIVOTO, &[], "REQUEST_RATE", "0", "expected votes per second");
    assert!(takes::<emojivoto_vote_bot::VotingSettings>(&["--request-rate=0.5"]));
    rows.row("`PROM_PORT`");
    assert_eq!(defaults::<Common>().prom_port, 8801);
    rows.row("wrong values");
    refuses(EMOJIVOTO, &[], "FAILURE_RATE", "2", "expected a number from 0.0 to 1.0");
    rows.row("arguments");
    for arguments in [&["--failure-rate=2"][..], &["dist/index_bundle.js"]] {
        assert_eq!(Binary::new(EMOJIVOTO).args(arguments).output().status.code(), Some(2));
    }

    rows.row("`MESSAGE_OF_THE_DAY`");
    let suite = Suite::start().await;
    let web = web_with(suite.emoji.address(), suite.voting.address(), |settings| {
        settings.message_of_the_day = Some("<b>hi</b>".to_owned());
    });
    let page = http::get(&web.await.url("/")).await.body;
    assert!(page.contains("&#60;b&#62;hi") && !page.contains("<b>hi"), "{page}");

    rows.row("`ARTIFICIAL_DELAY`");
    let suite = Running::starting(on_free_ports().envs(&[
        ("ARTIFICIAL_DELAY", "500ms"),
        ("INDEX_BUNDLE", "dist/index_bundle.js"),
        ("OC_AGENT_HOST", "oc-collector.tracing:55678"),
        ("REQUEST_RATE", "50"),
        ("WEBPACK_DEV_SERVER", "http://localhost:8083"),
    ]));
    suite.ready().await;
    let start = Instant::now();
    assert_eq!(suite.vote(":doughnut:").await, 500);
    assert!(start.elapsed() >= Duration::from_millis(500), "{:?}", start.elapsed());
    rows.row("the bot's pace");
    let on_their_way =
        r#"http_client_active_requests{http_request_method="GET",url_template="/api/vote"}"#;
    eventually("votes of the bot side by side", || async {
        value(&suite.scrape().await, on_their_way).filter(|requests| *requests > 1.0)
    })
    .await;
    rows.row("`INDEX_BUNDLE`, `WEBPACK_DEV_SERVER`");
    assert!(!http::get(&suite.url("/")).await.body.contains("index_bundle"));
    rows.row("`OC_AGENT_HOST`");
    suite.run.signal("TERM");
    let (_, lines, _) = suite.end();
    let warning = lines.iter().find(|line| line.contains("OC_AGENT_HOST")).expect("a warning");
    assert!(warning.contains(" WARN ") && warning.contains("OTEL_EXPORTER_OTLP_ENDPOINT"));
}

pub(super) async fn metrics(rows: &mut Rows) {
    let suite = Running::without_bot();
    let metrics = suite.scrape().await;
    let names = |prefix: &str| metrics.lines().any(|line| line.starts_with(prefix));
    rows.row("who has metrics");
    assert!(metrics.contains("emojivoto.v1.EmojiService") && names("emojivoto_votes_total"));
    assert!(names("emojivoto_leaderboard_viewers"), "{metrics}");
    rows.row("series before the first vote");
    let [handled, joy] = ["VoteDoughnut", "VoteJoy"].map(rpc);
    let handled = |code| format!("grpc_server_handled_total{{{handled},grpc_code=\"{code}\"}}");
    assert_eq!(value(&metrics, &handled("OK")), Some(0.0));
    assert_eq!(value(&metrics, &handled("Unknown")), None);
    assert_eq!(value(&metrics, r#"emojivoto_votes_total{emoji=":joy:"}"#), Some(0.0));
    rows.row("`go_…`, `promhttp_…`");
    assert!(names("process_") && !names("go_") && !names("promhttp_"));

    rows.row("calls for a leaderboard");
    assert_eq!(suite.vote(":joy:").await, 200);
    let before = suite.scrape().await;
    assert_eq!(http::get(&suite.url("/api/leaderboard")).await.status, 200);
    let after = suite.scrape().await;
    let calls = |service: &str, method: &str| {
        let labels = rpc(method).replace("VotingService", service);
        let started = format!("grpc_client_started_total{{{labels}}}");
        value(&after, &started).expect("a count") - value(&before, &started).expect("a count")
    };
    let calls = [
        calls("VotingService", "Results"),
        calls("EmojiService", "ListAll"),
        calls("EmojiService", "FindByShortcode"),
    ];
    assert_eq!(calls.map(|calls| calls.to_string()), ["1", "1", "0"]);
    rows.row("buckets of `grpc_server_handling_seconds`");
    let buckets = after.lines().filter(|line| line.starts_with("grpc_server_handling_seconds_b"));
    let bounds = buckets
        .filter(|line| line.contains(&joy))
        .filter_map(|line| line.split("le=\"").nth(1)?.split('"').next());
    let bounds: Vec<_> = bounds.collect();
    assert_eq!(bounds, ["0.0001", "0.001", "0.005", "0.025", "0.1", "0.5", "2.5", "+Inf"]);
}

pub(super) async fn logs_and_traces(rows: &mut Rows) {
    let collector = Collector::start().await;
    let mut suite = Running::starting(on_free_ports().envs(&[
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.address().to_string()),
        ("REQUEST_RATE", "50"),
        ("RUST_LOG", "info,voting=debug"),
    ]));
    rows.row("web's line");
    assert!(suite.run.line(" web: GET /api/vote?choice=:").contains("ms"));
    rows.row("the bot's line");
    suite.run.line(" vote-bot: ✔ :");
    suite.run.line(" vote-bot: ✖ :doughnut: 500 ");
    rows.row("voting-svc's lines");
    suite.run.line(" WARN voting: Vote for [:doughnut:] failed ");
    suite.run.line(" DEBUG voting: Voted for [:");

    rows.row("headers of a trace");
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let vote = ::http::Request::get(suite.url("/api/vote?choice=:joy:"));
    let vote = vote.header("b3", format!("{trace}-b7ad6b7169203331-1"));
    assert_eq!(http::send(vote, "").await.expect("an answer").status, 200);
    rows.row("exported traces");
    let arrived = async |matches: &dyn Fn(&Span) -> bool| {
        eventually("a span", || async { collector.spans().into_iter().find(|span| matches(span)) })
            .await
    };
    arrived(&|span| span.service == "web" && span.trace_id() == trace).await;
    rows.row("names of spans");
    arrived(&|span| span.service == "web" && span.name == "GET /api/vote").await;
    arrived(&|span| span.service == "voting" && span.name == "emojivoto.v1.VotingService/VoteJoy")
        .await;
    rows.row("the bot's `User-Agent`");
    let agent = concat!("emojivoto-vote-bot/", env!("CARGO_PKG_VERSION"));
    arrived(&|span| span.attribute("user_agent.original") == Some(agent)).await;
    suite.run.signal("TERM");
    assert_eq!(suite.end().0, Some(0));
}
