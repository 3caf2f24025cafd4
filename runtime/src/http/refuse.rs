//! Connections for which there is no room.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Semaphore,
    time::{Instant, sleep_until, timeout},
};

/// How long a client may take to hear that it is refused: a socket that is closed over what it sent would
/// destroy the answer.
const LINGER: Duration = Duration::from_millis(500);
/// So many may take that long at a time.
pub(crate) const LINGERING: usize = 128;
/// So many are refused …
const PACE: u32 = 20;
/// … in this time. The others wait in the backlog of the kernel, at no cost.
const PACE_TIME: Duration = Duration::from_millis(25);

/// Refuses connections.
pub(super) struct Refuser {
    answer: Option<Arc<str>>,
    lingering: Arc<Semaphore>,
    began: Instant,
    refused: u32,
}

impl Refuser {
    /// `answer` is written to each.
    pub(super) fn new(answer: Option<String>) -> Self {
        let (answer, lingering) = (answer.map(Into::into), Arc::new(Semaphore::new(LINGERING)));
        Self { answer, lingering, began: Instant::now(), refused: 0 }
    }

    /// Refuses one; returns when there may be another.
    pub(super) async fn refuse(&mut self, stream: TcpStream) {
        if let Some(answer) = &self.answer
            && let Ok(permit) = Arc::clone(&self.lingering).try_acquire_owned()
        {
            let answer = Arc::clone(answer);
            tokio::spawn(async move {
                let _ = timeout(LINGER, tell(stream, &answer)).await;
                drop(permit);
            });
        }
        if self.began.elapsed() > PACE_TIME {
            (self.began, self.refused) = (Instant::now(), 0);
        }
        self.refused += 1;
        if self.refused >= PACE {
            sleep_until(self.began + PACE_TIME).await;
        }
    }
}

async fn tell(mut stream: TcpStream, answer: &str) -> std::io::Result<()> {
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    // What it had to say is read, and not looked at.
    while stream.read(&mut [0; 1024]).await? > 0 {}
    Ok(())
}
