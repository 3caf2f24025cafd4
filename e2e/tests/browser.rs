//! The pages in a real Chromium, driven through WebDriver, in front of real services.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use emojivoto_testkit::{PATIENCE, Service, emoji, eventually, voting, web};
use serde_json::{Value, json};
use thirtyfour::{
    ChromeCapabilities, ChromiumLikeCapabilities as _, Key, WebDriver,
    common::log::LoggingPrefsLogLevel, error::WebDriverResult, prelude::*,
};

/// The services, and a browser that looks at them.
struct Visit {
    driver: WebDriver,
    web: Service,
    _emoji: Service,
    voting: Option<Service>,
    /// Last, so that it outlives the session.
    _chromedriver: ChromeDriver,
}

struct ChromeDriver {
    child: Child,
    profile: PathBuf,
}

impl Drop for ChromeDriver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

/// How a visitor's browser is set up.
#[derive(Clone, Copy)]
struct Setup {
    scripts: bool,
    width: u32,
    height: u32,
}

const WIDE: Setup = Setup { scripts: true, width: 1440, height: 900 };
const PHONE: Setup = Setup { scripts: true, width: 390, height: 844 };
const NO_SCRIPTS: Setup = Setup { scripts: false, ..WIDE };

/// Chromedriver and its port, unless it ends before it has one.
fn start_chromedriver() -> Option<(Child, u16)> {
    let mut child = Command::new(emojivoto_e2e::tool("chromedriver"))
        .arg("--port=0")
        .stdout(Stdio::piped())
        .spawn()
        .expect("chromedriver starts");
    let stdout = BufReader::new(child.stdout.take().expect("its output is piped"));
    let (sender, port) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let port = stdout.lines().map_while(Result::ok).find_map(|line| {
            let port = line.split_once("started successfully on port ")?.1;
            port.trim_end_matches('.').parse::<u16>().ok()
        });
        sender.send(port)
    });
    let port = port.recv_timeout(PATIENCE).expect("chromedriver says its port, or ends");
    if port.is_none() {
        child.wait().expect("it has closed its output");
    }
    Some((child, port?))
}

impl Visit {
    async fn start(setup: Setup) -> Self {
        let (emoji, (voting, _)) = (emoji().await, voting(Duration::ZERO).await);
        let web = web(emoji.address(), voting.address()).await.ready().await;
        // It picks a free port, and ends when another one was faster to take it.
        let (child, port) =
            (0..5).find_map(|_| start_chromedriver()).expect("chromedriver says its port");
        let profile = std::env::temp_dir().join(format!("emojivoto-chromium-{}", child.id()));
        let chromedriver = ChromeDriver { child, profile };
        let capabilities = capabilities(setup, &chromedriver.profile).expect("capabilities");
        let server = format!("http://127.0.0.1:{port}");
        let driver = WebDriver::new(server, capabilities).await.expect("a browser");
        // The window of a headless browser is not always the size that it was asked for.
        driver.cdp().send_raw(
                "Emulation.setDeviceMetricsOverride",
                json!({ "width": setup.width, "height": setup.height, "deviceScaleFactor": 1, "mobile": false }),
            )
            .await
            .expect("a size");
        Self { driver, web, _emoji: emoji, voting: Some(voting), _chromedriver: chromedriver }
    }

    async fn open(&self, path: &str) {
        self.driver.goto(self.web.url(path)).await.expect("a page");
    }

    async fn find(&self, css: &str) -> WebElement {
        self.driver
            .query(By::Css(css))
            .wait(Duration::from_secs(20), Duration::from_millis(50))
            .first()
            .await
            .unwrap_or_else(|error| panic!("{css}: {error}"))
    }

    /// Waits until the text of an element contains something, and returns all of it.
    async fn text(&self, css: &str, part: &str) -> String {
        eventually(&format!("{part:?} in {css}"), || async {
            let text = self.driver.find(By::Css(css)).await.ok()?.text().await.ok()?;
            text.contains(part).then_some(text)
        })
        .await
    }

    async fn eval(&self, script: &str) -> Value {
        let result = self.driver.execute(script, vec![]).await;
        result.unwrap_or_else(|error| panic!("{script}: {error}")).json().clone()
    }

    async fn votes(&self) -> Value {
        emojivoto_testkit::http::get(&self.web.url("/api/leaderboard")).await.json()
    }

    async fn path(&self) -> String {
        let url = self.driver.current_url().await.expect("an address");
        url.as_str().strip_prefix(&self.web.url("")).expect("our own").to_owned()
    }

    /// What the browser complained about, except for what `expected` says.
    async fn complaints(&self, expected: &[&str]) -> Vec<String> {
        let log = self.driver.browser_log().await.expect("the log of the browser");
        let messages = log.into_iter().map(|entry| format!("{:?} {}", entry.level, entry.message));
        messages.filter(|message| !expected.iter().any(|text| message.contains(text))).collect()
    }

    async fn end(self) {
        self.driver.quit().await.expect("the browser ends");
    }
}

fn capabilities(setup: Setup, profile: &std::path::Path) -> WebDriverResult<ChromeCapabilities> {
    let mut capabilities = DesiredCapabilities::chrome();
    let profile = format!("--user-data-dir={}", profile.display());
    for argument in [
        "--headless",
        "--no-sandbox", // for root, as containers and CI are
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        &profile,
    ] {
        capabilities.add_arg(argument)?;
    }
    capabilities.set_browser_log_level(LoggingPrefsLogLevel::All)?;
    let scripts = if setup.scripts { 1 } else { 2 };
    let preferences = json!({ "profile.managed_default_content_settings.javascript": scripts });
    capabilities.add_experimental_option("prefs", preferences)?;
    Ok(capabilities)
}

#[tokio::test(flavor = "multi_thread")]
async fn voting_does_not_reload_the_page() {
    let visit = Visit::start(WIDE).await;
    visit.open("/").await;
    visit.eval("window.sameDocument = true").await;
    for times in ["See the leaderboard", "2 times", "3 times"] {
        visit.find(r#"button[value=":joy:"]"#).await.click().await.expect("a click");
        let said = visit.text("#result", times).await;
        assert!(said.starts_with("You picked 😂 :joy:"), "{said}");
    }
    assert_eq!(
        visit.eval("return window.sameDocument && document.activeElement.value").await,
        ":joy:"
    );
    assert_eq!(visit.votes().await[0]["votes"], "3");
    assert_eq!(visit.complaints(&[]).await, Vec::<String>::new());
    visit.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_is_one_vote_however_often_it_is_sent() {
    let visit = Visit::start(WIDE).await;
    visit.open("/").await;
    let tap = async || visit.find(r#"button[value=":joy:"]"#).await.click().await.expect("a click");
    // Twice at once; then with an answer that gets lost, after which the page sends it again by itself.
    visit.eval("window.send = fetch; window.fetch = (...vote) => { send(...vote); return send(...vote); }").await;
    tap().await;
    visit.text("#result", "See the leaderboard").await;
    visit
        .eval(
            "window.sent = []; window.fetch = async (...vote) => {
            sent.push(vote[1].headers['Idempotency-Key']);
            const answer = await send(...vote);
            if (sent.length === 1) throw new TypeError('lost');
            return answer;
        }",
        )
        .await;
    tap().await;
    visit.text("#result", "2 times").await;
    assert_eq!(visit.votes().await[0]["votes"], "2");
    tap().await;
    visit.text("#result", "3 times").await;
    assert_eq!(visit.votes().await[0]["votes"], "3");
    let sent = visit.eval("return sent").await;
    assert!(sent[0] == sent[1] && sent[1] != sent[2] && sent[3] == Value::Null, "{sent}");
    assert!(sent[2].as_str().is_some_and(|key| key.len() == 32), "{sent}");

    // It gives up after the second time.
    visit.eval("window.fetch = async () => { throw new TypeError('gone'); }").await;
    tap().await;
    visit.text("#result .note.bad", "there is no answer from the server").await;
    assert_eq!(visit.complaints(&[]).await, Vec::<String>::new());
    visit.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn voting_works_without_scripts() {
    let visit = Visit::start(NO_SCRIPTS).await;
    visit.open("/").await;
    visit.find(r#"button[value=":joy:"]"#).await.click().await.expect("a click");
    visit.text("main", ":joy:").await;
    assert_eq!(visit.path().await, "/picked?choice=:joy:");
    assert_eq!(visit.votes().await[0]["votes"], "1");

    visit.open("/leaderboard").await;
    visit.text(r#".row[data-key=":joy:"]"#, "1 vote").await;

    visit.open("/").await;
    visit.find(r#"button[value=":doughnut:"]"#).await.click().await.expect("a click");
    let page = visit.text("main", "HTTP 500").await;
    assert!(page.contains("on purpose") && page.contains("mesh"), "{page}");
    assert_eq!(visit.votes().await.as_array().map(Vec::len), Some(1), "no vote for the doughnut");
    visit.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_doughnut_says_that_it_is_on_purpose_and_the_page_goes_on() {
    let visit = Visit::start(WIDE).await;
    visit.open("/").await;
    visit.find(r#"button[value=":doughnut:"]"#).await.click().await.expect("a click");
    visit.text("#result .note.bad", "on purpose").await;
    visit.find(r#"button[value=":ghost:"]"#).await.click().await.expect("a click");
    visit.text("#result .note.good", ":ghost:").await;
    // The browser itself notes each failed request; nothing else went wrong.
    assert_eq!(visit.complaints(&["/api/vote?choice=:doughnut:"]).await, Vec::<String>::new());
    visit.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leaderboard_moves_by_itself() {
    let mut visit = Visit::start(WIDE).await;
    visit.open("/leaderboard").await;
    visit.text("#live", "Live").await;
    visit.eval("window.sameDocument = true").await;
    let vote = async |choice: &str| {
        let url = visit.web.url(&format!("/api/vote?choice={choice}"));
        assert_eq!(emojivoto_testkit::http::get(&url).await.status, 200);
    };
    vote(":joy:").await;
    visit.text(".rows .row:first-child", ":joy:").await;
    for _ in 0..2 {
        vote(":ghost:").await;
    }
    visit.text(".rows .row:first-child", ":ghost:").await;
    visit.text(".rows .row:last-child", ":joy:").await;
    let waiting =
        visit.eval("return document.querySelectorAll('.waiting [data-key]').length").await;
    assert_eq!(waiting, 98);
    assert_eq!(visit.eval("return window.sameDocument").await, true);

    // Away and back, without a reload.
    let voting = visit.voting.take().expect("a voting service");
    let address = voting.address();
    voting.drained().await;
    visit.text("#live", "Not live right now").await;
    let (_voting, _) = emojivoto_testkit::voting_at(address, Duration::ZERO).await;
    visit.text("#board", "No votes yet").await;
    assert_eq!(visit.text("#live", "Live").await, "Live");
    assert_eq!(visit.complaints(&[]).await, Vec::<String>::new());
    visit.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_alone_is_enough() {
    let visit = Visit::start(WIDE).await;
    visit.open("/").await;
    let press = async |key: Key| {
        visit
            .driver
            .active_element()
            .await
            .expect("focus")
            .send_keys("" + key)
            .await
            .expect("a key");
    };
    let focus = "const e = document.activeElement; return e.value || e.textContent.trim()";
    press(Key::Tab).await;
    assert_eq!(visit.eval(focus).await, "Skip to the content");
    let outline = "const s = getComputedStyle(document.activeElement); return s.outlineStyle + s.outlineWidth";
    assert!(!visit.eval(outline).await.to_string().contains("none"), "focus can be seen");
    press(Key::Enter).await;
    press(Key::Tab).await;
    press(Key::Tab).await;
    assert_eq!(visit.eval(focus).await, ":sunglasses:");
    assert!(!visit.eval(outline).await.to_string().contains("none"), "focus can be seen");
    press(Key::Enter).await;
    visit.text("#result", "You picked 😎 :sunglasses:").await;
    press(Key::Space).await;
    visit.text("#result", "2 times").await;
    assert_eq!(visit.eval(focus).await, ":sunglasses:", "focus stays where it was");
    assert_eq!(visit.votes().await[0]["votes"], "2");
    visit.end().await;
}

/// Every page, with votes on the board.
async fn pages(visit: &Visit) -> [&'static str; 6] {
    for choice in [":joy:", ":ghost:", ":joy:", ":stuck_out_tongue_winking_eye:"] {
        emojivoto_testkit::http::get(&visit.web.url(&format!("/api/vote?choice={choice}"))).await;
    }
    ["/", "/leaderboard", "/picked?choice=:joy:", "/picked?choice=:nope:", "/nope", "/vote"]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_is_wider_than_a_phone() {
    for width in [320, 390] {
        let visit = Visit::start(Setup { width, ..PHONE }).await;
        for path in pages(&visit).await {
            visit.open(path).await;
            let overflow =
                "const e = document.documentElement; return e.scrollWidth - e.clientWidth";
            assert_eq!(visit.eval(overflow).await, 0, "{path} at {width}");
            assert_eq!(visit.eval("return innerWidth").await, width, "{path}");
        }
        visit.open("/").await;
        let small = "return [...document.querySelectorAll('a, button')]
            .filter((e) => !e.matches('.skip'))
            .map((e) => [e.textContent.trim(), e.getBoundingClientRect()])
            .filter(([, box]) => box.width < 44 || box.height < 44)
            .map(([text, box]) => `${text} ${box.width}x${box.height}`)";
        assert_eq!(visit.eval(small).await, json!([]), "targets for fingers");
        visit.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_ask_no_other_host_and_break_nothing() {
    let visit = Visit::start(WIDE).await;
    for path in pages(&visit).await {
        visit.open(path).await;
        let asked = "return performance.getEntriesByType('resource').map((entry) => entry.name)";
        let asked = visit.eval(asked).await;
        let asked: Vec<_> =
            asked.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        let own = visit.web.url("/");
        assert!(asked.len() >= 3, "styles, script and icon: {asked:?}");
        assert!(asked.iter().all(|url| url.starts_with(&own)), "{path}: {asked:?}");
        // Nor would it, had anybody clicked: no page names another host.
        let source = visit.driver.source().await.expect("the source");
        let source = source.replace("http://www.w3.org/", "").replace(&own, "/");
        assert!(!source.contains("://"), "{path}: {source}");
    }
    // The browser notes pages that are errors, which these are meant to be.
    let errors = ["/picked?choice=:nope:", "/nope", "/vote"];
    assert_eq!(visit.complaints(&errors).await, Vec::<String>::new());
    visit.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_accessible_in_both_colour_schemes() {
    let file = emojivoto_e2e::root().join("e2e/node_modules/axe-core/axe.min.js");
    let axe = std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{}: {error}: run .ci/install", file.display()));
    for setup in [WIDE, PHONE] {
        let visit = Visit::start(setup).await;
        for scheme in ["light", "dark"] {
            let features = json!({ "features": [
                { "name": "prefers-color-scheme", "value": scheme },
                { "name": "prefers-reduced-motion", "value": "reduce" },
            ] });
            visit
                .driver
                .cdp()
                .send_raw("Emulation.setEmulatedMedia", features)
                .await
                .expect("a scheme");
            for path in pages(&visit).await {
                visit.open(path).await;
                let dark = "return matchMedia('(prefers-color-scheme: dark)').matches";
                assert_eq!(visit.eval(dark).await, scheme == "dark");
                if path == "/" {
                    visit.find(r#"button[value=":joy:"]"#).await.click().await.expect("a click");
                    visit.text("#result", ":joy:").await;
                }
                visit.eval(&axe).await;
                let run = "const done = arguments[arguments.length - 1];
                    axe.run().then((found) => done([
                        found.passes.length,
                        found.violations.map((v) => [v.id, v.help, v.nodes.map((node) => node.html)]),
                    ]), (error) => done(String(error)))";
                let found = json_of(visit.driver.execute_async(run, vec![]).await);
                assert!(found[0].as_u64().is_some_and(|passes| passes > 10), "axe ran: {found}");
                assert_eq!(found[1], json!([]), "{path} in {scheme} at {}", setup.width);
            }
        }
        visit.end().await;
    }
}

fn json_of(result: WebDriverResult<ScriptRet>) -> Value {
    result.expect("a result").json().clone()
}
