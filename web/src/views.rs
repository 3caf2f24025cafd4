//! What each page shows: one struct per template, filled in by the routes.
//!
//! Everything is borrowed and already decided; the templates only lay it out. Askama escapes
//! every value, so shortcodes, error texts and the message of the day need no care here.

use askama::Template;
use emojivoto_proto::emoji as proto;

/// One emoji of the ballot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Emoji<'a> {
    /// With its colons, as in `:joy:`.
    pub(crate) shortcode: &'a str,
    /// The character or characters themselves.
    pub(crate) unicode: &'a str,
}

impl<'a> From<&'a proto::Emoji> for Emoji<'a> {
    fn from(emoji: &'a proto::Emoji) -> Self {
        Self { shortcode: &emoji.shortcode, unicode: &emoji.unicode }
    }
}

impl Emoji<'_> {
    /// The shortcode as words, for narrow tiles and for screen readers: `:point_up_2:` is "point up 2".
    fn name(&self) -> String {
        self.shortcode.trim_matches(':').replace('_', " ")
    }
}

/// `GET /`: a button for every emoji.
#[derive(Debug, Template)]
#[template(path = "ballot.html")]
pub(crate) struct Ballot<'a> {
    /// Message of the day, shown above every page.
    pub(crate) motd: Option<&'a str>,
    /// In ballot order.
    pub(crate) emoji: &'a [Emoji<'a>],
}

/// `GET /picked`: where a vote without JavaScript ends.
#[derive(Debug, Template)]
#[template(path = "picked.html")]
pub(crate) struct Picked<'a> {
    /// Message of the day, shown above every page.
    pub(crate) motd: Option<&'a str>,
    /// The emoji that got the vote.
    pub(crate) emoji: Emoji<'a>,
}

/// `GET /leaderboard`: the board in its page.
#[derive(Debug, Template)]
#[template(path = "leaderboard.html")]
pub(crate) struct Leaderboard<'a> {
    /// Message of the day, shown above every page.
    pub(crate) motd: Option<&'a str>,
    /// The count at the time of the request.
    pub(crate) board: Board<'a>,
}

/// The board alone: part of [`Leaderboard`], and the data of each `board` event of the live one.
#[derive(Debug, Template)]
#[template(path = "board.html")]
pub(crate) struct Board<'a> {
    /// Emoji with votes, most votes first.
    pub(crate) rows: Vec<Row<'a>>,
    /// All votes together.
    pub(crate) total: u64,
    /// Emoji without a vote, in ballot order.
    pub(crate) waiting: Vec<Emoji<'a>>,
}

/// One emoji's place on the board.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    /// 1 for the leader.
    pub(crate) rank: usize,
    /// Whose votes these are.
    pub(crate) emoji: Emoji<'a>,
    /// At least 1.
    pub(crate) votes: u64,
    /// Percentage of the leader's votes, 1 to 100: the length of the bar.
    pub(crate) share: u64,
}

/// Whatever went wrong, in plain words and with its true status.
#[derive(Debug, Template)]
#[template(path = "error.html")]
pub(crate) struct ErrorPage<'a> {
    /// Message of the day, shown above every page.
    pub(crate) motd: Option<&'a str>,
    /// The HTTP status that the response carries.
    pub(crate) status: u16,
    /// What happened, in a few plain words.
    pub(crate) heading: &'a str,
    /// What it means for the reader.
    pub(crate) message: &'a str,
    /// What the reader can do about it.
    pub(crate) hint: Option<&'a str>,
}
