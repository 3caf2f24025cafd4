//! The hundred emoji that one can vote for, in display order.

use std::{collections::HashMap, fmt, str::FromStr, sync::LazyLock};

/// Tab-separated, one emoji a line below the header: shortcode, picture, code points, RPC name.
const TABLE: &str = include_str!("../ballot.tsv");

struct Entry {
    shortcode: &'static str,
    unicode: &'static str,
    rpc: &'static str,
}

static BALLOT: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    TABLE
        .lines()
        .skip(1)
        .map(|line| {
            let mut columns = line.split('\t');
            let mut column = || columns.next().expect("ballot.tsv has four columns a line");
            let (shortcode, unicode, _code_points, rpc) = (column(), column(), column(), column());
            Entry { shortcode, unicode, rpc }
        })
        .collect()
});

static BY_NAME: LazyLock<HashMap<&'static str, Shortcode>> =
    LazyLock::new(|| Shortcode::all().map(|emoji| (emoji.as_str(), emoji)).collect());

/// An emoji of the ballot, known by its shortcode (`:joy:`).
///
/// Exists only for the emoji that are on the ballot, so whoever holds one need not check it again.
/// Ordered as the ballot is. Parsing is a hash look-up, everything else an array access.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shortcode(u8);

impl Shortcode {
    /// How many emoji the ballot has.
    pub const COUNT: usize = 100;

    /// The ballot, in display order.
    pub fn all() -> impl ExactSizeIterator<Item = Self> + Clone {
        (0..Self::COUNT).map(|index| Self(u8::try_from(index).expect("the ballot has 100 emoji")))
    }

    /// The emoji whose vote fails on purpose.
    pub fn doughnut() -> Self {
        static DOUGHNUT: LazyLock<Shortcode> =
            LazyLock::new(|| ":doughnut:".parse().expect("the doughnut is on the ballot"));
        *DOUGHNUT
    }

    fn entry(self) -> &'static Entry {
        &BALLOT[self.index()]
    }

    /// The place on the ballot, from 0 to [`Self::COUNT`] - 1.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The name with its colons: `:joy:`.
    pub fn as_str(self) -> &'static str {
        self.entry().shortcode
    }

    /// The picture: `😂`.
    pub fn unicode(self) -> &'static str {
        self.entry().unicode
    }

    /// The method of `VotingService` that votes for it: `VoteJoy`.
    pub fn rpc(self) -> &'static str {
        self.entry().rpc
    }
}

impl fmt::Display for Shortcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Shortcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not the shortcode of an emoji on the ballot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an emoji of the ballot: expected a shortcode such as :joy:")]
pub struct UnknownShortcode;

impl FromStr for Shortcode {
    type Err = UnknownShortcode;

    fn from_str(text: &str) -> Result<Self, UnknownShortcode> {
        BY_NAME.get(text).copied().ok_or(UnknownShortcode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ballot_has_a_hundred_distinct_emoji_that_parse() {
        assert_eq!(BALLOT.len(), Shortcode::COUNT);
        assert_eq!(BY_NAME.len(), Shortcode::COUNT, "a shortcode is listed twice");
        for emoji in Shortcode::all() {
            assert_eq!(emoji.as_str().parse(), Ok(emoji));
        }
        assert_eq!(Shortcode::all().next().map(Shortcode::as_str), Some(":joy:"));
        assert_eq!(Shortcode::all().last().map(Shortcode::as_str), Some(":relaxed:"));
    }

    #[test]
    fn only_exact_shortcodes_parse() {
        for text in
            ["", "joy", ":joy", "joy:", ":JOY:", " :joy:", ":joy:\n", "😂", "VoteJoy", ":nope:"]
        {
            assert_eq!(text.parse::<Shortcode>(), Err(UnknownShortcode), "{text:?}");
        }
    }

    #[test]
    fn pictures_are_the_code_points_that_the_table_names() {
        for (line, emoji) in TABLE.lines().skip(1).zip(Shortcode::all()) {
            let picture: Vec<String> =
                emoji.unicode().chars().map(|c| format!("U+{:04X}", u32::from(c))).collect();
            assert_eq!(line.split('\t').nth(2), Some(picture.join(" ").as_str()), "{emoji}");
        }
    }

    #[test]
    fn rpc_names_are_the_words_in_pascal_case() {
        for emoji in Shortcode::all() {
            let words = emoji.as_str().trim_matches(':').split('_').map(|word| {
                let (first, rest) = word.split_at(1);
                first.to_uppercase() + rest
            });
            assert_eq!(emoji.rpc(), format!("Vote{}", words.collect::<String>()));
        }
    }
}
