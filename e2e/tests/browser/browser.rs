//! A real Chromium, driven through WebDriver.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use emojivoto_testkit::{PATIENCE, eventually};
use serde_json::{Value, json};
use thirtyfour::{
    ChromeCapabilities, ChromiumLikeCapabilities as _, WebDriver,
    common::log::LoggingPrefsLogLevel, error::WebDriverResult, prelude::*,
};

/// A browser.
pub(crate) struct Browser {
    pub(crate) driver: WebDriver,
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
pub(crate) struct Setup {
    pub(crate) scripts: bool,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

pub(crate) const WIDE: Setup = Setup { scripts: true, width: 1440, height: 900 };
pub(crate) const PHONE: Setup = Setup { scripts: true, width: 390, height: 844 };
pub(crate) const NO_SCRIPTS: Setup = Setup { scripts: false, ..WIDE };

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

impl Browser {
    pub(crate) async fn start(setup: Setup) -> Self {
        // It picks a free port, and ends when another one was faster to take it.
        let (child, port) =
            (0..5).find_map(|_| start_chromedriver()).expect("chromedriver says its port");
        let profile = std::env::temp_dir().join(format!("emojivoto-chromium-{}", child.id()));
        let chromedriver = ChromeDriver { child, profile };
        let capabilities = capabilities(setup, &chromedriver.profile).expect("capabilities");
        let server = format!("http://127.0.0.1:{port}");
        let driver = WebDriver::new(server, capabilities).await.expect("a browser");
        let browser = Self { driver, _chromedriver: chromedriver };
        // The window of a headless browser is not always the size that it was asked for.
        let size = json!({ "width": setup.width, "height": setup.height, "deviceScaleFactor": 1, "mobile": false });
        browser.emulate("Emulation.setDeviceMetricsOverride", size).await;
        browser
    }

    async fn emulate(&self, what: &str, how: Value) {
        self.driver
            .cdp()
            .send_raw(what, how)
            .await
            .unwrap_or_else(|error| panic!("{what}: {error}"));
    }

    /// As who wishes for `light` or `dark`, and for nothing that moves.
    pub(crate) async fn prefer(&self, scheme: &str) {
        let features = json!({ "features": [
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ] });
        self.emulate("Emulation.setEmulatedMedia", features).await;
    }

    pub(crate) async fn find(&self, css: &str) -> WebElement {
        self.driver
            .query(By::Css(css))
            .wait(Duration::from_secs(20), Duration::from_millis(50))
            .first()
            .await
            .unwrap_or_else(|error| panic!("{css}: {error}"))
    }

    /// Waits until the text of an element contains something, and returns all of it.
    pub(crate) async fn text(&self, css: &str, part: &str) -> String {
        eventually(&format!("{part:?} in {css}"), || async {
            let text = self.driver.find(By::Css(css)).await.ok()?.text().await.ok()?;
            text.contains(part).then_some(text)
        })
        .await
    }

    pub(crate) async fn eval(&self, script: &str) -> Value {
        let result = self.driver.execute(script, vec![]).await;
        result.unwrap_or_else(|error| panic!("{script}: {error}")).json().clone()
    }

    /// What the browser complained about, except for what `expected` says.
    pub(crate) async fn complaints(&self, expected: &[&str]) -> Vec<String> {
        let log = self.driver.browser_log().await.expect("the log of the browser");
        let messages = log.into_iter().map(|entry| format!("{:?} {}", entry.level, entry.message));
        messages.filter(|message| !expected.iter().any(|text| message.contains(text))).collect()
    }

    /// What axe finds wrong with the page that is open.
    pub(crate) async fn violations(&self) -> Value {
        let file = emojivoto_e2e::root().join("e2e/node_modules/axe-core/axe.min.js");
        let axe = std::fs::read_to_string(&file)
            .unwrap_or_else(|error| panic!("{}: {error}: run .ci/install", file.display()));
        self.eval(&axe).await;
        let run = "const done = arguments[arguments.length - 1];
            axe.run().then((found) => done([
                found.passes.length,
                found.violations.map((v) => [v.id, v.help, v.nodes.map((node) => node.html)]),
            ]), (error) => done(String(error)))";
        let result = self.driver.execute_async(run, vec![]).await.expect("a result");
        let found = result.json().clone();
        assert!(found[0].as_u64().is_some_and(|passes| passes > 10), "axe ran: {found}");
        found[1].clone()
    }

    /// By how much the page is wider than its window.
    pub(crate) async fn overflow(&self) -> Value {
        self.eval("const e = document.documentElement; return e.scrollWidth - e.clientWidth").await
    }

    /// What the page has asked for besides itself.
    pub(crate) async fn asked_for(&self) -> Vec<String> {
        let asked = "return performance.getEntriesByType('resource').map((entry) => entry.name)";
        let asked = self.eval(asked).await;
        let asked = asked.as_array().expect("a list").iter().filter_map(Value::as_str);
        asked.map(str::to_owned).collect()
    }

    pub(crate) async fn end(self) {
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
