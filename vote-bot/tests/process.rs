//! The binary, as a container starts it.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use emojivoto_testkit::{
    Binary, behaves, emoji, healthcheck, refuses, reports_as, requires, voting, web, within,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivatePkcs8KeyDer},
};

const VOTE_BOT: &str = env!("CARGO_BIN_EXE_emojivoto-vote-bot");

const HOST: [(&str, &str); 1] = [("WEB_HOST", "web-svc.emojivoto:80")];

#[test]
fn it_has_a_help_a_version_and_no_patience_with_wrong_settings() {
    let settings = ["WEB_HOST", "HOST_OVERRIDE", "REQUEST_RATE", "TTL", "SEED"];
    behaves(VOTE_BOT, "emojivoto-vote-bot", &HOST, &settings);
    requires(VOTE_BOT, &[], "WEB_HOST");
    for (setting, value, expected) in [
        ("WEB_HOST", "ftp://web", "expected host:port or an http:// or https:// URL"),
        ("HOST_OVERRIDE", "a b", "expected a host name"),
        ("REQUEST_RATE", "0", "expected votes per second"),
        ("REQUEST_RATE", "fast", "expected votes per second"),
        ("TTL", "10s", "expected a whole number of seconds"),
        ("SEED", "-1", "expected a whole number"),
    ] {
        refuses(VOTE_BOT, &HOST, setting, value, expected);
    }
}

/// The line of a vote without what differs between runs: the time before, the duration after.
fn pick(line: &str) -> String {
    let vote = line.split_once("vote-bot: ").expect("a line of the bot").1;
    vote.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn it_prints_a_line_a_vote_repeats_itself_with_a_seed_and_ends_after_its_ttl() {
    let (emoji, (voting, _)) = (emoji().await, voting(Duration::ZERO).await);
    let web = web(emoji.address(), voting.address()).await.ready().await;
    let run = || {
        let bot = Binary::new(VOTE_BOT)
            .env("WEB_HOST", web.url(""))
            .env("PROM_PORT", "0")
            .env("REQUEST_RATE", "20")
            .args(&["--seed", "5", "--ttl", "2"])
            .start();
        let (code, lines, stderr) = bot.end();
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{lines:#?}");
        let votes = lines.iter().filter(|line| line.contains('✔') || line.contains('✖'));
        let mut picks: Vec<_> = votes.map(|line| pick(line)).take(10).collect();
        picks.sort_unstable(); // votes that overlap may be answered in another order
        picks
    };
    let picks = run();
    assert_eq!(picks.len(), 10);
    assert_eq!(run(), picks);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_once_that_web_is_away_backs_off_and_is_no_less_ready_for_it() {
    let web = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let mut run = Binary::new(VOTE_BOT)
        .env("WEB_HOST", web.local_addr().expect("an address").to_string())
        .env("PROM_PORT", "0")
        .env("REQUEST_RATE", "1000")
        .start();
    let admin = run.address("PROM_PORT");
    // Whoever connects is turned away. At this rate several are on their way at first.
    let next = async || within("a try of the bot", web.accept()).await.expect("a connection");
    let mut first = next().await;
    run.line("trying again until web is back");
    let mut tries = Vec::new();
    while tries.len() < 4 {
        drop(first);
        first = next().await;
        let early =
            tries.last().is_none_or(|last: &Instant| last.elapsed() < Duration::from_millis(200));
        if early {
            tries.clear();
        }
        tries.push(Instant::now());
    }
    // 250 ms, 500 ms, 1 s, or more if the first ones were already behind.
    let waits: Vec<_> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(waits[2] > waits[1] && waits[1] > waits[0], "{waits:?}");
    assert_eq!(healthcheck(VOTE_BOT, admin), (Some(0), "ready\n".to_owned()));
    drop((first, web));
    run.signal("TERM");
    let (code, lines, _) = run.end();
    assert_eq!(code, Some(0));
    assert_eq!(lines.iter().filter(|line| line.contains("no vote")).count(), 1, "{lines:#?}");
}

/// A web that answers everything with a ballot whose only emoji is not one that a terminal should see.
async fn spiteful_web() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let ballot = r#"[{"shortcode":":\u001b[31m\u009b32m\n:"}]"#;
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: ";
            let answer = format!("{head}{}\r\n\r\n{ballot}", ballot.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn what_web_calls_an_emoji_does_nothing_to_a_terminal() {
    let web = spiteful_web().await.to_string();
    let bot = Binary::new(VOTE_BOT).env("WEB_HOST", web).env("PROM_PORT", "0");
    let line = bot.env("REQUEST_RATE", "50").start().line("✔ :\\u001b");
    assert!(line.contains(r"✔ :\u001b[31m\u009b32m\u000a: 200 "), "{line:?}");
    assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
}

/// A web behind TLS that answers one request on each connection with a ballot, and its certificate.
async fn encrypted_web() -> (SocketAddr, String) {
    let certified =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()).into();
    let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .expect("a configuration");
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let length = stream.read(&mut [0; 4096]).await.expect("a request");
            assert!(length > 0);
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 23\r\nconnection: close\r\n\r\n[{\"shortcode\":\":joy:\"}]";
            stream.write_all(answer.as_bytes()).await.expect("an answer");
            let _ = stream.shutdown().await;
        }
    });
    (address, certified.cert.pem())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_votes_over_https_where_it_trusts_the_certificate() {
    let (web, certificate) = encrypted_web().await;
    let file = std::env::temp_dir().join(format!("emojivoto-vote-bot-{}.pem", std::process::id()));
    std::fs::write(&file, certificate).expect("a file");
    let bot = || {
        let url = format!("https://localhost:{}", web.port());
        Binary::new(VOTE_BOT).env("WEB_HOST", url).env("PROM_PORT", "0").env("SEED", "3")
    };
    let mut trusting = bot().env("SSL_CERT_FILE", file.to_string_lossy()).start();
    trusting.line("✔ :");
    let mut wary = bot().start();
    let line = wary.line("no vote");
    assert!(line.contains("certificate"), "{line}");
    std::fs::remove_file(file).expect("the file");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_knows_it_by_the_name_that_others_rely_on() {
    reports_as(VOTE_BOT, &[("WEB_HOST", "127.0.0.1:1")], "vote-bot").await;
}
