//! Durations as Go writes them, because that is what manifests written for v11 hold.

use std::{fmt, time::Duration};

/// The text is not a duration as Go writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a duration such as 150ms, 1.5s or 1m30s, not negative")]
pub struct InvalidDuration;

/// Parses `150ms`, `1.5s`, `1m30s`: one or more decimal numbers, each with a unit (`ns`, `us`,
/// `µs`, `ms`, `s`, `m`, `h`), or a plain `0`. See <https://pkg.go.dev/time#ParseDuration>.
pub fn go_duration(text: &str) -> Result<Duration, InvalidDuration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(InvalidDuration);
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let (number, tail) = split_where(rest, |c| !c.is_ascii_digit() && c != '.');
        let (unit, tail) = split_where(tail, |c| c.is_ascii_digit() || c == '.');
        let nanoseconds = times(number, nanoseconds_per(unit)?).ok_or(InvalidDuration)?;
        let part = Duration::from_nanos(nanoseconds);
        total = total.checked_add(part).ok_or(InvalidDuration)?;
        rest = tail;
    }
    Ok(total)
}

/// Parses how long something is waited for: a duration from 1 ms to 1 h, since nothing is done in less
/// and nobody waits for longer.
pub fn timeout(text: &str) -> Result<Duration, &'static str> {
    let range = Duration::from_millis(1)..=Duration::from_hours(1);
    let timeout = go_duration(text).ok().filter(|duration| range.contains(duration));
    timeout.ok_or("expected a duration from 1ms to 1h, such as 150ms, 1.5s or 1m30s")
}

/// Shows a duration as [`go_duration`] reads it: a whole number of the largest unit that it is one of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Go(pub(crate) Duration);

impl fmt::Display for Go {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u128, &str); 6] = [
            (3_600_000_000_000, "h"),
            (60_000_000_000, "m"),
            (1_000_000_000, "s"),
            (1_000_000, "ms"),
            (1_000, "us"),
            (1, "ns"),
        ];
        let nanoseconds = self.0.as_nanos();
        let unit =
            UNITS.iter().find(|(unit, _)| nanoseconds > 0 && nanoseconds.is_multiple_of(*unit));
        let (unit, name) = unit.unwrap_or(&(1, "s"));
        write!(f, "{}{name}", nanoseconds / unit)
    }
}

fn split_where(text: &str, end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(end).unwrap_or(text.len()))
}

/// A decimal number times a whole one, to the whole number below: exactly, as Go does it, or what [`Go`] shows would not
/// always be what was read.
fn times(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let digits = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse().ok() };
    let whole: u64 = digits(whole)?;
    // No unit has more nanoseconds than these digits tell.
    let fraction = &fraction[..fraction.len().min(18)];
    let parts = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let part = u128::from(digits(fraction)?) * u128::from(unit) / parts;
    whole.checked_mul(unit)?.checked_add(u64::try_from(part).ok()?)
}

fn nanoseconds_per(unit: &str) -> Result<u64, InvalidDuration> {
    Ok(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return Err(InvalidDuration),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_parses_parses() {
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("150ms", 150),
            ("1.5s", 1_500),
            (".5s", 500),
            ("1.s", 1_000),
            ("+2s", 2_000),
            ("1m30s", 90_000),
            ("1h15m30.918s", 4_530_918),
            ("1500us", 1), // compared in milliseconds
            ("2000000ns", 2),
            ("2000µs", 2),
            ("0.002s", 2),
            ("1.9999999999999999999999s", 1_999),
            ("2562047h47m16.854775807s", 9_223_372_036_854), // the longest that Go has
        ] {
            assert_eq!(go_duration(text).map(|d| d.as_millis()), Ok(millis), "{text}");
        }
    }

    #[test]
    fn what_is_shown_parses() {
        for text in ["0s", "1ns", "1500us", "150ms", "90s", "7m", "25h", "1234567890123456789ns"] {
            let duration = go_duration(text).expect("a duration");
            assert_eq!(Go(duration).to_string(), text);
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "+",
            "-1s",
            "5",
            "1.5",
            "s",
            "ms",
            ".s",
            "1 s",
            "1s ",
            "1.2.3s",
            "1d",
            "1S",
            "infs",
            "NaNs",
            "1e3s",
            "1s-",
            "99999999999999999999h",
            "\u{0}",
        ] {
            assert_eq!(go_duration(text), Err(InvalidDuration), "{text:?}");
        }
    }
}
