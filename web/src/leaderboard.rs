//! The leaderboard: results put beside the pictures of the ballot.

use std::collections::{HashMap, HashSet};

use emojivoto_proto::{
    emoji::ListAllEmojiResponse,
    voting::{ResultsResponse, VotingResult},
};

use crate::{
    upstream::{CallError, Upstreams},
    views::{Board, Emoji, Row},
};

/// The answers that a leaderboard is made of. What is made of it borrows from it.
#[derive(Debug, PartialEq)]
pub(crate) struct Leaderboard {
    ballot: ListAllEmojiResponse,
    results: ResultsResponse,
}

impl Leaderboard {
    /// Asks both backends, at the same time.
    pub(crate) async fn fetch(upstreams: &Upstreams) -> Result<Self, CallError> {
        let (ballot, results) = upstreams.leaderboard().await?;
        Ok(Self { ballot, results })
    }

    fn ballot(&self) -> impl Iterator<Item = Emoji<'_>> {
        self.ballot.list.iter().map(Into::into)
    }

    /// The emoji that have votes and how many, most votes first. An emoji that the ballot does not
    /// know, as one of another version's may be, keeps its votes and lacks only its picture.
    pub(crate) fn standings(&self) -> Vec<(Emoji<'_>, u64)> {
        let pictures: HashMap<_, _> = self.ballot().map(|e| (e.shortcode, e.unicode)).collect();
        self.results
            .results
            .iter()
            .map(|VotingResult { shortcode, votes }| {
                let unicode = pictures.get(shortcode.as_str()).copied().unwrap_or_default();
                (Emoji { shortcode, unicode }, u64::try_from(*votes).unwrap_or_default())
            })
            .collect()
    }

    /// The same for people, with those that still have no votes.
    pub(crate) fn board(&self) -> Board<'_> {
        let standings = self.standings();
        let most = standings.first().map_or(1, |(_, votes)| (*votes).max(1));
        let voted: HashSet<_> = standings.iter().map(|(emoji, _)| emoji.shortcode).collect();
        Board {
            total: standings.iter().map(|(_, votes)| votes).sum(),
            waiting: self.ballot().filter(|emoji| !voted.contains(emoji.shortcode)).collect(),
            rows: standings
                .iter()
                .zip(1..)
                .map(|(&(emoji, votes), rank)| Row {
                    rank,
                    emoji,
                    votes,
                    share: votes * 100 / most,
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use emojivoto_proto::{Shortcode, emoji::EmojiList};

    use super::*;

    fn leaderboard(results: &[(&str, i32)]) -> Leaderboard {
        let result =
            |&(shortcode, votes): &(&str, i32)| VotingResult { shortcode: shortcode.into(), votes };
        Leaderboard {
            ballot: EmojiList { list: Shortcode::all().map(Into::into).collect() }.into(),
            results: ResultsResponse { results: results.iter().map(result).collect() },
        }
    }

    #[test]
    fn rows_have_their_share_of_the_leader_and_the_rest_waits() {
        let leaderboard = leaderboard(&[(":joy:", 8), (":ghost:", 2), (":relaxed:", 1)]);
        let board = leaderboard.board();
        let rows: Vec<_> =
            board.rows.iter().map(|r| (r.rank, r.emoji.unicode, r.votes, r.share)).collect();
        assert_eq!(rows, [(1, "😂", 8, 100), (2, "👻", 2, 25), (3, "☺️", 1, 12)]);
        assert_eq!((board.total, board.waiting.len()), (11, 97));
        assert_eq!(board.waiting[0].shortcode, ":sunglasses:");
    }

    #[test]
    fn an_emoji_that_the_ballot_does_not_know_keeps_its_votes() {
        let leaderboard = leaderboard(&[(":from_another_version:", 3)]);
        let standings = leaderboard.standings();
        assert_eq!(
            (standings[0].0.shortcode, standings[0].0.unicode, standings[0].1),
            (":from_another_version:", "", 3)
        );
        assert_eq!(leaderboard.board().waiting.len(), Shortcode::COUNT);
    }

    #[test]
    fn an_empty_board_is_a_board() {
        let leaderboard = leaderboard(&[]);
        let board = leaderboard.board();
        assert_eq!((board.rows.len(), board.total, board.waiting.len()), (0, 0, Shortcode::COUNT));
    }
}
