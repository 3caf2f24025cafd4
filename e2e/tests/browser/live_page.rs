//! The live page of the admin port.

use std::net::SocketAddr;

use emojivoto_e2e::binary;
use emojivoto_testkit::{Binary, Run, eventually, http, redis_that_hangs};
use serde_json::json;

use crate::browser::{Browser, NO_SCRIPTS, PHONE, Setup, WIDE};

/// The suite in one process, whose bot votes only if it is told to.
struct Suite {
    run: Run,
    admin: SocketAddr,
    web: SocketAddr,
}

impl Suite {
    /// One of which all is up.
    fn start(env: &[(&str, &str)]) -> Self {
        let mut suite = Self::starting(env);
        suite.run.line("Ctrl-C ends it");
        suite
    }

    fn starting(env: &[(&str, &str)]) -> Self {
        let mut run = Binary::new(&binary("emojivoto"))
            .envs(&["WEB_PORT", "EMOJI_PORT", "VOTING_PORT", "PROM_PORT"].map(|port| (port, "0")))
            .envs(env)
            .start();
        let (admin, web) = (run.address("PROM_PORT"), run.address("WEB_PORT"));
        Self { run, admin, web }
    }

    fn without_bot(env: &[(&str, &str)]) -> Self {
        Self::start(&[env, &[("NO_BOT", "true")]].concat())
    }

    async fn vote(&self, choice: &str) -> u16 {
        http::get(&format!("http://{}/api/vote?choice={choice}", self.web)).await.status.as_u16()
    }

    /// A browser that has the page open.
    async fn visit(&self, setup: Setup) -> Browser {
        let browser = Browser::start(setup).await;
        self.open(&browser).await;
        browser
    }

    async fn open(&self, browser: &Browser) {
        browser.driver.goto(format!("http://{}/", self.admin)).await.expect("a page");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_names_the_rpc_that_fails_and_is_live() {
    let suite = Suite::without_bot(&[]);
    assert_eq!(suite.vote(":joy:").await, 200);
    let browser = suite.visit(WIDE).await;
    browser.text("#live", "Live").await;
    browser.text(".verdict", "Nothing").await;
    browser.eval("window.sameDocument = true").await;
    assert_eq!(suite.vote(":doughnut:").await, 500);
    let said = browser.text(".verdict", "VoteDoughnut").await;
    assert!(said.contains("1 of 1"), "{said}");
    browser.text("#served-VoteDoughnut", "0 %").await;
    browser.text("#served-VoteJoy", "100 %").await;
    for _ in 0..2 {
        suite.vote(":doughnut:").await;
    }
    browser.text(".verdict", "3 of 3").await;
    browser.text(".failures", "ERROR").await;
    assert_eq!(browser.eval("return window.sameDocument").await, true);

    // What somebody is reading stays open.
    browser.eval("document.querySelector('details').open = true").await;
    suite.vote(":ghost:").await;
    browser.text("#served-VoteGhost", "100 %").await;
    assert_eq!(browser.eval("return document.querySelector('details').open").await, true);
    assert_eq!(browser.complaints(&[]).await, Vec::<String>::new());

    // It says so when the process is gone.
    suite.run.signal("TERM");
    browser.text("#live", "Not live right now").await;
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_marks_what_leaves_its_interval_and_nothing_else() {
    // No rule lets these votes fail.
    let store = format!("redis://{}", redis_that_hangs().await);
    let rule =
        "[[rule]]\nname = \"coin\"\ngrpc = \"FindByShortcode\"\nshare = 0.5\ndelay = \"1ms\"\n";
    let suite = Suite::starting(&[
        ("NO_BOT", "true"),
        ("FAULTS", rule),
        ("VOTES_STORE", &store),
        ("GRPC_TIMEOUT", "100ms"),
    ]);
    for _ in 0..9 {
        suite.vote(":joy:").await;
    }
    suite.vote(":doughnut:").await;
    let browser = suite.visit(WIDE).await;
    browser.text("#served-VoteJoy", "outside").await;
    browser.text("#outside", "VoteJoy").await;
    browser.text("#fault-coin", "coin").await;
    let rows = "return [...document.querySelectorAll('tr[id]')]
        .filter((row) => row.textContent.includes('outside')).map((row) => row.id)";
    let marked = browser.eval(rows).await;
    assert_eq!(marked, json!(["served-/api/vote", "served-VoteJoy"]));
    for css in ["#served-VoteDoughnut", "#served-FindByShortcode"] {
        let row = browser.text(css, "of").await;
        assert!(!row.contains("outside"), "{row}");
    }
    browser
        .eval("document.querySelectorAll('details').forEach((one) => { one.open = true })")
        .await;
    for scheme in ["light", "dark"] {
        browser.prefer(scheme).await;
        assert_eq!(browser.violations().await, json!([]), "{scheme}");
    }
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_works_without_scripts_by_loading_again() {
    let suite = Suite::without_bot(&[]);
    suite.vote(":joy:").await;
    let browser = suite.visit(NO_SCRIPTS).await;
    browser.text("#served-VoteJoy", "100 %").await;
    suite.vote(":doughnut:").await;
    browser.text(".verdict", "VoteDoughnut").await;
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_accessible_fits_a_phone_and_asks_no_other_host() {
    let rule = "[[rule]]\nname = \"slow\"\ngrpc = \"Results\"\ndelay = \"1ms\"\n";
    let suite = Suite::start(&[("REQUEST_RATE", "50"), ("FAULTS", rule)]);
    let page = format!("http://{}/", suite.admin);
    eventually("a vote that fails", || async {
        http::get(&page).await.body.contains("VoteDoughnut").then_some(())
    })
    .await;
    for setup in [WIDE, PHONE, Setup { width: 320, ..PHONE }] {
        let browser = suite.visit(setup).await;
        for scheme in ["light", "dark"] {
            browser.prefer(scheme).await;
            suite.open(&browser).await;
            browser.text("#live", "Live").await;
            assert_eq!(browser.violations().await, json!([]), "{scheme} at {}", setup.width);
        }
        assert_eq!(browser.overflow().await, 0, "at {}", setup.width);
        let asked = browser.asked_for().await;
        assert!(asked.len() >= 3, "styles, script and icon: {asked:?}");
        assert!(asked.iter().all(|url| url.starts_with(&page)), "{asked:?}");
        assert_eq!(browser.complaints(&[]).await, Vec::<String>::new());
        browser.end().await;
    }
}
