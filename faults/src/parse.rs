//! Reads a set of rules: TOML, with a table `[[rule]]` for each.

#[cfg(test)]
mod tests;

use std::{
    borrow::Cow,
    fmt,
    ops::{Range, RangeInclusive},
    slice,
    time::Duration,
};

use toml::Spanned;
use toml::de::{DeTable, DeValue, Error as TomlError};

use crate::{
    Code, Delay, Effect, Failure, MAX_DELAY, Place, Places, Rule,
    duration::{Go, go_duration},
    places::About,
};

/// A set has no more rules.
pub const MAX_RULES: usize = 64;

/// A set is no longer than this, in bytes.
pub const MAX_TEXT: usize = 64 * 1024;

/// Names and messages are no longer than these, in bytes. That of a name is that of a label in Kubernetes.
const MAX_NAME: usize = 63;
const MAX_MESSAGE: usize = 256;

/// A rule lasts no longer than this, nor begins later.
const MAX_AGE: Duration = Duration::from_hours(24 * 365);

/// What is wrong with a set, none of which is taken then: where, and what was expected there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// From 1. There is none if the set as a whole is too long.
    pub line: Option<usize>,
    /// The name of the rule, if it has one, or else which one it is, from 1: `#2`.
    pub rule: Option<String>,
    /// What is wrong of the rule.
    pub field: Option<String>,
    /// What was expected there, and what was found.
    pub problem: String,
}

impl std::error::Error for Invalid {}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line.map(|line| format!("line {line}"));
        let rule = self.rule.as_ref().map(|rule| format!("rule {rule}"));
        let parts: Vec<_> = [line, rule, self.field.clone()].into_iter().flatten().collect();
        if !parts.is_empty() {
            write!(f, "{}: ", parts.join(", "))?;
        }
        f.write_str(&self.problem)
    }
}

/// Reads a set: rules of these places. Of several things that are wrong, an error tells of one.
pub fn parse(text: &str, places: &Places) -> Result<Vec<Rule>, Invalid> {
    if text.len() > MAX_TEXT {
        let problem = format!("expected at most {MAX_TEXT} bytes, got {}", text.len());
        return Err(Invalid { line: None, rule: None, field: None, problem });
    }
    let document = DeTable::parse(text).map_err(|error| not_toml(text, &error))?;
    if let Some(key) = unknown(document.get_ref(), &["rule"]) {
        let problem = format!("expected [[rule]], got {}", shown(key.get_ref()));
        return Err(invalid(text, key.span(), problem));
    }
    let Some((key, value)) = document.get_ref().get_key_value("rule") else {
        return Ok(Vec::new());
    };
    let tables = value.get_ref().as_array().ok_or_else(|| {
        let problem = "expected [[rule]], in two brackets, for each rule".to_owned();
        invalid(text, key.span(), problem)
    })?;
    if let Some(value) = tables.get(MAX_RULES) {
        let problem = format!("expected at most {MAX_RULES} rules, got {}", tables.len());
        return Err(invalid(text, value.span(), problem));
    }
    let mut rules = Vec::new();
    for value in tables {
        rules.push(read(text, places, &rules, value)?);
    }
    Ok(rules)
}

/// The first key that is none of these.
fn unknown<'a>(table: &'a DeTable<'_>, known: &[&str]) -> Option<&'a Spanned<Cow<'a, str>>> {
    let keys = table.keys().filter(|key| !known.contains(&key.get_ref().as_ref()));
    keys.min_by_key(|key| key.span().start)
}

/// Reads the rule that comes after these.
fn read(
    text: &str,
    places: &Places,
    before: &[Rule],
    value: &Spanned<DeValue<'_>>,
) -> Result<Rule, Invalid> {
    let unnamed = format!("#{}", before.len() + 1);
    let Some(table) = value.get_ref().as_table() else {
        let problem = format!("expected a table, got {}", found(value.get_ref()));
        return Err(Invalid { rule: Some(unnamed), ..invalid(text, value.span(), problem) });
    };
    let is_taken = |name: &str| before.iter().any(|other| other.name == name);
    let name = table.get("name").and_then(|name| name.get_ref().as_str());
    let name = name.filter(|name| is_name(name) && !is_taken(name));
    let called = name.map_or(unnamed, |name| format!("\"{name}\""));
    Reader { text, places, before, table, span: value.span(), called }.read()
}

/// What is wrong in the line in which this begins.
fn invalid(text: &str, span: Range<usize>, problem: String) -> Invalid {
    // What is missing at the end is missing in the last line that there is.
    let before = text.trim_end().bytes().take(span.start);
    let line = before.filter(|byte| *byte == b'\n').count() + 1;
    Invalid { line: Some(line), rule: None, field: None, problem }
}

fn not_toml(text: &str, error: &TomlError) -> Invalid {
    invalid(text, error.span().unwrap_or_default(), error.message().to_owned())
}

const FIELDS: [&str; 16] = [
    "name",
    "grpc",
    "http",
    "emoji",
    "share",
    "delay",
    "code",
    "status",
    "message",
    "reset",
    "stall",
    "rate",
    "concurrency",
    "start",
    "for",
    "seed",
];

/// Reads a rule.
struct Reader<'a> {
    text: &'a str,
    places: &'a Places,
    before: &'a [Rule],
    table: &'a DeTable<'a>,
    span: Range<usize>,
    called: String,
}

impl Reader<'_> {
    fn read(&self) -> Result<Rule, Invalid> {
        if let Some(key) = unknown(self.table, &FIELDS) {
            let problem = format!("expected one of {}", FIELDS.join(", "));
            return Err(self.at(key.span(), &as_key(key.get_ref()), problem));
        }
        let rule = Rule {
            name: self.name()?,
            grpc: self.names("grpc", "an RPC such as VoteJoy, Vote* or *", |name| {
                self.has_place(name, Place::is_rpc)
            })?,
            http: self.names("http", "a route such as /api/vote, /api/* or *", |name| {
                self.has_place(name, |place| !place.is_rpc())
            })?,
            emoji: self.names("emoji", "a shortcode of the ballot such as :joy:", |name| {
                self.places.has_emoji(name)
            })?,
            share: self
                .number("share", "a number from 0 to 1", |share| (0.0..=1.0).contains(&share))?
                .unwrap_or(1.0),
            delay: self.delay()?,
            effect: self.effect()?,
            start: self.age("start")?.unwrap_or_default(),
            lasts: self.age("for")?,
            seed: self.whole("seed", 0..=i64::MAX.cast_unsigned())?,
        };
        self.makes_sense(&rule)?;
        Ok(rule)
    }

    /// What no field by itself can tell.
    fn makes_sense(&self, rule: &Rule) -> Result<(), Invalid> {
        let wrong = |field, problem: &str| Err(self.of(field, problem.to_owned()));
        if rule.delay.is_none() && rule.effect.is_none() {
            let effects = "delay, code, status, reset, stall, rate or concurrency";
            return Err(self.rule(format!("expected something that it does: {effects}")));
        }
        if matches!(rule.effect, Some(Effect::Rate(_) | Effect::Concurrency(_))) {
            if rule.delay.is_some() {
                let problem = "expected none beside a limit: write a rule of its own for the delay";
                return wrong("delay", problem);
            }
            if self.table.contains_key("share") {
                let problem = "expected none beside a limit, which is for all that it matches";
                return wrong("share", problem);
            }
        }
        if rule.lasts == Some(Duration::ZERO) {
            return wrong("for", "expected a duration above zero");
        }
        let places = self.places.iter();
        let struck: Vec<_> =
            places.filter(|(place, about)| rule.can_strike(*place, *about)).collect();
        if struck.is_empty() {
            let problem = "expected one that an RPC or route that the rule matches votes for";
            return wrong("emoji", problem);
        }
        let Some(Effect::Fail(Failure { code, status, .. })) = &rule.effect else { return Ok(()) };
        let rpcs = struck.iter().any(|(place, _)| place.is_rpc());
        let routes = struck.iter().any(|(place, _)| !place.is_rpc());
        match (code, status) {
            (Some(_), _) if !rpcs => {
                wrong("code", "expected none: the rule matches no RPC, and routes have status")
            }
            (_, Some(_)) if !routes => {
                wrong("status", "expected none: the rule matches no route, and RPCs have code")
            }
            (None, _) if rpcs => wrong(
                "code",
                "expected one such as UNAVAILABLE for the RPCs that the rule matches, or http alone to match only routes",
            ),
            (_, None) if routes => wrong(
                "status",
                "expected one such as 503 for the routes that the rule matches, or grpc alone to match only RPCs",
            ),
            _ => Ok(()),
        }
    }

    fn name(&self) -> Result<String, Invalid> {
        let expected = format!("1 to {MAX_NAME} small letters, digits and hyphens between them");
        let Some(value) = self.table.get("name") else {
            return Err(self.of("name", format!("expected one: {expected}")));
        };
        let name = self.text(value, "name", &expected)?;
        if !is_name(name) {
            return Err(self.wrong(value, "name", &expected));
        }
        if self.before.iter().any(|other| other.name == name) {
            return Err(self.wrong(value, "name", "one that no other rule has"));
        }
        Ok(name.to_owned())
    }

    /// One name or several.
    fn names(
        &self,
        field: &str,
        expected: &str,
        is_known: impl Fn(&str) -> bool,
    ) -> Result<Vec<String>, Invalid> {
        let Some(value) = self.table.get(field) else { return Ok(Vec::new()) };
        let values = match value.get_ref() {
            DeValue::Array(values) if !values.is_empty() => &values[..],
            _ => slice::from_ref(value),
        };
        let name = |value| {
            let name = self.text(value, field, expected)?;
            if is_known(name) {
                Ok(name.to_owned())
            } else {
                Err(self.wrong(value, field, expected))
            }
        };
        values.iter().map(name).collect()
    }

    fn has_place(&self, pattern: &str, is_one: impl Fn(Place) -> bool) -> bool {
        self.places.iter().any(|(place, _)| is_one(place) && matches(pattern, place.name()))
    }

    fn effect(&self) -> Result<Option<Effect>, Invalid> {
        let failure = self.failure()?;
        let fails = if self.table.contains_key("code") { "code" } else { "status" };
        let rate = "a number above 0 and up to 1000000, so many a second";
        let rate = self.number("rate", rate, |rate| rate > 0.0 && rate <= 1e6)?;
        let of = [
            (fails, failure.map(Effect::Fail)),
            ("reset", self.flag("reset")?.map(|()| Effect::Reset)),
            ("stall", self.flag("stall")?.map(|()| Effect::Stall)),
            ("rate", rate.map(Effect::Rate)),
            ("concurrency", self.whole("concurrency", 1..=1_000_000)?.map(Effect::Concurrency)),
        ];
        let mut given = of.into_iter().filter_map(|(field, effect)| Some((field, effect?)));
        let Some((one, effect)) = given.next() else { return Ok(None) };
        if let Some((other, _)) = given.next() {
            let problem = format!("expected none beside {one}: write a rule of its own for it");
            return Err(self.of(other, problem));
        }
        Ok(Some(effect))
    }

    fn failure(&self) -> Result<Option<Failure>, Invalid> {
        let named = |value| {
            let expected = "a code of gRPC in capitals, other than OK, such as UNAVAILABLE";
            let name = self.text(value, "code", expected)?;
            Code::named(name).ok_or_else(|| self.wrong(value, "code", expected))
        };
        let code = self.table.get("code").map(named).transpose()?;
        let status = self.whole("status", 400..=599)?;
        let fails = code.is_some() || status.is_some();
        let words = |value| {
            let expected = format!("a text of at most {MAX_MESSAGE} bytes in one line");
            let text = self.text(value, "message", &expected)?;
            if text.len() > MAX_MESSAGE || text.chars().any(char::is_control) {
                return Err(self.wrong(value, "message", &expected));
            }
            if !fails {
                return Err(self.of("message", "expected code or status beside it".to_owned()));
            }
            Ok(text.to_owned())
        };
        let message = self.table.get("message").map(words).transpose()?;
        Ok(fails.then_some(Failure { code, status, message }))
    }

    fn delay(&self) -> Result<Option<Delay>, Invalid> {
        const EXPECTED: &str = "a duration such as \"150ms\", { from, to }, { mean, deviation } or percentiles from p0 to p100 such as { p50, p99 }";
        let Some(value) = self.table.get("delay") else { return Ok(None) };
        let table = match value.get_ref() {
            DeValue::Table(table) if !table.is_empty() => table,
            _ => {
                let delay = self.duration(value, "delay", EXPECTED, MAX_DELAY)?;
                return Ok(Some(Delay::Fixed(delay)));
            }
        };
        let mut given = Vec::new();
        for (key, value) in table {
            let field = format!("delay.{}", as_key(key.get_ref()));
            let delay = self.duration(value, &field, "a duration such as \"150ms\"", MAX_DELAY)?;
            given.push((key.get_ref().as_ref(), delay));
        }
        given.sort_unstable();
        let wrong = |problem: &str| Err(self.of("delay", problem.to_owned()));
        match given[..] {
            [("from", from), ("to", to)] if from > to => {
                return wrong("expected from not to be above to");
            }
            [("from", from), ("to", to)] => return Ok(Some(Delay::Uniform { from, to })),
            [("deviation", deviation), ("mean", mean)] => {
                return Ok(Some(Delay::Normal { mean, deviation }));
            }
            _ => {}
        }
        let point = |(key, delay): &(&str, Duration)| Some((percentile(key)?, *delay));
        let points: Option<Vec<_>> = given.iter().map(point).collect();
        let Some(mut points) = points else {
            let keys: Vec<_> = given.iter().map(|(key, _)| as_key(key)).collect();
            let got = short(&keys.join(", ")).into_owned();
            return wrong(&format!("expected {EXPECTED}, got {{ {got} }}"));
        };
        points.sort_by_key(|(percentile, _)| *percentile);
        if !points.is_sorted_by_key(|(_, delay)| *delay) {
            return wrong("expected higher percentiles not to be shorter than lower ones");
        }
        Ok(Some(Delay::Points(points)))
    }

    fn text<'v>(
        &self,
        value: &'v Spanned<DeValue<'_>>,
        field: &str,
        expected: &str,
    ) -> Result<&'v str, Invalid> {
        value.get_ref().as_str().ok_or_else(|| self.wrong(value, field, expected))
    }

    fn flag(&self, field: &str) -> Result<Option<()>, Invalid> {
        let Some(value) = self.table.get(field) else { return Ok(None) };
        match value.get_ref() {
            DeValue::Boolean(true) => Ok(Some(())),
            _ => Err(self.wrong(value, field, "true, or no such line")),
        }
    }

    fn number(
        &self,
        field: &str,
        expected: &str,
        fits: impl Fn(f64) -> bool,
    ) -> Result<Option<f64>, Invalid> {
        let Some(value) = self.table.get(field) else { return Ok(None) };
        let number: Option<f64> = match value.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse().ok(),
            DeValue::Float(number) => number.as_str().parse().ok(),
            _ => None,
        };
        let number = number.filter(|number| fits(*number));
        number.map(Some).ok_or_else(|| self.wrong(value, field, expected))
    }

    fn whole<T: TryFrom<i64> + PartialOrd + fmt::Display>(
        &self,
        field: &str,
        range: RangeInclusive<T>,
    ) -> Result<Option<T>, Invalid> {
        let Some(value) = self.table.get(field) else { return Ok(None) };
        let number = value.get_ref().as_integer();
        let number = number.and_then(|n| i64::from_str_radix(n.as_str(), n.radix()).ok());
        let number = number.and_then(|number| T::try_from(number).ok());
        let number = number.filter(|number| range.contains(number));
        number.map(Some).ok_or_else(|| {
            let expected = format!("a whole number from {} to {}", range.start(), range.end());
            self.wrong(value, field, &expected)
        })
    }

    /// How long before a rule begins, or from then on.
    fn age(&self, field: &str) -> Result<Option<Duration>, Invalid> {
        let Some(value) = self.table.get(field) else { return Ok(None) };
        self.duration(value, field, "a duration such as \"30s\" or \"10m\"", MAX_AGE).map(Some)
    }

    fn duration(
        &self,
        value: &Spanned<DeValue<'_>>,
        field: &str,
        expected: &str,
        most: Duration,
    ) -> Result<Duration, Invalid> {
        let text = self.text(value, field, expected)?;
        let duration = go_duration(text).map_err(|_| self.wrong(value, field, expected))?;
        if duration > most {
            return Err(self.wrong(value, field, &format!("at most {}", Go(most))));
        }
        Ok(duration)
    }

    /// What a field has is not what was expected.
    fn wrong(&self, value: &Spanned<DeValue<'_>>, field: &str, expected: &str) -> Invalid {
        let problem = format!("expected {expected}, got {}", found(value.get_ref()));
        self.at(value.span(), field, problem)
    }

    /// What is wrong of a field that the rule has, or should have.
    fn of(&self, field: &str, problem: String) -> Invalid {
        let span = self.table.get(field).map_or(self.span.clone(), Spanned::span);
        self.at(span, field, problem)
    }

    fn at(&self, span: Range<usize>, field: &str, problem: String) -> Invalid {
        let Invalid { line, .. } = invalid(self.text, span, String::new());
        Invalid { line, field: Some(field.to_owned()), ..self.rule(problem) }
    }

    /// What is wrong of the rule as a whole.
    fn rule(&self, problem: String) -> Invalid {
        let rule = Some(self.called.clone());
        Invalid { rule, ..invalid(self.text, self.span.clone(), problem) }
    }
}

impl Rule {
    /// Whether there are requests for a place that it matches.
    pub(crate) fn can_strike(&self, place: Place, about: About) -> bool {
        let is_named = |names: &[String]| names.iter().any(|name| matches(name, place.name()));
        let place_matches = match (place, self.grpc.is_empty() && self.http.is_empty()) {
            // Emoji alone mean the votes themselves, and not these and what leads to them.
            (_, true) => self.emoji.is_empty() || place.is_rpc(),
            (Place::Rpc { .. }, false) => is_named(&self.grpc),
            (Place::Route(_), false) => is_named(&self.http),
        };
        let emoji_matches = match about {
            _ if self.emoji.is_empty() => true,
            About::Nothing => false,
            About::Emoji(emoji) => self.emoji.iter().any(|wanted| wanted == emoji),
            About::Choice => true,
        };
        place_matches && emoji_matches
    }
}

/// Whether a rule that says `pattern` means this name.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    }
}

fn is_name(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MAX_NAME).contains(&text.len())
        && text.bytes().all(known)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// From 0 to 100: `p99`.
fn percentile(key: &str) -> Option<u8> {
    let digits = key.strip_prefix('p')?;
    let percentile = digits.parse().ok().filter(|percentile: &u8| *percentile <= 100)?;
    // Each is written in one way only, or there could be two of the same.
    (percentile.to_string() == digits).then_some(percentile)
}

/// A value as it may be shown.
fn found(value: &DeValue<'_>) -> String {
    let kind = match value {
        DeValue::String(text) => return shown(text),
        DeValue::Integer(number) => return short(&number.to_string()).into_owned(),
        DeValue::Float(number) => return short(&number.to_string()).into_owned(),
        DeValue::Boolean(yes) => return yes.to_string(),
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(values) if values.is_empty() => "an empty list",
        DeValue::Array(_) => "a list",
        DeValue::Table(table) if table.is_empty() => "an empty table",
        DeValue::Table(_) => "a table",
    };
    kind.to_owned()
}

/// Text as it may be shown: control characters could do things to a terminal.
fn shown(text: &str) -> String {
    format!("{:?}", short(text))
}

/// A key as it may be shown, in quotes only if it needs them.
fn as_key(key: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if !key.is_empty() && key.bytes().all(is_plain) { short(key).into_owned() } else { shown(key) }
}

/// A text, or its beginning.
fn short(text: &str) -> Cow<'_, str> {
    match text.floor_char_boundary(MAX_NAME) {
        end if end < text.len() => format!("{}…", &text[..end]).into(),
        _ => text.into(),
    }
}
