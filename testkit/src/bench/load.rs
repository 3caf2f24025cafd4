//! Load: HTTP/1.1 by hand, to take as little of the processor as it can from what is measured.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc::{UnboundedSender, unbounded_channel},
    task::LocalSet,
    time::{MissedTickBehavior, interval, sleep},
};

/// Whoever was refused a connection, or lost one, tries again after this long.
const RECONNECT: Duration = Duration::from_millis(50);

/// What came of a load while it was measured.
#[derive(Debug, Default)]
pub struct Answers {
    /// How long the answers took that were 200.
    good: Vec<Duration>,
    /// And those that were 503.
    refused: Vec<Duration>,
    /// Connections that were refused or broke, each with a request or before one.
    pub failed: usize,
    /// Requests that were due while no connection was free.
    pub unsent: usize,
    took: Duration,
}

impl Answers {
    fn add(&mut self, answer: &io::Result<u16>, took: Duration) {
        match answer {
            Ok(200) => self.good.push(took),
            Ok(503) => self.refused.push(took),
            Ok(other) => panic!("an answer that nobody expected: {other}"),
            Err(_) => self.failed += 1,
        }
    }

    fn sorted(mut self, took: Duration) -> Self {
        self.good.sort_unstable();
        self.refused.sort_unstable();
        Self { took, ..self }
    }

    /// How many were good.
    pub fn good(&self) -> usize {
        self.good.len()
    }

    /// How many were refused.
    pub fn refused(&self) -> usize {
        self.refused.len()
    }

    /// So many a second.
    #[expect(clippy::cast_precision_loss, reason = "a few millions")]
    pub fn rate(&self, count: usize) -> f64 {
        count as f64 / self.took.as_secs_f64()
    }

    /// What so many of a thousand good ones did not exceed; nought where there were none.
    pub fn quantile(&self, per_mille: usize) -> Duration {
        quantile(&self.good, per_mille)
    }

    /// The same of those that were refused.
    pub fn quantile_of_refused(&self, per_mille: usize) -> Duration {
        quantile(&self.refused, per_mille)
    }
}

fn quantile(sorted: &[Duration], per_mille: usize) -> Duration {
    let index = (sorted.len() * per_mille / 1_000).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or_default()
}

/// A closed loop: each connection asks again as soon as it has its answer, even where that says to come back later.
/// `begin` is called when it is warm.
pub async fn closed_loop<T>(
    address: SocketAddr,
    path: &str,
    connections: usize,
    warm_up: Duration,
    measured: Duration,
    begin: impl FnOnce() -> T,
) -> (T, Answers) {
    let answers = Rc::new(RefCell::new(Answers::default()));
    let local = LocalSet::new();
    for _ in 0..connections {
        let (answers, path) = (Rc::clone(&answers), path.to_owned());
        local.spawn_local(async move {
            let mut connection = None;
            loop {
                let start = Instant::now();
                let answer = ask(&mut connection, address, &path).await;
                answers.borrow_mut().add(&answer, start.elapsed());
                if answer.is_err() {
                    sleep(RECONNECT).await;
                }
            }
        });
    }
    local.run_until(sleep(warm_up)).await;
    *answers.borrow_mut() = Answers::default();
    let (at_begin, start) = (begin(), Instant::now());
    local.run_until(sleep(measured)).await;
    let answers = answers.take().sorted(start.elapsed());
    (at_begin, answers)
}

/// An open loop: requests are due at a rate, whatever becomes of those before. Each goes to the connection that has been
/// free for longest, and the time that it takes begins when it was due.
pub async fn open_loop(
    address: SocketAddr,
    path: &str,
    rate: f64,
    connections: usize,
    duration: Duration,
) -> Answers {
    let answers = Rc::new(RefCell::new(Answers::default()));
    let free = Rc::new(RefCell::new(VecDeque::<UnboundedSender<Instant>>::new()));
    let local = LocalSet::new();
    for _ in 0..connections {
        let (answers, free, path) = (Rc::clone(&answers), Rc::clone(&free), path.to_owned());
        local.spawn_local(async move {
            let (sender, mut due) = unbounded_channel();
            let mut connection = connect(address, &path).await.ok();
            free.borrow_mut().push_back(sender.clone());
            while let Some(due) = due.recv().await {
                let answer = ask(&mut connection, address, &path).await;
                answers.borrow_mut().add(&answer, due.elapsed());
                if answer.is_err() {
                    sleep(RECONNECT).await;
                }
                free.borrow_mut().push_back(sender.clone());
            }
        });
    }
    // All are connected.
    local
        .run_until(async {
            while free.borrow().len() < connections {
                sleep(RECONNECT).await;
            }
        })
        .await;
    let start = Instant::now();
    let pace = async {
        let mut tick = interval(Duration::from_millis(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut sent = 0.0;
        while start.elapsed() < duration {
            tick.tick().await;
            while sent < start.elapsed().as_secs_f64() * rate {
                let due = start + Duration::from_secs_f64(sent / rate);
                match free.borrow_mut().pop_front() {
                    Some(connection) => connection.send(due).expect("it waits for it"),
                    None => answers.borrow_mut().unsent += 1,
                }
                sent += 1.0;
            }
        }
    };
    local.run_until(pace).await;
    answers.take().sorted(start.elapsed())
}

/// Clients that are connected, have had one answer, and say nothing more; for as long as this lives.
#[derive(Debug)]
pub struct Idle(#[expect(dead_code, reason = "to be dropped")] Vec<Connection>);

impl Idle {
    /// So many of them, as many as are let in.
    pub async fn open(address: SocketAddr, path: &str, count: usize) -> Self {
        let mut open = Vec::with_capacity(count);
        for _ in 0..count {
            let mut connection = None;
            if ask(&mut connection, address, path).await.is_ok() {
                open.extend(connection);
            }
        }
        Self(open)
    }
}

async fn connect(address: SocketAddr, path: &str) -> io::Result<Connection> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n").into_bytes();
    Ok(Connection { stream, request, answer: Vec::new() })
}

async fn ask(
    connection: &mut Option<Connection>,
    address: SocketAddr,
    path: &str,
) -> io::Result<u16> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => connect(address, path).await?,
    };
    let status = open.ask().await?;
    *connection = Some(open);
    Ok(status)
}

/// A connection that asks for one thing again and again.
#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Connection {
    /// Asks once, and reads the answer to its end: the status.
    async fn ask(&mut self) -> io::Result<u16> {
        self.stream.write_all(&self.request).await?;
        self.answer.clear();
        let (mut scanned, mut length) = (0, None);
        loop {
            if length.is_none() {
                length = length_of(&self.answer, scanned);
                scanned = self.answer.len().saturating_sub(3);
            }
            if length.is_some_and(|length| self.answer.len() >= length) {
                return Ok(status_of(&self.answer));
            }
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// How long an answer is with its head, once that is there.
fn length_of(answer: &[u8], scanned: usize) -> Option<usize> {
    let end = answer[scanned..].windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..scanned + end]).expect("a head is text");
    let field = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse().ok())?
    };
    let length: usize = head.lines().find_map(field).expect("a length");
    Some(scanned + end + 4 + length)
}

fn status_of(answer: &[u8]) -> u16 {
    let status = answer.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
    status.and_then(|digits| digits.parse().ok()).expect("a status line")
}
