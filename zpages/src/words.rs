//! Figures, as people read them.

pub(crate) use emojivoto_style::grouped;

use crate::report::Quantile;

/// `0.3/s`
pub(crate) fn rate(per_second: f64) -> String {
    match per_second {
        rate if rate <= 0.0 => "0/s".to_owned(),
        rate if rate < 0.01 => "< 0.01/s".to_owned(),
        rate if rate < 0.0995 => format!("{rate:.2}/s"),
        rate if rate < 99.95 => format!("{rate:.1}/s"),
        rate => format!("{}/s", grouped(whole(rate.round()))),
    }
}

/// `90.3 %`. All and none are said of all and none alone.
pub(crate) fn percent(share: f64) -> String {
    format!("{} %", in_percent(share))
}

/// `86.8–93.0 %`, or `100 %` where nothing is left to chance.
pub(crate) fn interval(at_least: f64, at_most: f64) -> String {
    let (low, high) = (in_percent(at_least), in_percent(at_most));
    if low == high { format!("{low} %") } else { format!("{low}–{high} %") }
}

fn in_percent(share: f64) -> String {
    match share {
        share if share >= 1.0 => "100".to_owned(),
        share if share <= 0.0 => "0".to_owned(),
        share => format!("{:.1}", (share * 100.0).clamp(0.1, 99.9)),
    }
}

/// `1.2 ms`, `≥ 2.5 s`, or a dash for none.
pub(crate) fn quantile(quantile: Option<Quantile>) -> String {
    let Some(Quantile { seconds, or_more }) = quantile else { return "–".to_owned() };
    format!("{}{}", if or_more { "≥ " } else { "" }, duration(seconds))
}

fn duration(seconds: f64) -> String {
    let ms = seconds * 1_000.0;
    match ms {
        ms if ms < 0.095 => format!("{ms:.2} ms"),
        ms if ms < 9.95 => format!("{ms:.1} ms"),
        ms if ms < 999.5 => format!("{ms:.0} ms"),
        _ if seconds < 9.95 => format!("{seconds:.1} s"),
        _ => format!("{seconds:.0} s"),
    }
}

/// `12 s`, `3 min`, `5 h 20 min`, `2 d 3 h`: how long something takes or took, as exactly as anybody wants to know.
pub(crate) fn span(seconds: f64) -> String {
    let seconds = whole(seconds);
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, ..) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{} d {} h", grouped(days), hours % 24),
    }
}

/// `3 s ago`
pub(crate) fn ago(seconds: f64) -> String {
    if seconds < 1.0 { "just now".to_owned() } else { format!("{} ago", span(seconds)) }
}

/// `last 10 s`, and how long that is as yet: `last 10 s, so far 4 s`.
pub(crate) fn window(name: &str, length: f64, so_far: f64) -> String {
    // A look comes a little early or late.
    if so_far < length * 0.95 {
        format!("{name}, so far {}", span(so_far))
    } else {
        name.to_owned()
    }
}

/// `94 RPCs`
pub(crate) fn counted(number: usize, one: &str) -> String {
    let number = u64::try_from(number).unwrap_or(u64::MAX);
    format!("{} {one}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn list(words: &[impl AsRef<str>]) -> String {
    let mut text = String::new();
    for (index, word) in words.iter().enumerate() {
        text.push_str(between(index, words.len()));
        text.push_str(word.as_ref());
    }
    text
}

/// What stands before a word of a list.
pub(crate) fn between(index: usize, length: usize) -> &'static str {
    match index {
        0 => "",
        index if index + 1 == length => " and ",
        _ => ", ",
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "neither is there")]
fn whole(number: f64) -> u64 {
    number.max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_the_digits_that_tell_something() {
        let rates = [0.0, 0.001, 0.012, 0.0996, 0.3, 1.04, 12.34, 99.96, 1_234.5];
        let texts =
            ["0/s", "< 0.01/s", "0.01/s", "0.1/s", "0.3/s", "1.0/s", "12.3/s", "100/s", "1,235/s"];
        assert_eq!(rates.map(rate), texts);
    }

    #[test]
    fn all_and_none_are_never_nearly() {
        let shares = [0.0, 0.000_01, 0.5, 0.903_1, 0.999_6, 1.0];
        assert_eq!(shares.map(percent), ["0 %", "0.1 %", "50.0 %", "90.3 %", "99.9 %", "100 %"]);
    }

    #[test]
    fn an_interval_without_chance_is_one_number() {
        assert_eq!(interval(0.868, 0.930_1), "86.8–93.0 %");
        assert_eq!(interval(1.0, 1.0), "100 %");
        assert_eq!(interval(0.0, 1.0), "0–100 %");
        assert_eq!(interval(0.999_91, 0.999_93), "99.9 %");
    }

    #[test]
    fn quantiles_are_in_milliseconds_until_they_are_seconds() {
        let text = |seconds| quantile(Some(Quantile { seconds, or_more: false }));
        let seconds = [0.000_05, 0.000_95, 0.001_2, 0.009_96, 0.123, 0.999_6, 2.5, 59.7];
        let texts = ["0.05 ms", "0.9 ms", "1.2 ms", "10 ms", "123 ms", "1.0 s", "2.5 s", "60 s"];
        assert_eq!(seconds.map(text), texts);
        assert_eq!(quantile(Some(Quantile { seconds: 2.5, or_more: true })), "≥ 2.5 s");
        assert_eq!(quantile(None), "–");
    }

    #[test]
    fn ages_are_as_exact_as_anybody_wants() {
        let ages = [0.4, 3.9, 61.0, 3_600.0 * 5.0 + 1_200.0, 86_400.0 * 2.0 + 3.0 * 3_600.0];
        let texts = ["just now", "3 s ago", "1 min ago", "5 h 20 min ago", "2 d 3 h ago"];
        assert_eq!(ages.map(ago), texts);
    }

    #[test]
    fn a_window_says_when_it_is_shorter_than_it_is_called() {
        assert_eq!(window("last 10 s", 10.0, 9.98), "last 10 s");
        assert_eq!(window("last 10 s", 10.0, 4.02), "last 10 s, so far 4 s");
    }

    #[test]
    fn words_agree_with_numbers() {
        assert_eq!(counted(1, "RPC"), "1 RPC");
        assert_eq!(counted(1_094, "route"), "1,094 routes");
        assert_eq!(
            [1, 2, 3].map(|length| list(&["a", "b", "c"][..length])),
            ["a", "a and b", "a, b and c"]
        );
    }
}
