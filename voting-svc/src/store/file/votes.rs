//! What is in the file: votes by shortcode, and the votes that are known again, oldest first.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    time::Duration,
};

use emojivoto_proto::Shortcode;
use redb::{Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, TableDefinition};

use super::{
    super::{
        Added, Once, StoreError, Tally, Vote,
        once::{Key, Recent, Time, now},
    },
    backend::Backend,
};

/// Shortcodes, so that the file can be read without knowing the order of the ballot.
const VOTES: TableDefinition<'_, &str, u64> = TableDefinition::new("votes");

/// In the order in which they came: when, under which key, and for what.
const RECENT: TableDefinition<'_, u64, (Time, [u8; Key::BYTES], &str)> =
    TableDefinition::new("recent");

/// Written, and removed again, to see whether there is room.
const ROOM: TableDefinition<'_, (), &[u8]> = TableDefinition::new("room");

/// What the largest batch of votes may take.
const ROOM_BYTES: usize = 128 * 1024;

/// The file is small, and what is asked for often is kept beside it.
const CACHE_BYTES: usize = 4 * 1024 * 1024;

/// Why a file of votes cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Another process has it.
    #[error("{}: another process uses this file: expected one of its own for each", .0.display())]
    InUse(PathBuf),
    /// It is something else, or so damaged that it cannot be told from that.
    #[error(
        "{}: this is no file of votes, or its beginning is damaged: expected one that emojivoto has made, or none. \
         It was left as it is",
        .0.display()
    )]
    NotOurs(PathBuf),
    /// It has been changed by something else since it was written.
    #[error(
        "{}: this file of votes is damaged ({detail}): expected it as it was written, or none, to begin with no votes. \
         It was left as it is",
        .path.display()
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What does not fit.
        detail: redb::Error,
    },
    /// It holds votes for an emoji that is not on the ballot.
    #[error("{}: there are votes for {emoji}, which is not on the ballot", .path.display())]
    UnknownEmoji {
        /// Which file.
        path: PathBuf,
        /// The shortcode.
        emoji: String,
    },
    /// The system does not let us.
    #[error("{}: cannot be opened: {}", .0.display(), .1)]
    Io(PathBuf, #[source] io::Error),
    /// The database does not.
    #[error("{}: cannot be opened: {}", .0.display(), .1)]
    Database(PathBuf, #[source] redb::Error),
    /// Nobody can write.
    #[error("there can be no thread to write votes: {0}")]
    Thread(#[source] io::Error),
}

impl FileError {
    /// The same for a file that was in use before.
    pub(super) fn into_failure(self) -> StoreError {
        let full = match &self {
            Self::Io(_, error) | Self::Database(_, redb::Error::Io(error)) => is_full(error),
            _ => false,
        };
        if full { StoreError::Full(Box::new(self)) } else { StoreError::Failed(Box::new(self)) }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
    )
}

fn failure(error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        redb::Error::Io(error) if is_full(&error) => StoreError::Full(Box::new(error)),
        error => StoreError::Failed(Box::new(error)),
    }
}

/// An open file, and all that is in it. After an error, the two may differ: it is to be opened again then.
pub(super) struct VotesFile {
    database: Database,
    tally: Tally,
    recent: Recent,
    /// The number of the next row of [`RECENT`].
    next: u64,
}

impl VotesFile {
    /// Opens the file, and makes it if there is none.
    pub(super) fn open(path: &Path, once: Once) -> Result<Self, FileError> {
        let there = Backend::open(path)?;
        let backend = there.map_or_else(|| create(path), Ok)?;
        Self::read_from(path, backend, once)
    }

    /// Opens a file that was there: one that is gone took the votes with it, and shall not be followed by an empty one.
    pub(super) fn open_again(path: &Path, once: Once) -> Result<Self, FileError> {
        let backend = Backend::open(path)?.ok_or_else(|| gone(path))?;
        Self::read_from(path, backend, once)
    }

    fn read_from(path: &Path, backend: Backend, once: Once) -> Result<Self, FileError> {
        let database = database(path, backend)?;
        let mut file = Self { database, tally: [0; _], recent: Recent::new(once), next: 0 };
        match file.read() {
            Ok(None) => Ok(file),
            Ok(Some(emoji)) => Err(FileError::UnknownEmoji { path: path.to_owned(), emoji }),
            Err(error) => Err(refused(path, error)),
        }
    }

    /// Reads all of it, up to a shortcode that is not on the ballot.
    fn read(&mut self) -> Result<Option<String>, redb::Error> {
        let transaction = self.database.begin_read()?;
        for row in transaction.open_table(VOTES)?.iter()? {
            let (emoji, votes) = row?;
            match emoji.value().parse::<Shortcode>() {
                Ok(emoji) => self.tally[emoji.index()] = votes.value(),
                Err(_) => return Ok(Some(emoji.value().to_owned())),
            }
        }
        for row in transaction.open_table(RECENT)?.iter()? {
            let (number, vote) = row?;
            let (time, key, emoji) = vote.value();
            match emoji.parse() {
                Ok(emoji) => self.recent.remember(Key::from(key), emoji, time),
                Err(_) => return Ok(Some(emoji.to_owned())),
            }
            self.next = number.value() + 1;
        }
        Ok(None)
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    pub(super) fn window(&self) -> Duration {
        self.recent.window(now())
    }

    /// Adds votes, all of them or none: what became of each.
    pub(super) fn add(&mut self, votes: &[Vote]) -> Result<Vec<Added>, StoreError> {
        let now = now();
        self.recent.forget(now);
        let mut changed = [false; Shortcode::COUNT];
        let mut fresh = Vec::new();
        let mut add = |Vote { choice, key }: &Vote| {
            let added = key.map_or(Added::Counted, |key| self.recent.find(key, *choice));
            if added == Added::Counted {
                self.tally[choice.index()] += 1;
                changed[choice.index()] = true;
                if let Some(key) = *key {
                    self.recent.remember(key, *choice, now);
                    fresh.push((key, *choice));
                }
            }
            added
        };
        let added = votes.iter().map(&mut add).collect();
        self.commit(&changed, &fresh, now).map_err(failure)?;
        Ok(added)
    }

    /// Puts votes into a file that has none.
    pub(super) fn fill(&mut self, votes: &Tally) -> Result<(), StoreError> {
        if self.tally.iter().any(|votes| *votes > 0) {
            return Err(StoreError::NotEmpty);
        }
        self.tally = *votes;
        self.commit(&votes.map(|votes| votes > 0), &[], now()).map_err(failure)
    }

    /// Makes sure that there is room for votes: pages that are free again may take one, and not the next.
    pub(super) fn make_room(&self) -> Result<(), StoreError> {
        let write = |room: Option<&[u8]>| -> Result<(), redb::Error> {
            let transaction = self.database.begin_write()?;
            match room {
                Some(room) => drop(transaction.open_table(ROOM)?.insert((), room)?),
                None => drop(transaction.delete_table(ROOM)?),
            }
            Ok(transaction.commit()?)
        };
        write(Some(&vec![0; ROOM_BYTES])).and_then(|()| write(None)).map_err(failure)
    }

    /// Writes what has changed. It is on the disk when this returns.
    fn commit(
        &mut self,
        changed: &[bool; Shortcode::COUNT],
        fresh: &[(Key, Shortcode)],
        now: Time,
    ) -> Result<(), redb::Error> {
        if !changed.contains(&true) {
            return Ok(()); // what has come again is on the disk already
        }
        let transaction = self.database.begin_write()?;
        {
            let mut votes = transaction.open_table(VOTES)?;
            for emoji in Shortcode::all().filter(|emoji| changed[emoji.index()]) {
                votes.insert(emoji.as_str(), self.tally[emoji.index()])?;
            }
            let mut recent = transaction.open_table(RECENT)?;
            for (key, emoji) in fresh {
                recent.insert(self.next, (now, key.bytes(), emoji.as_str()))?;
                self.next += 1;
            }
            // Rows are numbered without a gap, and those that are remembered are the last.
            let oldest = self.next - self.recent.len() as u64;
            while recent.first()?.is_some_and(|(number, _)| number.value() < oldest) {
                recent.pop_first()?;
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

/// Makes a file without votes, and opens it.
fn create(path: &Path) -> Result<Backend, FileError> {
    Backend::create(path, |backend| {
        let database = database(path, backend)?;
        let empty = || -> Result<(), redb::Error> {
            let transaction = database.begin_write()?;
            transaction.open_table(VOTES)?;
            transaction.open_table(RECENT)?;
            transaction.commit()?;
            Ok(database.close()?)
        };
        empty().map_err(|error| refused(path, error))
    })?;
    Backend::open(path)?.ok_or_else(|| gone(path))
}

fn gone(path: &Path) -> FileError {
    FileError::Io(path.to_owned(), ErrorKind::NotFound.into())
}

/// The database behind the name of the format, all of it checked.
fn database(path: &Path, backend: Backend) -> Result<Database, FileError> {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder.create_with_backend(backend).map_err(|error| match error {
        DatabaseError::Storage(storage) => refused(path, storage.into()),
        error => FileError::Database(path.to_owned(), error.into()),
    })
}

fn refused(path: &Path, error: redb::Error) -> FileError {
    let path = path.to_owned();
    match error {
        redb::Error::Io(source) if source.kind() != ErrorKind::InvalidData => {
            FileError::Io(path, source)
        }
        detail => FileError::Damaged { path, detail },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A later version may know more emoji.
    #[test]
    fn votes_for_an_emoji_that_is_not_on_the_ballot_are_not_thrown_away() {
        let directory = tempfile::tempdir().expect("a folder");
        let path = directory.path().join("votes.redb");
        let file = VotesFile::open(&path, Once::default()).expect("a new file");
        let transaction = file.database.begin_write().expect("a transaction");
        transaction.open_table(VOTES).expect("a table").insert(":later:", 7).expect("a row");
        transaction.commit().expect("a commit");
        drop(file);
        let Err(error) = VotesFile::open(&path, Once::default()) else { panic!("it was opened") };
        let error = error.to_string();
        assert!(error.ends_with("votes for :later:, which is not on the ballot"), "{error}");
    }
}
