//! Takes votes from one store to another, as JSON.

use std::io::{self, Read, Write};

use clap::Subcommand;
use emojivoto_proto::Shortcode;
use emojivoto_runtime::Error;
use serde::{Deserialize, Serialize};

use crate::{
    StoreSettings,
    store::{AnyStore, Place, Tally, VoteStore as _},
};

/// What voting-svc can do with the votes of a store instead of serving them.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum Transfer {
    /// Write the votes in VOTES_STORE to standard output, as /api/leaderboard has them
    Export,
    /// Read votes from standard input, as `export` or /api/leaderboard writes them, into an empty VOTES_STORE
    Import,
}

/// An emoji that has votes.
#[derive(Serialize, Deserialize)]
struct Entry {
    shortcode: String,
    #[serde(default)]
    unicode: String,
    votes: Votes,
}

/// Text since the first version of the API; numbers are what people write.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number of votes")]
enum Votes {
    Number(u64),
    Text(String),
}

/// No emoji has more votes: Redis counts no further.
const MOST: u64 = i64::MAX.unsigned_abs();

/// What is said of votes in memory.
const OF_A_PROCESS: &str = "VOTES_STORE is memory, which belongs to the process that runs: expected file:PATH or the \
    address of Redis. The votes of a running suite are at /api/leaderboard of web";

impl Transfer {
    /// Does it.
    pub fn run(self, settings: &StoreSettings) -> Result<(), Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            match self {
                Self::Export => {
                    let store = self.open(settings).await?;
                    let tally = store.tally().await.map_err(|error| error.explained())?;
                    write(&tally, io::stdout().lock())
                }
                Self::Import => {
                    // First, so that what cannot be read leaves no empty file behind.
                    let tally = read(io::stdin().lock())?;
                    let store = self.open(settings).await?;
                    store.fill(&tally).await.map_err(|error| error.explained())?;
                    let votes: u128 = tally.iter().copied().map(u128::from).sum();
                    Ok(writeln!(io::stdout(), "{votes} votes are in the store now")?)
                }
            }
        })
    }

    async fn open(self, settings: &StoreSettings) -> Result<AnyStore, Error> {
        let store = match &settings.votes_store {
            Place::Memory => return Err(OF_A_PROCESS.into()),
            Place::File(path) if matches!(self, Self::Export) && !path.exists() => {
                return Err(format!("{}: there is no such file", path.display()).into());
            }
            place => AnyStore::open(place, settings.once())?,
        };
        store.check().await.map_err(|error| error.explained())?;
        Ok(store)
    }
}

fn write(tally: &Tally, mut to: impl Write) -> Result<(), Error> {
    let entry = |(emoji, votes): (Shortcode, &u64)| Entry {
        shortcode: emoji.as_str().to_owned(),
        unicode: emoji.unicode().to_owned(),
        votes: Votes::Text(votes.to_string()),
    };
    let voted = Shortcode::all().zip(tally).filter(|(_, votes)| **votes > 0);
    serde_json::to_writer_pretty(&mut to, &voted.map(entry).collect::<Vec<_>>())?;
    Ok(writeln!(to)?)
}

fn read(from: impl Read) -> Result<Tally, Error> {
    let entries: Vec<Entry> = serde_json::from_reader(from).map_err(|error| {
        format!("standard input cannot be read: expected [{{\"shortcode\": \":joy:\", \"votes\": \"1\"}}, …]: {error}")
    })?;
    let mut tally = [0; _];
    let mut seen = [false; Shortcode::COUNT];
    for Entry { shortcode, votes, .. } in entries {
        let emoji: Shortcode =
            shortcode.parse().map_err(|_| format!("{shortcode} is not on the ballot"))?;
        if std::mem::replace(&mut seen[emoji.index()], true) {
            return Err(format!("{shortcode} is there twice: expected each emoji once").into());
        }
        let count = match votes {
            Votes::Number(votes) => Some(votes),
            Votes::Text(ref votes) => votes.parse().ok(),
        };
        tally[emoji.index()] = count
            .filter(|count| *count <= MOST)
            .ok_or_else(|| format!("{shortcode}: expected a number of votes from 0 to {MOST}"))?;
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read_again() {
        let mut tally = [0; Shortcode::COUNT];
        (tally[3], tally[99]) = (7, MOST);
        for tally in [tally, [0; _]] {
            let mut json = Vec::new();
            write(&tally, &mut json).expect("JSON");
            assert_eq!(read(&json[..]).expect("a tally"), tally);
        }
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let one = r#"[{"shortcode":":joy:","unicode":"😂","votes":12}]"#;
        assert_eq!(read(one.as_bytes()).expect("a tally").iter().sum::<u64>(), 12);
        for (json, expected) in [
            ("", "expected [{\"shortcode\""),
            ("{}", "expected [{\"shortcode\""),
            (r#"[{"shortcode":":joy:"}]"#, "missing field `votes`"),
            (
                r#"[{"shortcode":":joy:","votes":"many"}]"#,
                ":joy:: expected a number of votes from 0 to",
            ),
            (
                r#"[{"shortcode":":joy:","votes":"9223372036854775808"}]"#,
                ":joy:: expected a number of votes from 0 to",
            ),
            (r#"[{"shortcode":":joy:","votes":-1}]"#, "expected [{\"shortcode\""),
            (r#"[{"shortcode":":nobody:","votes":1}]"#, ":nobody: is not on the ballot"),
            (r#"[{"shortcode":":joy:","votes":1},{"shortcode":":joy:","votes":1}]"#, "twice"),
        ] {
            let error = read(json.as_bytes()).expect_err(json).to_string();
            assert!(error.contains(expected), "{json}: {error}");
        }
    }
}
