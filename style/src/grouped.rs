//! Numbers that people can read.

/// `1234567` as `1,234,567`: a bot that votes every second soon makes long numbers.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let numbers = [0, 999, 1_000, 999_999, 1_234_567];
        assert_eq!(numbers.map(grouped), ["0", "999", "1,000", "999,999", "1,234,567"]);
    }
}
