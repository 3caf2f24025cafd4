//! What the values of `OTEL_*` variables look like.

use std::{ops::RangeInclusive, time::Duration};

use percent_encoding::percent_decode_str;

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

/// A share.
pub(super) fn ratio(text: &str) -> Result<f64, &'static str> {
    let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or("expected a number from 0.0 to 1.0")
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
