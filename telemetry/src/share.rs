//! Shares of something, as settings give them.

/// Parses a share, a number from 0.0 (none) to 1.0 (all).
pub fn share(text: &str) -> Result<f64, &'static str> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or("expected a number from 0.0 to 1.0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_number_from_none_to_all() {
        for (text, value) in [("0", 0.0), ("0.0", 0.0), ("0.25", 0.25), ("1", 1.0), ("1.0", 1.0)] {
            assert_eq!(share(text), Ok(value));
        }
        for text in ["", "-0.1", "1.1", "50%", "NaN", "inf", "0,5", "one", "all"] {
            share(text).expect_err(text);
        }
    }
}
