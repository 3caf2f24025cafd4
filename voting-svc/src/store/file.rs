//! Votes in a file, which survive the process, whatever ends it.
//!
//! One thread writes. Votes that come while it does are written together, next: a commit costs the disk the same for
//! one vote and for a thousand. `votes` is what is in the file, `backend` the file.

mod backend;
mod votes;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot, watch};
pub use votes::FileError;
use votes::VotesFile;

use super::{Added, Once, StoreError, Tally, Vote, VoteStore, once::millis};

/// So many votes are written at once, and so many more may wait: whoever comes then waits for room.
const BATCH: usize = 1_024;

/// The file failed, and is opened again by the next check.
#[derive(Debug, thiserror::Error)]
#[error("the file of votes has failed, and is not open again yet")]
struct NotOpen;

/// A store in a file.
#[derive(Debug)]
pub struct FileStore {
    /// There until the end.
    requests: Option<mpsc::Sender<Request>>,
    writer: Option<JoinHandle<()>>,
    committed: watch::Receiver<Tally>,
    window: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Request {
    Add(Vote, Reply<Added>),
    Fill(Box<Tally>, Reply<()>),
    Check(Reply<()>),
}

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

impl FileStore {
    /// Opens the file, which is made if there is none. It is an error if it is in use, damaged, or something else than
    /// a store of votes; it is left as it is then.
    pub fn open(path: &Path, once: Once) -> Result<Self, FileError> {
        let file = VotesFile::open(path, once)?;
        let (requests, queue) = mpsc::channel(BATCH);
        let (publish, committed) = watch::channel(*file.tally());
        let window = Arc::new(AtomicU64::new(millis(file.window())));
        let path = path.to_owned();
        let writer = Writer { path, once, file: Some(file), publish, window: Arc::clone(&window) };
        let writer = thread::Builder::new()
            .name("votes".to_owned())
            .spawn(move || writer.run(queue))
            .map_err(FileError::Thread)?;
        Ok(Self { requests: Some(requests), writer: Some(writer), committed, window })
    }

    async fn request<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        if let Some(requests) = &self.requests {
            let _ = requests.send(request(reply)).await; // if nobody takes it, nobody answers
        }
        answer.await.unwrap_or_else(|_| Err(StoreError::Failed(Box::new(NotOpen))))
    }
}

impl Drop for FileStore {
    /// Waits until the file is closed: another process may be waiting for it.
    fn drop(&mut self) {
        self.requests = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join(); // it may have panicked, and said so
        }
    }
}

impl VoteStore for FileStore {
    async fn add(&self, vote: Vote) -> Result<Added, StoreError> {
        self.request(|reply| Request::Add(vote, reply)).await
    }

    /// What has been committed, also while the file cannot be written.
    async fn tally(&self) -> Result<Tally, StoreError> {
        Ok(*self.committed.borrow())
    }

    async fn fill(&self, votes: &Tally) -> Result<(), StoreError> {
        self.request(|reply| Request::Fill(Box::new(*votes), reply)).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.request(Request::Check).await
    }

    fn window(&self) -> Duration {
        Duration::from_millis(self.window.load(Relaxed))
    }
}

/// The one who writes.
struct Writer {
    path: PathBuf,
    once: Once,
    /// None after a failure: what is in the file then, only the file knows.
    file: Option<VotesFile>,
    publish: watch::Sender<Tally>,
    window: Arc<AtomicU64>,
}

impl Writer {
    fn run(mut self, mut queue: mpsc::Receiver<Request>) {
        let (mut votes, mut replies) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        while let Some(first) = queue.blocking_recv() {
            let mut next = Some(first);
            while let Some(request) = next {
                match request {
                    Request::Add(vote, reply) => {
                        votes.push(vote);
                        replies.push(reply);
                    }
                    Request::Fill(votes, reply) => {
                        let _ = reply.send(self.write(|file| file.fill(&votes)));
                    }
                    Request::Check(reply) => {
                        let _ = reply.send(self.check());
                    }
                }
                next = if votes.len() < BATCH { queue.try_recv().ok() } else { None };
            }
            if !votes.is_empty() {
                self.add(&votes, &mut replies);
                votes.clear();
            }
        }
    }

    /// Writes votes, and answers those who sent them. Whoever has gone meanwhile is not told.
    fn add(&mut self, votes: &[Vote], replies: &mut Vec<Reply<Added>>) {
        match self.write(|file| file.add(votes)) {
            Ok(added) => {
                for (reply, added) in replies.drain(..).zip(added) {
                    let _ = reply.send(Ok(added));
                }
            }
            Err(error) => {
                let error = Arc::new(error);
                for reply in replies.drain(..) {
                    let _ = reply.send(Err(shared(&error)));
                }
            }
        }
    }

    /// Changes the file, and publishes what is in it afterwards.
    fn write<T>(
        &mut self,
        write: impl FnOnce(&mut VotesFile) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let file = self.file.as_mut().ok_or_else(|| StoreError::Failed(Box::new(NotOpen)))?;
        let written = write(file);
        match &written {
            Ok(_) => {
                self.publish.send_replace(*file.tally());
                self.window.store(millis(file.window()), Relaxed);
            }
            Err(StoreError::NotEmpty) => {}
            Err(_) => self.file = None,
        }
        written
    }

    /// Opens a file that has failed again.
    fn check(&mut self) -> Result<(), StoreError> {
        if self.file.is_none() {
            let file = VotesFile::open_again(&self.path, self.once);
            self.file = Some(file.map_err(FileError::into_failure)?);
            self.write(|file| file.make_room())?;
        }
        Ok(())
    }
}

/// An error for each of those whom it concerns.
fn shared(error: &Arc<StoreError>) -> StoreError {
    let source = Box::new(Arc::clone(error));
    match **error {
        StoreError::Full(_) => StoreError::Full(source),
        _ => StoreError::Failed(source),
    }
}
