//! Lines on their way to standard output, by a thread of their own.

use std::{
    io::{self, BufWriter, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

/// Bytes of lines that may wait to be written: some seconds' worth at the highest rates. They are counted, because a
/// bounded channel would take half a megabyte for its places before there is a line, and bound no bytes.
const MAX_UNWRITTEN: usize = 4 * 1024 * 1024;

/// How long lines gather, at most. Meanwhile the thread that writes need not be woken for each of them, which costs more
/// than all that is done for a line besides.
const PAUSE: Duration = Duration::from_millis(5);

/// What is written at once, in bytes.
const BATCH: usize = 64 * 1024;

/// How long the last lines may take at the end.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Takes lines, and makes nobody wait: those that are too many are lost.
#[derive(Debug, Clone)]
pub(crate) struct Lines {
    waiting: Sender<Option<Vec<u8>>>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// Bytes.
    waiting: AtomicUsize,
    dropped: AtomicU64,
}

/// How many lines were lost.
#[derive(Debug)]
pub(super) struct Dropped(Arc<Counts>);

/// What was taken is written when this is dropped.
#[derive(Debug)]
pub(super) struct Written {
    waiting: Sender<Option<Vec<u8>>>,
    /// Ends with the thread that writes.
    ended: Receiver<()>,
}

impl Lines {
    /// What is taken goes to `output`.
    pub(super) fn to(output: impl Write + Send + 'static) -> io::Result<(Self, Dropped, Written)> {
        let (waiting, lines) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let counts = Arc::<Counts>::default();
        let of_thread = Arc::clone(&counts);
        thread::Builder::new().name("logs".to_owned()).spawn(move || {
            write(&lines, &of_thread.waiting, output);
            drop(end);
        })?;
        let dropped = Dropped(Arc::clone(&counts));
        let written = Written { waiting: waiting.clone(), ended };
        Ok((Self { waiting, counts }, dropped, written))
    }
}

/// Writes until told to end, or nobody is left who could. A line that comes alone is written at once, those that follow
/// it are together. What cannot be written is lost: there is no other place to say so.
fn write(lines: &Receiver<Option<Vec<u8>>>, waiting: &AtomicUsize, output: impl Write) {
    let mut output = BufWriter::with_capacity(BATCH, output);
    let mut next = lines.recv().ok();
    while let Some(Some(line)) = next {
        waiting.fetch_sub(line.len(), Relaxed);
        let _ = output.write_all(&line);
        next = lines.try_recv().ok();
        if next.is_none() {
            let _ = output.flush();
            pause();
            next = lines.recv().ok();
        }
    }
    let _ = output.flush();
}

#[expect(
    clippy::disallowed_methods,
    reason = "the thread is there to write, and nobody waits for it"
)]
fn pause() {
    thread::sleep(PAUSE);
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.counts.waiting.fetch_add(line.len(), Relaxed) >= MAX_UNWRITTEN
            || self.waiting.send(Some(line.to_vec())).is_err()
        {
            self.counts.waiting.fetch_sub(line.len(), Relaxed);
            self.counts.dropped.fetch_add(1, Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Dropped {
    pub(super) fn lines(&self) -> u64 {
        self.0.dropped.load(Relaxed)
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        if self.waiting.send(None).is_ok() {
            let _ = self.ended.recv_timeout(LAST_LINES);
        }
    }
}
