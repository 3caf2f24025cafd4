//! The pages in a real Chromium, driven through WebDriver, in front of real services.

mod browser;
mod live_page;

use std::{ops::Deref, time::Duration};

use browser::{Browser, NO_SCRIPTS, PHONE, Setup, WIDE};
use emojivoto_testkit::{Service, emoji, voting, web};
use serde_json::{Value, json};
use thirtyfour::Key;

/// The services, and a browser that looks at them.
struct Visit {
    browser: Browser,
    web: Service,
    _emoji: Service,
    voting: Option<Service>,
}

impl Deref for Visit {
    type Target = Browser;

    fn deref(&self) -> &Browser {
        &self.browser
    }
}

impl Visit {
    async fn start(setup: Setup) -> Self {
        let (emoji, (voting, _)) = (emoji().await, voting(Duration::ZERO).await);
        let web = web(emoji.address(), voting.address()).await.ready().await;
        let browser = Browser::start(setup).await;
        Self { browser, web, _emoji: emoji, voting: Some(voting) }
    }

    async fn open(&self, path: &str) {
        self.driver.goto(self.web.url(path)).await.expect("a page");
    }

    async fn votes(&self) -> Value {
        emojivoto_testkit::http::get(&self.web.url("/api/leaderboard")).await.json()
    }

    async fn path(&self) -> String {
        let url = self.driver.current_url().await.expect("an address");
        url.as_str().strip_prefix(&self.web.url("")).expect("our own").to_owned()
    }

    async fn end(self) {
        self.browser.end().await;
    }
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
            assert_eq!(visit.overflow().await, 0, "{path} at {width}");
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
        let asked = visit.asked_for().await;
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
    for setup in [WIDE, PHONE] {
        let visit = Visit::start(setup).await;
        for scheme in ["light", "dark"] {
            visit.prefer(scheme).await;
            for path in pages(&visit).await {
                visit.open(path).await;
                let dark = "return matchMedia('(prefers-color-scheme: dark)').matches";
                assert_eq!(visit.eval(dark).await, scheme == "dark");
                if path == "/" {
                    visit.find(r#"button[value=":joy:"]"#).await.click().await.expect("a click");
                    visit.text("#result", ":joy:").await;
                }
                let found = visit.violations().await;
                assert_eq!(found, json!([]), "{path} in {scheme} at {}", setup.width);
            }
        }
        visit.end().await;
    }
}
