//! `OTEL_*` variables, looked up and parsed.

use std::{ffi::OsString, fmt, ops::RangeInclusive, time::Duration};

use percent_encoding::percent_decode_str;

/// A variable has a value that makes no sense; said as clap says it of the other settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid value {value} for '{variable}': {expected}")]
pub struct InvalidSetting {
    variable: String,
    value: String,
    expected: String,
}

/// Where variables are looked up.
pub(super) struct Environment<'a>(pub(super) &'a dyn Fn(&str) -> Option<OsString>);

impl Environment<'_> {
    /// The value of a variable, if it is set to anything. What `parse` expects is part of the error.
    pub(super) fn parse<T, E: fmt::Display>(
        &self,
        variable: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, InvalidSetting> {
        let Some(value) = self.0(variable).filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        let parsed = match value.to_str() {
            Some(text) => parse(text.trim()).map_err(|expected| expected.to_string()),
            None => Err("expected UTF-8".to_owned()),
        };
        parsed.map(Some).map_err(|expected| InvalidSetting {
            variable: variable.to_owned(),
            value: shown(variable, &value.to_string_lossy()),
            expected,
        })
    }

    /// The value of a variable of the exporters: that of the signal, or else that of all signals. Both
    /// are checked, whichever is used.
    pub(super) fn parse_exporter<T, E: fmt::Display>(
        &self,
        signal: &str,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, InvalidSetting> {
        let of_all = self.parse(&format!("OTEL_EXPORTER_OTLP_{name}"), &parse)?;
        let of_one = self.parse(&format!("OTEL_EXPORTER_OTLP_{signal}_{name}"), &parse)?;
        Ok(of_one.or(of_all))
    }
}

/// Headers hold tokens, and an address may hold a password: neither must get into a log.
fn shown(variable: &str, value: &str) -> String {
    let secret = variable.ends_with("_HEADERS") || value.contains('@');
    if secret { "(not shown)".to_owned() } else { format!("'{value}'") }
}

/// One of some words, in upper or lower case.
pub(super) fn one_of<T: Copy>(words: &[(&str, T)]) -> impl Fn(&str) -> Result<T, String> {
    move |text| {
        let known = words.iter().find(|(word, _)| text.eq_ignore_ascii_case(word));
        known.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            format!("expected one of {}", words.join(", "))
        })
    }
}

/// Milliseconds, without a unit; 1 ms to 1 h, as for the other settings of the suite.
pub(super) fn millis(text: &str) -> Result<Duration, &'static str> {
    const RANGE: RangeInclusive<u64> = 1..=3_600_000;
    let millis = text.parse().ok().filter(|millis| RANGE.contains(millis));
    millis.map(Duration::from_millis).ok_or("expected milliseconds, from 1 to 3600000")
}

/// A number from 1 to a maximum.
pub(super) fn count(most: usize) -> impl Fn(&str) -> Result<usize, String> {
    move |text| {
        let count = text.parse().ok().filter(|count| (1..=most).contains(count));
        count.ok_or_else(|| format!("expected a number from 1 to {most}"))
    }
}

/// `name=value,name=value`, where values (and names, which costs nothing) may be percent-encoded, as
/// in a W3C `baggage` header.
pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>, &'static str> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let (name, value) = (decoded(name.trim())?, decoded(value.trim())?);
        (!name.is_empty()).then_some((name, value))
    });
    let pairs: Option<Vec<_>> = pairs.collect();
    pairs.ok_or("expected name=value,name=value with percent-encoded values")
}

fn decoded(text: &str) -> Option<String> {
    Some(percent_decode_str(text).decode_utf8().ok()?.into_owned())
}
