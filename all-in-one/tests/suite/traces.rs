//! What a collector gets to see of a vote: one trace, from the bot to the service that counts.
//!
//! The collector works on while a test waits for the end of the suite, hence `multi_thread`.

use emojivoto_testkit::{
    Binary,
    collector::{Collector, Span, SpanKind, StatusCode},
    eventually, http, within,
};

use tokio::{io::AsyncReadExt as _, net::TcpListener};

use crate::running::{Running, on_free_ports, value};

/// Service, kind and name of a span, and the place of its parent among those before it.
type Step = (&'static str, SpanKind, &'static str, Option<usize>);

/// Where a vote passes, in the order that it does.
const WAY: [Step; 6] = [
    ("vote-bot", SpanKind::Client, "GET /api/vote", None),
    ("web", SpanKind::Server, "GET /api/vote", Some(0)),
    ("web", SpanKind::Client, "emojivoto.v1.EmojiService/FindByShortcode", Some(1)),
    ("emoji", SpanKind::Server, "emojivoto.v1.EmojiService/FindByShortcode", Some(2)),
    ("web", SpanKind::Client, "emojivoto.v1.VotingService/", Some(1)),
    ("voting", SpanKind::Server, "emojivoto.v1.VotingService/", Some(4)),
];

/// The spans of a whole vote in the order of [`WAY`], if this trace is one: each at its place, and
/// none besides.
fn way<'a>(spans: &'a [Span], trace: &str, steps: &[Step]) -> Option<Vec<&'a Span>> {
    let trace: Vec<_> = spans.iter().filter(|span| span.trace_id() == trace).collect();
    let mut found: Vec<&Span> = Vec::new();
    for (service, kind, name, parent) in steps {
        let parent = parent.map(|parent| found[parent].span_id());
        found.push(trace.iter().find(|span| {
            (span.service.as_str(), span.kind()) == (*service, *kind)
                && span.name.starts_with(name)
                && parent.as_ref().is_none_or(|parent| span.parent_id().as_ref() == Some(parent))
        })?);
    }
    (trace.len() == steps.len()).then_some(found)
}

/// Waits for the whole trace of a vote that web answered with a status.
async fn whole_vote(collector: &Collector, status: &str) -> Vec<Span> {
    eventually("a whole vote", || async {
        let spans = collector.spans();
        spans
            .iter()
            .filter(|span| span.service == "vote-bot" && span.name == "GET /api/vote")
            .filter(|span| span.attribute("http.response.status_code") == Some(status))
            .find_map(|span| way(&spans, &span.trace_id(), &WAY))
            .map(|way| way.into_iter().cloned().collect())
    })
    .await
}

fn traced(collector: &Collector) -> Binary {
    // Without a scheme, as many write it.
    let endpoint = collector.address().to_string();
    on_free_ports()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .env("OTEL_BSP_SCHEDULE_DELAY", "100")
}

/// An attribute of each of the spans, `-` where it has none.
fn each<'a>(spans: &'a [Span], attribute: &str) -> Vec<&'a str> {
    spans.iter().map(|span| span.attribute(attribute).unwrap_or("-")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_is_one_trace_over_grpc_and_over_http() {
    for protocol in ["grpc", "http/protobuf"] {
        let collector = Collector::start().await;
        let suite = Running::start(
            traced(&collector)
                .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", collector.address()))
                .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
                .env("REQUEST_RATE", "20"),
        );
        let good = whole_vote(&collector, "200").await;
        assert_eq!(good[0].status_code(), StatusCode::Unset);
        assert_eq!((good[0].events().len(), good[0].parent_id()), (0, None));
        is_counted(&good[1..]);
        assert_eq!(each(&good, "http.request.method"), ["GET", "GET", "-", "-", "-", "-"]);
        let status = ["200", "200", "-", "-", "-", "-"];
        assert_eq!(each(&good, "http.response.status_code"), status);
        assert_eq!(each(&good, "http.route"), ["-", "/api/vote", "-", "-", "-", "-"]);
        assert_eq!(each(&good, "url.template"), ["/api/vote", "-", "-", "-", "-", "-"]);
        assert_eq!(each(&good, "url.path")[1], "/api/vote");
        assert_eq!(each(&good, "url.scheme")[1], "http");
        assert!(each(&good, "url.query")[1].starts_with("choice=:"));
        assert!(each(&good, "url.full")[0].contains("/api/vote?choice=:"));
        assert!(each(&good, "user_agent.original")[1].starts_with("emojivoto-vote-bot/"));
        assert_eq!(each(&good, "network.protocol.version")[1], "1.1");
        assert_eq!(each(&good, "rpc.system.name"), ["-", "-", "grpc", "grpc", "grpc", "grpc"]);
        let (web, voting) = (suite.web.port().to_string(), suite.voting.port().to_string());
        let ports = each(&good, "server.port");
        assert_eq!((ports[0], ports[1], ports[4], ports[5]), (&*web, &*web, &*voting, &*voting));
        assert_eq!(each(&good, "server.address"), ["127.0.0.1"; 6]);
        for span in &good[2..] {
            assert_eq!(span.attribute("rpc.method"), Some(&*span.name));
        }

        let doughnut = whole_vote(&collector, "500").await;
        assert_eq!(doughnut[0].status_code(), StatusCode::Error);
        assert_eq!(doughnut[0].attribute("error.type"), Some("500"));
        assert_eq!(doughnut[0].events().len(), 0);
        is_the_doughnut(&doughnut[1..]);
    }
}

/// What is to be seen of a vote that counts, from web on: nothing that stands out.
fn is_counted(spans: &[Span]) {
    let unset = |span: &Span| span.status_code() == StatusCode::Unset;
    assert!(spans.iter().all(|span| unset(span) && span.events().is_empty()), "{spans:#?}");
    assert_eq!(each(spans, "error.type"), ["-"; 5]);
    assert_eq!(each(spans, "http.response.status_code")[0], "200");
    assert_eq!(each(spans, "rpc.response.status_code"), ["-", "OK", "OK", "OK", "OK"]);
}

/// What is to be seen of the vote that fails, from web on.
fn is_the_doughnut(spans: &[Span]) {
    let red: Vec<_> = spans.iter().map(|span| span.status_code() == StatusCode::Error).collect();
    assert_eq!(red, [true, false, false, true, true], "{spans:#?}");
    assert!(spans[4].name.ends_with("/VoteDoughnut"));
    assert_eq!(each(spans, "error.type"), ["500", "-", "-", "UNKNOWN", "UNKNOWN"]);
    assert_eq!(each(spans, "http.response.status_code")[0], "500");
    assert_eq!(each(spans, "rpc.response.status_code"), ["-", "OK", "OK", "UNKNOWN", "UNKNOWN"]);
    // Recorded once, where it arises.
    let events: Vec<_> = spans.iter().map(|span| span.events().len()).collect();
    assert_eq!(events, [0, 0, 0, 0, 1]);
    let (name, attributes) = spans[4].events().remove(0);
    let message = attributes.attribute("exception.message");
    assert_eq!((name, message), ("exception", Some("on purpose, by the fault doughnut")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_late_is_red_and_says_why() {
    let collector = Collector::start().await;
    let slow = traced(&collector).envs(&[("NO_BOT", "true"), ("ARTIFICIAL_DELAY", "1h")]);
    let suite = Running::start(slow);
    let vote = format!("http://{}/emojivoto.v1.VotingService/VoteJoy", suite.voting);
    let vote = ::http::Request::post(vote).header("content-type", "application/grpc");
    http::send_h2(vote.header("grpc-timeout", "50m"), &[0; 5]).await;
    let late = eventually("the span of the call", || async {
        collector.spans().into_iter().find(|span| span.name.ends_with("/VoteJoy"))
    })
    .await;
    assert_eq!(late.status_code(), StatusCode::Error);
    assert_eq!(late.attribute("error.type"), Some("DEADLINE_EXCEEDED"));
    let (name, attributes) = late.events().remove(0);
    let message = attributes.attribute("exception.message");
    assert_eq!(message, Some("on purpose, by the fault artificial-delay"));
    assert_eq!(name, "exception");
    assert_eq!(late.attribute("emojivoto.fault"), Some("artificial-delay"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_is_named_in_the_span_of_who_has_it() {
    let collector = Collector::start().await;
    let rules = "[[rule]]\nname = \"teapot\"\nhttp = \"/api/list\"\nstatus = 418\n\
                 [[rule]]\nname = \"cut\"\nhttp = \"/\"\ngrpc = \"VoteJoy\"\nreset = true\n\
                 [[rule]]\nname = \"half\"\nhttp = \"/leaderboard\"\nstall = true\n";
    let suite = Running::start(traced(&collector).envs(&[("NO_BOT", "true"), ("FAULTS", rules)]));
    let get = async |path: &str, enough: &[u8]| {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let is_enough = |read: &[u8]| read.starts_with(enough);
        http::raw(suite.web, request.as_bytes(), is_enough).await;
    };
    get("/api/list", b"HTTP/1.1 418").await;
    get("/", b"HTTP/1.1").await;
    get("/leaderboard", b"HTTP/1.1 200").await;
    assert_eq!(suite.vote(":joy:").await, 503);
    let span = async |service: &str, name: &str| {
        eventually("a span", || async {
            let spans = collector.spans();
            let is_it = |span: &Span| {
                span.service == service && span.name == name && span.kind() == SpanKind::Server
            };
            spans.into_iter().find(is_it)
        })
        .await
    };
    let vote = "emojivoto.v1.VotingService/VoteJoy";
    for (service, name, fault, error) in [
        ("web", "GET /api/list", "teapot", None),
        ("web", "GET /", "cut", Some("reset")),
        ("web", "GET /leaderboard", "half", Some("stall")),
        ("voting", vote, "cut", Some("INTERNAL")),
    ] {
        let span = span(service, name).await;
        let told = ["emojivoto.fault", "error.type"].map(|name| span.attribute(name));
        assert_eq!(told, [Some(fault), error], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_that_comes_in_goes_on() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";
    let collector = Collector::start().await;
    let suite = Running::start(traced(&collector).env("NO_BOT", "true"));
    let w3c = vec![("traceparent", format!("00-{TRACE}-{SPAN}-01"))];
    let single = vec![("b3", format!("{TRACE}-{SPAN}-1"))];
    let multi = vec![
        ("x-b3-traceid", TRACE.to_owned()),
        ("x-b3-spanid", SPAN.to_owned()),
        ("x-b3-sampled", "1".to_owned()),
    ];
    let mut votes = Vec::new();
    for headers in [w3c, single, multi] {
        votes.push((headers.clone(), ":joy:", 200));
        votes.push((headers, ":doughnut:", 500));
    }
    for (number, (headers, choice, status)) in (0..).zip(votes) {
        // A trace of its own each.
        let trace = format!("{number:02}{}", &TRACE[2..]);
        let mut vote = ::http::Request::get(suite.url(&format!("/api/vote?choice={choice}")));
        for (name, value) in headers {
            vote = vote.header(name, value.replace(TRACE, &trace));
        }
        assert_eq!(http::send(vote, "").await.expect("an answer").status, status);
        let below: Vec<_> = WAY[1..]
            .iter()
            .map(|(service, kind, name, parent)| {
                (*service, *kind, *name, parent.and_then(|parent| parent.checked_sub(1)))
            })
            .collect();
        let spans: Vec<_> = eventually("the trace", || async {
            let spans = collector.spans();
            way(&spans, &trace, &below).map(|way| way.into_iter().cloned().collect())
        })
        .await;
        assert_eq!(spans[0].parent_id().as_deref(), Some(SPAN));
        if status == 200 { is_counted(&spans) } else { is_the_doughnut(&spans) }
    }

    // Whoever began the trace did not want it to be kept.
    let trace = TRACE.replace('0', "1");
    let unsampled = ::http::Request::get(suite.url("/api/vote?choice=:joy:"))
        .header("traceparent", format!("00-{trace}-{SPAN}-00"));
    http::send(unsampled, "").await.expect("an answer");
    suite.run.signal("TERM");
    let (code, lines, _) = suite.end();
    assert_eq!(code, Some(0), "{lines:#?}");
    let spans = collector.spans();
    assert_eq!(spans.iter().filter(|span| span.trace_id() == trace).count(), 0);
    assert_eq!(spans.iter().filter(|span| span.name == "GET /api/vote").count(), 6);
}

/// Tokens have no business in tables that all requests of a connection share.
#[tokio::test(flavor = "multi_thread")]
async fn headers_for_the_collector_are_never_indexed() {
    // `x-token` as HPACK writes a new name (RFC 7541, 6.2.3 and appendix B), never to be indexed.
    const NEVER_INDEXED: &[u8] = &[0x10, 0x86, 0xf2, 0xb2, 0x4f, 0xd4, 0xb5, 0x7f];
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let suite = on_free_ports().envs(&[
        ("NO_BOT", "true"),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &address),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-token=open%20sesame"),
    ]);
    let suite = Running::start(suite);
    assert_eq!(suite.vote(":joy:").await, 200);
    let request = async {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut sent = Vec::new();
        while !sent.windows(NEVER_INDEXED.len()).any(|bytes| bytes == NEVER_INDEXED) {
            let length = stream.read_buf(&mut sent).await.expect("an open connection");
            assert!(length > 0, "no such header in {}", sent.escape_ascii());
        }
    };
    within("a token that is never indexed", request).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_of_the_drain_arrive() {
    let collector = Collector::start().await;
    let held = traced(&collector).env("NO_BOT", "true").env("ARTIFICIAL_DELAY", "500ms");
    // Not before the end.
    let suite = Running::start(held.env("OTEL_BSP_SCHEDULE_DELAY", "3600000"));
    let url = suite.url("/api/vote?choice=:joy:");
    let vote = tokio::spawn(async move { http::get(&url).await.status });
    suite.rpc_started("VoteJoy").await;
    suite.run.signal("TERM");
    assert_eq!(vote.await.expect("no panic"), 200);
    let (code, lines, _) = suite.end();
    assert_eq!(code, Some(0), "{lines:#?}");
    let spans = collector.spans();
    let vote = spans.iter().find(|span| span.name == "GET /api/vote").expect("the vote");
    assert_eq!(spans.iter().filter(|span| span.trace_id() == vote.trace_id()).count(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_collector_nothing_fails_and_what_is_lost_is_counted() {
    // Nobody listens on the port of tcpmux any more, and no test can get it.
    let endpoint = on_free_ports().env("OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:1");
    let suite =
        Running::start(endpoint.env("NO_BOT", "true").env("OTEL_BSP_SCHEDULE_DELAY", "100"));
    for _ in 0..10 {
        assert_eq!(suite.vote(":joy:").await, 200);
    }
    eventually("lost spans", || async {
        let metrics = suite.scrape().await;
        let lost = metrics.lines().any(|line| {
            line.starts_with("otel_sdk_exporter_span_exported_total{")
                && line.contains("error_type=\"unavailable\"")
                && !line.ends_with(" 0")
        });
        lost.then_some(())
    })
    .await;
    suite.run.signal("TERM");
    let (code, lines, _) = suite.end();
    assert_eq!(code, Some(0), "{lines:#?}");
    let warnings = lines.iter().filter(|line| line.contains(" WARN ")).count();
    assert!((1..=4).contains(&warnings), "one a service at most: {lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_slows_nothing() {
    let collector = Collector::hanging().await;
    let suite = Running::start(traced(&collector).envs(&[
        ("NO_BOT", "true"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "3600000"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "3600000"),
        // Full, after a few votes.
        ("OTEL_BSP_MAX_QUEUE_SIZE", "4"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4"),
    ]));
    let votes = async {
        for _ in 0..100 {
            assert_eq!(suite.vote(":joy:").await, 200);
        }
    };
    within("votes that go on", votes).await;
    let lost = r#"otel_sdk_processor_span_processed_total{otel_component_name="batching_span_processor/web",error_type="queue_full"}"#;
    // Three spans a vote, of which some are in the queue and some on their way.
    let lost = value(&suite.scrape().await, lost);
    assert!(lost.is_some_and(|lost| lost > 250.0), "{lost:?}");
    suite.run.signal("TERM");
    let (code, lines, _) = suite.end();
    assert_eq!(code, Some(0), "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_it_is_switched_off_nothing_is_exported() {
    for (name, value) in [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")] {
        let collector = Collector::start().await;
        let suite = Running::start(traced(&collector).env("NO_BOT", "true").env(name, value));
        assert_eq!(suite.vote(":joy:").await, 200);
        suite.run.signal("TERM");
        let (code, lines, _) = suite.end();
        assert_eq!((code, collector.spans().len()), (Some(0), 0), "{lines:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_the_log_know_their_trace_wherever_they_go() {
    let collector = Collector::start().await;
    let settings = [("NO_BOT", "true"), ("LOG_FORMAT", "json"), ("OTEL_LOGS_EXPORTER", "otlp")];
    let suite = Running::starting(traced(&collector).envs(&settings));
    suite.ready().await;
    assert_eq!(suite.vote(":doughnut:").await, 500);
    suite.run.signal("TERM");
    let (code, lines, _) = suite.end();
    assert_eq!(code, Some(0), "{lines:#?}");
    let spans = collector.spans();
    let web = spans.iter().find(|span| span.name == "GET /api/vote").expect("the span of web");
    let line = lines.iter().find(|line| line.contains(" /api/vote?choice=:doughnut: "));
    let line: serde_json::Value = serde_json::from_str(line.expect("a line")).expect("JSON");
    assert_eq!(
        (&line["trace_id"], &line["span_id"]),
        (&web.trace_id().into(), &web.span_id().into())
    );
    let logs = collector.logs();
    let log = logs.iter().find(|log| log.body().contains("/api/vote?choice=:doughnut:"));
    let log = log.unwrap_or_else(|| panic!("{logs:#?}"));
    assert_eq!((log.trace_id(), log.span_id()), (web.trace_id(), web.span_id()));
    assert_eq!((&*log.service, log.attribute("http.route")), ("emojivoto", Some("/api/vote")));
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_the_bot_know_the_trace_of_the_vote() {
    let collector = Collector::start().await;
    let mut suite = Running::starting(traced(&collector).env("REQUEST_RATE", "50"));
    let line = suite.run.line("vote-bot: ✖ :doughnut: 500");
    suite.run.signal("TERM");
    let (code, lines, _) = suite.end();
    assert_eq!(code, Some(0), "{lines:#?}");
    let spans = collector.spans();
    let of_the_line = spans.iter().find(|span| {
        line.ends_with(&format!("trace_id={} span_id={}", span.trace_id(), span.span_id()))
    });
    let span = of_the_line.unwrap_or_else(|| panic!("no span of {line:?}"));
    assert_eq!((&*span.service, &*span.name), ("vote-bot", "GET /api/vote"));
}
