//! The binary, as a container starts it.

use emojivoto_testkit::{Binary, behaves, eventually, healthcheck, http, refuses, reports_as};

const EMOJI_SVC: &str = env!("CARGO_BIN_EXE_emojivoto-emoji-svc");

#[test]
fn it_has_a_help_a_version_and_no_patience_with_wrong_settings() {
    behaves(EMOJI_SVC, "emojivoto-emoji-svc", &[], &["GRPC_PORT"]);
    for port in ["0x50", "65536", "-1", " 8080"] {
        refuses(EMOJI_SVC, &[], "GRPC_PORT", port, "");
    }
}

#[tokio::test]
async fn it_is_live_and_ready_until_it_is_told_to_stop() {
    let mut run = Binary::new(EMOJI_SVC)
        .env("GRPC_PORT", "0")
        .env("PROM_PORT", "0")
        .env("SHUTDOWN_DELAY", "30s")
        .env("LOG_FORMAT", "json")
        .env("OC_AGENT_HOST", "agent:55678")
        .start();
    let warning = run.line("OC_AGENT_HOST");
    assert!(warning.contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{warning}");
    let admin = run.line("PROM_PORT: listening");
    let admin: serde_json::Value = serde_json::from_str(&admin).expect("a JSON object a line");
    let admin = admin["message"].as_str().and_then(|message| message.rsplit(':').next());
    let admin = format!("127.0.0.1:{}", admin.expect("a port")).parse().expect("an address");
    eventually("ready", || async { (healthcheck(EMOJI_SVC, admin).0 == Some(0)).then_some(()) })
        .await;
    assert_eq!(healthcheck(EMOJI_SVC, admin), (Some(0), "ready\n".to_owned()));
    assert_eq!(http::get(&format!("http://{admin}/live")).await.body, "live\n");
    assert_eq!(http::get(&format!("http://{admin}/nope")).await.status, 404);

    run.signal("TERM");
    run.line("draining");
    eventually("not ready", || async {
        (healthcheck(EMOJI_SVC, admin).0 == Some(1)).then_some(())
    })
    .await;
    assert_eq!(healthcheck(EMOJI_SVC, admin).1, "not ready: emoji\n");
    let ready = http::get(&format!("http://{admin}/ready")).await;
    assert_eq!((ready.status.as_u16(), ready.body.as_str()), (503, "not ready: emoji\n"));
    assert_eq!(http::get(&format!("http://{admin}/live")).await.status, 200, "draining is living");

    run.signal("INT");
    let (code, _, stderr) = run.end();
    assert_eq!((code, stderr.as_str()), (Some(1), "error: SIGINT again: ended at once\n"));
    let (code, said) = healthcheck(EMOJI_SVC, admin);
    assert_eq!(code, Some(1));
    assert!(said.starts_with("no answer on port "), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_knows_it_by_the_name_that_others_rely_on() {
    reports_as(EMOJI_SVC, &[], "emoji").await;
}
