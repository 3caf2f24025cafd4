//! A suite in which the doughnut fails, a rule does what it says, and another one does not.

use super::*;
use crate::report::{Expected, Failure, Fault, Process, Quantile, Windows};

const VOTING: &str = "emojivoto.v1.VotingService";
const EMOJI: &str = "emojivoto.v1.EmojiService";

fn figures(calls: u64, failed: u64, seconds: f64) -> Figures {
    let quantile = |seconds, or_more| Some(Quantile { seconds, or_more }).filter(|_| calls > 0);
    #[expect(clippy::cast_precision_loss, reason = "few")]
    let (all, bad) = (calls as f64, failed as f64);
    Figures {
        calls,
        failed,
        rate_per_second: all / seconds,
        success: (calls > 0).then_some(1.0 - bad / all),
        p50_seconds: quantile(0.000_6, false),
        p95_seconds: quantile(0.012_3, false),
        p99_seconds: quantile(2.5, true),
    }
}

/// What was called so often a second, and failed so often for each call.
fn row(place: Place, per_minute: u64, failed_per_minute: u64) -> Row {
    Row {
        place,
        in_flight: 0,
        last_10s: figures(per_minute / 6, failed_per_minute / 6, 10.0),
        last_minute: figures(per_minute, failed_per_minute, 60.0),
        since_start: figures(per_minute * 7, failed_per_minute * 7, 420.0),
        expected: None,
    }
}

fn rpc(grpc_service: &'static str, grpc_method: &'static str) -> Place {
    Place::Rpc { grpc_service, grpc_method }
}

/// Beside what rules should do.
fn expecting(row: &Row, rules: &[&str], at_least: f64, at_most: f64, outside: bool) -> Row {
    let Figures { calls, success: seen, .. } = row.since_start;
    let rules = rules.iter().map(|&rule| rule.to_owned()).collect();
    let success = (at_least >= at_most).then_some(at_least);
    let expected = Expected { rules, success, at_least, at_most, calls, seen, outside };
    Row { expected: Some(expected), ..row.clone() }
}

fn route(path: &'static str, per_minute: u64) -> Row {
    expecting(&row(Place::Route { http_route: path }, per_minute, 0), &[], 1.0, 1.0, false)
}

fn served() -> Vec<Row> {
    let vote = row(Place::Route { http_route: "/api/vote" }, 60, 13);
    let watch = Row { in_flight: 1, ..route("/leaderboard/live", 0) };
    let mut served = vec![
        route("/", 1),
        route("/leaderboard", 2),
        watch,
        route("/static/{file}", 0),
        expecting(&vote, &["doughnut", "joy-is-away"], 0.0, 1.0, false),
        expecting(&row(rpc(EMOJI, "ListAll"), 2, 0), &[], 1.0, 1.0, false),
        expecting(&row(rpc(EMOJI, "FindByShortcode"), 60, 0), &[], 1.0, 1.0, false),
        expecting(&row(rpc(VOTING, "VoteDoughnut"), 1, 1), &["doughnut"], 0.0, 0.0, false),
        expecting(&row(rpc(VOTING, "VoteJoy"), 30, 12), &["joy-is-away"], 0.868, 0.93, true),
    ];
    let votes = [
        "VoteTada",
        "VoteCat",
        "VoteStuckOutTongueWinkingEye",
        "VotePizza",
        "VoteGhost",
        "Vote100",
        "VoteRainbow",
        "VoteRocket",
        "VoteBeers",
        "VoteBulb",
        "VoteCrown",
        "VoteFire",
    ];
    let fine = votes.map(|method| expecting(&row(rpc(VOTING, method), 3, 0), &[], 1.0, 1.0, false));
    served.extend(fine);
    for method in ["VoteMask", "VoteZap"] {
        served.push(expecting(&row(rpc(VOTING, method), 0, 0), &[], 1.0, 1.0, false));
    }
    served
}

fn called() -> Vec<Row> {
    vec![
        row(Place::Url { url_template: "/api/list" }, 1, 0),
        row(Place::Url { url_template: "/api/vote" }, 60, 13),
        row(rpc(EMOJI, "FindByShortcode"), 60, 0),
        row(rpc(VOTING, "VoteDoughnut"), 1, 1),
        row(rpc(VOTING, "VoteJoy"), 30, 12),
        row(rpc(VOTING, "VoteTada"), 3, 0),
    ]
}

fn fault(name: &str, state: &str, toml: &str) -> Fault {
    let (name, state, toml) = (name.to_owned(), state.to_owned(), toml.to_owned());
    Fault { name, state, struck: 7, toml }
}

fn failure(place: Place, cause: &str, seconds_ago: f64) -> Failure {
    Failure {
        side: "served",
        place,
        status: "Unknown".to_owned(),
        cause: Some(cause.to_owned()),
        fault: Some("doughnut".to_owned()),
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
        seconds_ago,
    }
}

fn sample() -> Report {
    let doughnut = "[[rule]]\nname = \"doughnut\"\nemoji = \":doughnut:\"\ncode = \"UNKNOWN\"\n";
    Report {
        process: Process {
            name: "emojivoto",
            version: env!("CARGO_PKG_VERSION"),
            revision: "b51ea8bce956415b769ae06f0db773ad7dc28b0c",
            uptime_seconds: 421.0,
            services: vec!["emoji", "voting", "web", "vote-bot"],
        },
        windows: Windows { last_10s: 10.0, last_minute: 24.0, since_start: 421.0 },
        served: served(),
        called: called(),
        faults: vec![
            fault("doughnut", "strikes", doughnut),
            fault("joy-is-away", "strikes for 5m more", "[[rule]]\nname = \"joy-is-away\"\n"),
        ],
        failures: vec![
            failure(rpc(VOTING, "VoteDoughnut"), "<script>alert(1)</script>", 3.2),
            failure(Place::Route { http_route: "/api/vote" }, "voting-svc has failed", 3.2),
        ],
    }
}

/// The text of what has this beginning and end.
fn between<'a>(html: &'a str, begin: &str, end: &str) -> &'a str {
    let (_, rest) = html.split_once(begin).unwrap_or_else(|| panic!("{begin} in {html}"));
    rest.split_once(end).map_or(rest, |(part, _)| part)
}

/// What a reader sees of it.
fn text(html: &str) -> String {
    let mut parts = html.split('<');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('>').map_or("", |(_, text)| text))
}

fn verdict(report: &Report) -> String {
    text(between(&live(report).expect("a page"), "<p class=\"verdict", "</p>"))
        .split_once('>')
        .map(|(_, text)| text.to_owned())
        .unwrap_or_default()
}

/// The same without anything that fails, of voting-svc alone.
fn peace() -> Report {
    let mut report = sample();
    report.process.services = vec!["voting"];
    report.process.name = "voting";
    report.served.retain(|row| row.failed() == 0 && row.place.group() == "VotingService");
    report.called.clear();
    report.faults.clear();
    report.failures.clear();
    report
}

#[test]
fn a_sentence_names_what_fails_with_the_rpc_first() {
    let mut report = sample();
    let sentence = verdict(&report);
    assert!(sentence.starts_with("VotingService/VoteDoughnut, "), "{sentence}");
    assert!(sentence.contains("fail: 7 of 7, 84 of 210 and 91 of 420 since start."), "{sentence}");
    report.served.retain(|row| row.failed() == 0 || row.place.name() == "VoteDoughnut");
    report.called.clear();
    assert_eq!(verdict(&report), "VotingService/VoteDoughnut fails: 7 of 7 since start.");
}

#[test]
fn what_has_failed_no_longer_fails_once_it_succeeds_for_a_minute() {
    let mut report = sample();
    report.served.retain(|row| row.place.name() == "VoteDoughnut");
    report.called.clear();
    let doughnut = &mut report.served[0];
    doughnut.last_minute = figures(0, 0, 60.0);
    assert!(verdict(&report).starts_with("VotingService/VoteDoughnut fails"), "nobody called it");
    report.served[0].last_minute = figures(9, 0, 60.0);
    assert_eq!(verdict(&report), "Nothing fails: 7 calls since start.");
}

#[test]
fn the_way_of_a_vote_is_shown_as_it_is_lately_once_that_says_something() {
    let mut report = sample();
    let of_voting = |report: &Report| {
        let flow = Way::new(report).voting.flow.expect("calls");
        (flow.window, flow.rate)
    };
    assert_eq!(of_voting(&report).0, "last 10 s");
    for row in &mut report.served {
        row.last_10s = figures(0, 0, 10.0);
    }
    assert_eq!(of_voting(&report), ("last 10 s", "0/s".to_owned()), "and not what was once");
    report.windows.last_10s = 2.0;
    assert_eq!(of_voting(&report).0, "since start");
}

#[test]
fn a_sentence_names_three_and_counts_the_rest() {
    let mut report = sample();
    report.served.extend(["VoteA", "VoteB"].map(|method| row(rpc(VOTING, method), 1, 1)));
    report.served.push(row(rpc(OTHER, OTHER), 100, 100));
    let sentence = verdict(&report);
    let names =
        "VotingService/VoteDoughnut, VotingService/VoteA, VotingService/VoteB and 3 more fail: ";
    assert!(sentence.starts_with(names), "{sentence}");
}

#[test]
fn what_is_not_served_here_is_named_as_it_is_called() {
    let mut report = sample();
    report.served.clear();
    assert!(verdict(&report).starts_with("VotingService/VoteDoughnut, "));
    assert!(live(&report).expect("a page").contains("href=\"#called-VoteDoughnut\""));
}

#[test]
fn a_link_leads_to_its_row() {
    let html = live(&sample()).expect("a page");
    for link in html.split("href=\"#").skip(1) {
        let (id, _) = link.split_once('"').expect("an end");
        assert_eq!(html.matches(&format!("id=\"{id}\"")).count(), 1, "{id}");
    }
}

#[test]
fn nothing_that_fails_is_said_as_well() {
    assert_eq!(verdict(&peace()), "Nothing fails: 252 calls since start.");
    let mut report = peace();
    report.served.clear();
    assert_eq!(verdict(&report), "Nothing has been called yet.");
}

#[test]
fn what_leaves_its_interval_is_marked_in_words_and_what_does_not_is_not() {
    let report = sample();
    let sentence = "VotingService/VoteJoy is outside of what the rules predict.";
    assert!(verdict(&report).ends_with(sentence), "{}", verdict(&report));
    let html = live(&report).expect("a page");
    let row = |id: &str| text(between(&html, &format!("<tr id=\"{id}\""), "<tr"));
    assert!(row("served-VoteJoy").contains("86.8–93.0 % joy-is-away60.0 % of 210 ≠ outside"));
    assert!(row("served-VoteDoughnut").contains("0 % doughnut0 % of 7"));
    assert_eq!(html.matches("≠ outside").count(), 1);
}

#[test]
fn what_fails_comes_first_and_what_nobody_called_is_summed_up() {
    let html = live(&sample()).expect("a page");
    let ids: Vec<_> =
        html.split("<tr id=\"served-").skip(1).map(|row| between(row, "", "\"")).collect();
    assert_eq!(ids[..5], ["VoteDoughnut", "VoteJoy", "/api/vote", "/", "/leaderboard"]);
    assert!(!ids.contains(&"VoteMask") && ids.contains(&"/leaderboard/live"));
    assert!(html.contains("2 RPCs and 1 route not called yet"));
}

#[test]
fn the_way_of_a_vote_tells_what_runs_elsewhere() {
    let html = live(&sample()).expect("a page");
    let way = text(between(&html, "class=\"way\"", "</ul>"));
    assert!(way.contains("web calls voting-svc, last 10 s: 0.5/s✕ 60.0 %"), "{way}");
    assert!(!way.contains("not in this process"), "{way}");
    let way = live(&peace()).expect("a page");
    assert_eq!(way.matches("not in this process").count(), 3);
    assert!(way.contains("web calls voting-svc, which is not seen from here"));
}

#[test]
fn a_window_that_is_not_full_says_so() {
    let html = live(&sample()).expect("a page");
    assert!(html.contains(">last 10 s<") && html.contains(">last minute, so far 24 s<"));
}

#[test]
fn nothing_in_a_failure_becomes_a_part_of_the_page() {
    let html = page(&sample()).expect("a page");
    assert!(html.contains("&#60;script&#62;alert(1)&#60;/script&#62;"));
    assert_eq!(html.matches("<script").count(), 1);
}

#[test]
fn the_document_has_the_live_part_in_it_and_works_without_scripts() {
    let report = sample();
    let html = page(&report).expect("a page");
    assert!(html.contains(&live(&report).expect("a page")));
    assert!(html.contains("<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>"));
    assert!(!html.contains("style=") && !html.contains("://"), "{html}");
    let file = between(&html, "href=\"/static/page.", "\"");
    assert!(assets().at(&format!("page.{file}")).is_some());
}
