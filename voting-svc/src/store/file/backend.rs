//! The file of a store: the name of its format, and behind it a database of redb.
//!
//! The name comes first because redb repairs what it opens: whether a file is ours has to be known before.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, ErrorKind},
    ops::Bound,
    os::unix::fs::FileExt as _,
    path::Path,
    sync::Arc,
};

use redb::{BackendError, StorageBackend};

use super::votes::FileError;

/// What the file begins with; zeros fill it up to [`HEADER_BYTES`].
const FORMAT: &[u8] = b"emojivoto votes, format 1\n";

/// As long as a page of the database behind it, so that its pages are those of the disk.
const HEADER_BYTES: usize = 4_096;
const OFFSET: u64 = HEADER_BYTES as u64;

/// What is behind the name, locked against other processes, for as long as it or a clone of it is open.
#[derive(Debug, Clone)]
pub(super) struct Backend(Arc<Locked>);

/// A file that is unlocked when it is closed here: a process that is being started would keep the lock for a moment.
#[derive(Debug)]
struct Locked(File);

impl Locked {
    fn new(file: File, path: &Path) -> Result<Self, FileError> {
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(FileError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(FileError::Io(path.to_owned(), error)),
        }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = self.0.unlock(); // closing it does, too
    }
}

impl Backend {
    /// Opens a file, if there is one, and if it is ours.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, FileError> {
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(FileError::Io(path.to_owned(), error)),
        };
        let file = Locked::new(file, path)?;
        // With one byte of what is behind it: redb would take nothing for a new database.
        let mut begin = [0; HEADER_BYTES + 1];
        match file.0.read_exact_at(&mut begin, 0) {
            Ok(()) if begin.starts_with(&header()) => Ok(Some(Self(Arc::new(file)))),
            Err(error) if error.kind() != ErrorKind::UnexpectedEof => {
                Err(FileError::Io(path.to_owned(), error))
            }
            _ => Err(FileError::NotOurs(path.to_owned())),
        }
    }

    /// Makes a file, which `make` puts a database into, if there is none: at once, so that there is never half a one.
    pub(super) fn create(
        path: &Path,
        make: impl FnOnce(Self) -> Result<(), FileError>,
    ) -> Result<(), FileError> {
        let failed = |error| FileError::Io(path.to_owned(), error);
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(".new");
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let file = Locked::new(options.open(&unfinished).map_err(failed)?, path)?;
        let backend = Self(Arc::new(file));
        // Whoever makes the file has the lock of the unfinished one until it is in its place.
        if path.try_exists().map_err(failed)? {
            return Ok(());
        }
        backend.file().set_len(0).map_err(failed)?;
        backend.file().write_all_at(&header(), 0).map_err(failed)?;
        make(backend.clone())?;
        fs::rename(&unfinished, path).map_err(failed)?;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = File::open(directory.unwrap_or(Path::new("."))).map_err(failed)?;
        directory.sync_all().map_err(failed)
    }

    fn file(&self) -> &File {
        &self.0.0
    }
}

fn header() -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..FORMAT.len()].copy_from_slice(FORMAT);
    header
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file().metadata()?.len().saturating_sub(OFFSET))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file().read_exact_at(out, OFFSET + offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file().set_len(OFFSET + len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file().sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file().write_all_at(data, OFFSET + offset)
    }

    /// The file is locked already, all of it.
    fn try_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn unlock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }
}
