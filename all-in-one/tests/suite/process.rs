//! The binary of the whole suite, as a person starts it.

use emojivoto_testkit::{behaves, http, refuses};

use crate::running::{EMOJIVOTO, on_free_ports};

#[tokio::test]
async fn the_suite_starts_says_where_it_is_votes_and_ends_on_a_signal() {
    for signal in ["TERM", "INT"] {
        let mut suite = on_free_ports().env("REQUEST_RATE", "50").start();
        let admin = suite.address("PROM_PORT");
        let web = suite.address("WEB_PORT");
        let banner = suite.line("ballot");
        assert!(banner.contains(&format!("http://localhost:{}", web.port())), "{banner}");
        suite.line("Ctrl-C ends it");
        assert_eq!(http::get(&format!("http://{admin}/live")).await.status, 200);
        assert_eq!(http::get(&format!("http://{admin}/ready")).await.status, 200);
        assert_eq!(http::get(&format!("http://{web}/leaderboard")).await.status, 200);
        suite.line("vote-bot: ✔ ");
        suite.line("vote-bot: ✖ :doughnut: 500");
        // What test suites of meshes look for.
        suite.line(" /api/vote?choice=:doughnut: ");
        suite.signal(signal);
        let (code, lines, stderr) = suite.end();
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{lines:#?}");
    }
}

#[tokio::test]
async fn the_bot_can_be_left_out() {
    let mut suite = on_free_ports().args(&["--no-bot"]).start();
    let web = suite.address("WEB_PORT");
    suite.line("off");
    suite.line("Ctrl-C ends it");
    assert_eq!(
        http::get(&format!("http://{web}/api/leaderboard")).await.json(),
        serde_json::json!([])
    );
    suite.signal("TERM");
    let (code, lines, _) = suite.end();
    assert_eq!(code, Some(0));
    assert!(!lines.iter().any(|line| line.contains("vote-bot: ✔")), "{lines:#?}");
}

#[tokio::test]
async fn in_json_every_line_is_an_object() {
    let mut suite = on_free_ports().env("LOG_FORMAT", "json").env("REQUEST_RATE", "50").start();
    suite.line("/api/vote?choice=");
    suite.signal("TERM");
    let (code, lines, _) = suite.end();
    assert_eq!(code, Some(0));
    for line in lines {
        let object: serde_json::Value = serde_json::from_str(&line).expect(&line);
        assert!(object["level"].is_string() && object["message"].is_string(), "{line}");
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    for setting in ["WEB_PORT", "EMOJI_PORT", "VOTING_PORT", "PROM_PORT"] {
        let output = on_free_ports().env(setting, &port).output();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        let expected = format!("error: {setting}: cannot listen on port {port}: it is taken\n");
        assert_eq!(stderr, expected);
    }
}

#[test]
fn wrong_settings_are_refused() {
    let settings = ["WEB_PORT", "EMOJI_PORT", "VOTING_PORT", "FAILURE_RATE", "REQUEST_RATE", "TTL"];
    behaves(EMOJIVOTO, "emojivoto", &[], &settings);
    for (setting, value, expected) in [
        ("WEB_PORT", "web", "expected a port number from 0 to 65535"),
        ("EMOJI_PORT", "65536", "expected a port number from 0 to 65535"),
        ("VOTING_PORT", "-1", "expected a port number from 0 to 65535"),
        ("NO_BOT", "maybe", "expected true or false"),
        ("FAILURE_RATE", "2", "expected a number from 0.0 to 1.0"),
        ("ARTIFICIAL_DELAY", "5", "expected a duration such as 150ms, 1.5s or 1m30s"),
        ("GRPC_TIMEOUT", "soon", "expected a duration from 1ms to 1h, such as 150ms"),
        ("GRPC_TIMEOUT", "0s", "expected a duration from 1ms to 1h"),
        ("GRPC_TIMEOUT", "100000000h", "expected a duration from 1ms to 1h"),
        ("REQUEST_RATE", "0", "expected votes per second"),
        ("TTL", "1m", "expected a whole number of seconds"),
        ("SEED", "x", "expected a whole number"),
    ] {
        refuses(EMOJIVOTO, &[], setting, value, expected);
    }
}
