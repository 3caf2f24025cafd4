//! What the page shows, and in which order. The templates only lay it out, and Askama escapes every value.

use std::{cmp::Reverse, sync::LazyLock};

use askama::Template;
use emojivoto_style::{Asset, Assets, BASE_CSS, LIVE_JS, favicon_svg};
use emojivoto_telemetry::metrics::{OTHER, Place};

use crate::{
    report::{Figures, Report, Row},
    words,
};

/// The short window says something once it is so long, in seconds.
const ENOUGH: f64 = 5.0;

/// So many are named in a sentence.
const NAMED: usize = 3;

static ASSETS: LazyLock<Assets> = LazyLock::new(|| {
    Assets::new([
        Asset::new("page.css", [BASE_CSS, include_str!("../static/page.css")].concat()),
        Asset::new("page.js", [LIVE_JS, include_str!("../static/page.js")].concat()),
        favicon_svg(),
    ])
});

/// What the page links to.
pub(crate) fn assets() -> &'static Assets {
    &ASSETS
}

/// The whole document.
pub(crate) fn page(report: &Report) -> Result<String, askama::Error> {
    Page { report, live: Live::new(report) }.render()
}

/// The part of it that changes.
pub(crate) fn live(report: &Report) -> Result<String, askama::Error> {
    Live::new(report).render()
}

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    report: &'a Report,
    live: Live<'a>,
}

#[derive(Template)]
#[template(path = "live.html")]
struct Live<'a> {
    report: &'a Report,
    verdict: Verdict<'a>,
    way: Way,
    served: Table<'a>,
    called: Table<'a>,
}

impl<'a> Live<'a> {
    fn new(report: &'a Report) -> Self {
        Self {
            report,
            verdict: Verdict::new(report),
            way: Way::new(report),
            served: Table::new("served", &report.served),
            called: Table::new("called", &report.called),
        }
    }

    /// Whether it is still in force, and has a place on the page.
    fn has_rule(&self, name: &str) -> bool {
        self.report.faults.iter().any(|fault| fault.name == name)
    }
}

/// How a place is called on the page.
trait Called {
    /// Where it belongs: `VotingService`, or the kind of address.
    fn group(&self) -> &'static str;

    fn name(&self) -> &'static str;

    /// What stands before the name wherever its group is not known: `VotingService/`.
    fn prefix(&self) -> String;

    /// The end of the id of its row. RPCs of the suite are known by their methods alone.
    fn key(&self) -> String;

    fn is_rpc(&self) -> bool;
}

impl Called for Place {
    fn group(&self) -> &'static str {
        match *self {
            Self::Rpc { grpc_service: OTHER, .. } => "Other RPCs",
            Self::Rpc { grpc_service, .. } => short(grpc_service),
            Self::Route { .. } => "Routes",
            Self::Url { .. } => "Addresses of web",
        }
    }

    fn name(&self) -> &'static str {
        match *self {
            Self::Rpc { grpc_method: OTHER, .. } => "any other RPC",
            Self::Rpc { grpc_method, .. } => grpc_method,
            Self::Route { http_route: OTHER } => "any other address",
            Self::Route { http_route: path } | Self::Url { url_template: path } => path,
        }
    }

    fn prefix(&self) -> String {
        match *self {
            Self::Rpc { grpc_service, .. } if grpc_service != OTHER => {
                format!("{}/", short(grpc_service))
            }
            _ => String::new(),
        }
    }

    fn key(&self) -> String {
        match *self {
            Self::Rpc { grpc_service, grpc_method } if grpc_service.starts_with("emojivoto.") => {
                grpc_method.to_owned()
            }
            Self::Rpc { grpc_service, grpc_method } => format!("{grpc_service}/{grpc_method}"),
            Self::Route { http_route: path } | Self::Url { url_template: path } => path.to_owned(),
        }
    }

    fn is_rpc(&self) -> bool {
        matches!(self, Self::Rpc { .. })
    }
}

/// `VotingService` of `emojivoto.v1.VotingService`.
fn short(service: &str) -> &str {
    service.rsplit_once('.').map_or(service, |(_, name)| name)
}

impl Row {
    fn failed(&self) -> u64 {
        self.since_start.failed
    }

    /// Whether it does so still, as far as it was called lately.
    fn fails(&self) -> bool {
        self.failed() > 0 && (self.last_minute.calls == 0 || self.last_minute.failed > 0)
    }

    fn outside(&self) -> bool {
        self.expected.as_ref().is_some_and(|expected| expected.outside)
    }

    fn is_shown(&self) -> bool {
        self.since_start.calls > 0 || self.in_flight > 0
    }

    /// `7 of 7`
    fn failures(&self) -> String {
        let Figures { failed, calls, .. } = self.since_start;
        format!("{} of {}", words::grouped(failed), words::grouped(calls))
    }

    /// Orders what fails most to the front: by the share that fails, in tenths, so that two that fail alike do not change
    /// places all the time.
    fn by_share(&self) -> u64 {
        let Figures { failed, calls, .. } = self.since_start;
        (failed * 10).checked_div(calls).unwrap_or(0)
    }
}

/// What there is to say in a sentence.
struct Verdict<'a> {
    failing: Named<'a>,
    outside: Named<'a>,
    calls: u64,
}

/// The first few of some rows, and how many more there are.
struct Named<'a> {
    rows: Vec<(&'static str, &'a Row)>,
    more: usize,
}

impl<'a> Verdict<'a> {
    fn new(report: &'a Report) -> Self {
        let served = report.served.iter().map(|row| ("served", row));
        // What fails here fails for those who call it here: it is named once.
        let called = report.called.iter().filter(|row| !is_served(row, &report.served));
        let called = called.map(|row| ("called", row));
        let mut failing: Vec<_> =
            served.clone().chain(called).filter(|(_, row)| row.fails()).collect();
        // A route fails because of an RPC, and whatever there is not fails always.
        failing.sort_by_key(|(side, row)| {
            let known = !row.place.key().ends_with(OTHER);
            Reverse((known, row.place.is_rpc(), *side == "served", row.by_share()))
        });
        let outside = served.filter(|(_, row)| row.outside()).collect();
        let calls = |rows: &[Row]| rows.iter().map(|row| row.since_start.calls).sum::<u64>();
        // What is called here may be served here as well.
        let calls = calls(&report.served).max(calls(&report.called));
        Self { failing: Named::new(failing), outside: Named::new(outside), calls }
    }
}

fn is_served(called: &Row, served: &[Row]) -> bool {
    served.iter().any(|row| row.fails() && row.place.key() == called.place.key())
}

impl<'a> Named<'a> {
    fn new(mut rows: Vec<(&'static str, &'a Row)>) -> Self {
        let more = rows.len().saturating_sub(NAMED);
        rows.truncate(NAMED);
        Self { rows, more }
    }

    /// What stands before the name at this place: it is the last one, unless there are more.
    fn before(&self, index: usize) -> &'static str {
        words::between(index, self.rows.len() + usize::from(self.more > 0))
    }

    fn is_one(&self) -> bool {
        self.rows.len() == 1
    }

    /// `7 of 7`, of each.
    fn counts(&self) -> String {
        words::list(&self.rows.iter().map(|(_, row)| row.failures()).collect::<Vec<_>>())
    }
}

/// The way of a vote: services, and calls from one to the other.
struct Way {
    bot: Part,
    web: Part,
    emoji: Part,
    voting: Part,
    to_web: Part,
    to_emoji: Part,
    to_voting: Part,
}

/// A service, or an arrow from one to the other.
struct Part {
    /// The service, or the one that calls, runs in this process.
    is_here: bool,
    flow: Option<Flow>,
}

/// What is served by a service or called by another one.
struct Flow {
    rate: String,
    success: String,
    fails: bool,
    window: &'static str,
}

impl Way {
    fn new(report: &Report) -> Self {
        // All of it in the same window.
        let lately = report.windows.last_10s >= ENOUGH;
        let part = |service, rows: &[Row], group| Part {
            is_here: report.process.services.contains(&service),
            flow: Flow::of(rows, group, lately),
        };
        let serves = |service, group| part(service, &report.served, group);
        let calls = |service, group| part(service, &report.called, group);
        Self {
            bot: serves("vote-bot", ""),
            web: serves("web", "Routes"),
            emoji: serves("emoji", "EmojiService"),
            voting: serves("voting", "VotingService"),
            to_web: calls("vote-bot", "Addresses of web"),
            to_emoji: calls("web", "EmojiService"),
            to_voting: calls("web", "VotingService"),
        }
    }
}

impl Flow {
    /// Of all rows of a group together, if there were ever calls: lately, or since the start.
    fn of(rows: &[Row], group: &str, lately: bool) -> Option<Self> {
        let (mut ever, mut calls, mut failed, mut rate, mut good) = (0, 0, 0, 0.0, 0.0);
        for row in rows.iter().filter(|row| row.place.group() == group) {
            let figures = if lately { &row.last_10s } else { &row.since_start };
            ever += row.since_start.calls;
            calls += figures.calls;
            failed += figures.failed;
            rate += figures.rate_per_second;
            good += figures.success.unwrap_or_default() * float(figures.calls);
        }
        let success =
            if calls > 0 { words::percent(good / float(calls)) } else { "–".to_owned() };
        let window = if lately { "last 10 s" } else { "since start" };
        let flow = Self { rate: words::rate(rate), success, fails: failed > 0, window };
        (ever > 0).then_some(flow)
    }
}

#[expect(clippy::cast_precision_loss, reason = "it is rounded to three digits")]
fn float(count: u64) -> f64 {
    count as f64
}

/// All that is served or called, and has been.
struct Table<'a> {
    side: &'static str,
    groups: Vec<Group<'a>>,
    /// The rest, in a sentence.
    rest: Option<String>,
}

struct Group<'a> {
    heading: &'static str,
    fails: bool,
    rows: Vec<&'a Row>,
}

impl Group<'_> {
    /// Its heading as a part of an id.
    fn key(&self) -> String {
        self.heading.replace(' ', "-")
    }
}

impl<'a> Table<'a> {
    fn new(side: &'static str, rows: &'a [Row]) -> Self {
        let shown = || rows.iter().filter(|row| row.is_shown());
        let mut failing: Vec<_> = shown().filter(|row| row.failed() > 0).collect();
        failing.sort_by_key(|row| Reverse(row.by_share()));
        let mut groups = Vec::new();
        if !failing.is_empty() {
            groups.push(Group { heading: "Fails", fails: true, rows: failing });
        }
        for row in shown().filter(|row| row.failed() == 0) {
            let heading = row.place.group();
            let known = groups.iter_mut().find(|group| group.heading == heading);
            match known {
                Some(group) => group.rows.push(row),
                None => groups.push(Group { heading, fails: false, rows: vec![row] }),
            }
        }
        Self { side, groups, rest: rest(rows) }
    }

    fn is_served(&self) -> bool {
        self.side == "served"
    }
}

/// `94 RPCs and 3 routes`: those that nobody has called.
fn rest(rows: &[Row]) -> Option<String> {
    let (rpcs, paths): (Vec<_>, Vec<_>) =
        rows.iter().filter(|row| !row.is_shown()).partition(|row| row.place.is_rpc());
    let counts = [(rpcs.len(), "RPC"), (paths.len(), "route")];
    let counts = counts.into_iter().filter(|(number, _)| *number > 0);
    let counts: Vec<_> = counts.map(|(number, one)| words::counted(number, one)).collect();
    (!counts.is_empty()).then(|| words::list(&counts))
}

/// Enough of a git commit to find it.
fn abbreviated(revision: &str) -> &str {
    revision.get(..12).unwrap_or(revision)
}

#[cfg(test)]
mod tests;
