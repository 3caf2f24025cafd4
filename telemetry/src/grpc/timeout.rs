//! How long a caller waits.

use std::time::Duration;

use http::HeaderMap;

/// How long a caller waits: the value of `grpc-timeout`, if there is a valid one, up to eight digits and a unit (gRPC over HTTP/2, "Requests").
pub fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("grpc-timeout")?.to_str().ok()?;
    let (number, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    let digits = number.len() <= 8 && number.bytes().all(|digit| digit.is_ascii_digit());
    let number: u32 = number.parse().ok().filter(|_| digits)?;
    let unit = match unit {
        "H" => Duration::from_hours(1),
        "M" => Duration::from_mins(1),
        "S" => Duration::from_secs(1),
        "m" => Duration::from_millis(1),
        "u" => Duration::from_micros(1),
        "n" => Duration::from_nanos(1),
        _ => return None,
    };
    unit.checked_mul(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(value: &'static str) -> Option<Duration> {
        let value = http::HeaderValue::from_static(value);
        timeout(&HeaderMap::from_iter([(http::HeaderName::from_static("grpc-timeout"), value)]))
    }

    #[test]
    fn up_to_eight_digits_and_a_unit() {
        for (value, millis) in [("1H", 3_600_000), ("2M", 120_000), ("3S", 3_000), ("50m", 50)] {
            assert_eq!(parsed(value), Some(Duration::from_millis(millis)), "{value}");
        }
        assert_eq!(parsed("99999999u"), Some(Duration::from_micros(99_999_999)));
        assert_eq!(parsed("7n"), Some(Duration::from_nanos(7)));
        for value in ["", "S", "1", "1s", "1 S", "+1S", "-1S", "1.5S", "100000000n"] {
            assert_eq!(parsed(value), None, "{value}");
        }
    }
}
