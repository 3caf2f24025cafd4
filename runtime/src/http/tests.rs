//! Clients that do not do what they have to do next. The clock is the tests' own: it jumps to the next timer when nothing
//! else is to be done.

use std::{convert::Infallible, future::pending, net::SocketAddr, time::Duration};

use http_body_util::Full;
use hyper::body::Bytes;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinHandle,
    time::{sleep, timeout},
};
use tower::service_fn;

use super::*;
use emojivoto_net::limits::{FEWEST_STREAMS, MAX_STREAMS};

use crate::{Limits, Rejected, Stop};

const SETTINGS: u8 = 4;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

const ACK: u8 = 1;

struct Running {
    address: SocketAddr,
    stop: Stop,
    server: JoinHandle<io::Result<()>>,
}

/// A server of large answers (`/large`), of some that take a while (`/slow`), or for ever (`/never`), and of small ones.
async fn serving(limits: Limits) -> Running {
    let app = service_fn(async |request: Request<Incoming>| {
        let body = match request.uri().path() {
            "/large" => vec![b'x'; 32 << 20],
            "/page" => vec![b'x'; 10_000],
            "/slow" => {
                sleep(TURN * 2 + TURN / 2).await;
                Vec::new()
            }
            "/never" => pending().await,
            _ => Vec::new(),
        };
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(body))))
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (lifecycle, stop) = Lifecycle::new();
    let lifecycle = lifecycle.limited(limits, Rejected::default());
    let server = tokio::spawn(async move { serve(listener, app, &lifecycle).await });
    // The clock may jump while bytes are on their way: this far, and no further.
    tokio::spawn(async {
        loop {
            sleep(Duration::from_millis(10)).await;
        }
    });
    Running { address, stop, server }
}

/// A client of HTTP/1.1.
struct Http1(TcpStream);

impl Http1 {
    async fn open(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.expect("a connection"))
    }

    async fn ask(&mut self, path: &str) {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        self.0.write_all(request.as_bytes()).await.expect("an open connection");
    }

    /// The status of an answer without a body.
    async fn status(&mut self) -> u16 {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.expect("more of the head"));
        }
        let status = head.get(9..12).and_then(|status| str::from_utf8(status).ok());
        status.expect("a status").parse().expect("a number")
    }
}

async fn get(address: SocketAddr, path: &str) -> u16 {
    let mut client = Http1::open(address).await;
    client.ask(path).await;
    client.status().await
}

/// A client of HTTP/2 that answers pings, and otherwise does as it likes.
struct Http2(TcpStream);

#[derive(Debug)]
struct Received {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Http2 {
    /// One that has room for so many bytes of each answer.
    async fn open(address: SocketAddr, window: u32) -> Self {
        let mut client = Self(TcpStream::connect(address).await.expect("a connection"));
        // What the kernel holds back it holds back by another clock.
        client.0.set_nodelay(true).expect("a connection");
        client.0.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("a preface");
        let window = window.to_be_bytes();
        client.send(SETTINGS, 0, 0, &[&[0, 4], &window[..]].concat()).await;
        client
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        let _ = self.0.write_all(&[&head, payload].concat()).await; // it may be cut off meanwhile
    }

    async fn ask(&mut self, stream: u32, path: &str) {
        let mut block = vec![0x82, 0x86]; // GET, http
        for (name, value) in [(":path", path), (":authority", "x")] {
            block.push(0); // neither indexed nor compressed
            for text in [name, value] {
                block.push(u8::try_from(text.len()).expect("short"));
                block.extend_from_slice(text.as_bytes());
            }
        }
        self.send(HEADERS, 5, stream, &block).await; // END_STREAM, END_HEADERS
    }

    /// The next frame, if there is one more.
    async fn next(&mut self) -> Option<Received> {
        loop {
            let mut head = [0; 9];
            let read = timeout(SILENCE * 20, self.0.read_exact(&mut head)).await;
            read.expect("a frame, or the end").ok()?;
            let [l0, l1, l2, kind, flags, stream @ ..] = head;
            let length = u32::from_be_bytes([0, l0, l1, l2]);
            let mut payload = vec![0; usize::try_from(length).expect("short")];
            self.0.read_exact(&mut payload).await.ok()?;
            if kind == PING && flags & ACK == 0 {
                self.send(PING, ACK, 0, &payload).await;
                continue;
            }
            return Some(Received { kind, flags, stream: u32::from_be_bytes(stream), payload });
        }
    }

    async fn until(&mut self, wanted: impl Fn(&Received) -> bool) -> Received {
        loop {
            let frame = self.next().await.expect("more frames");
            if wanted(&frame) {
                return frame;
            }
        }
    }
}

fn some() -> Limits {
    Limits { connections: 8, requests: 8 }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_left_and_others_are_served_meanwhile() {
    let server = serving(Limits { requests: 2, ..some() }).await;
    let start = Instant::now();
    let mut unread = Http1::open(server.address).await;
    unread.ask("/large").await;
    assert_eq!(get(server.address, "/").await, 200, "there is room for one more request");
    let mut other = Http1::open(server.address).await;
    other.ask("/never").await;
    // Until the first client is gone, the two are all that may be in flight.
    while get(server.address, "/").await != 200 {
        assert!(start.elapsed() < TURN * 10, "still there");
        sleep(Duration::from_secs(1)).await;
    }
    assert!((TURN..=TURN * 4).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_opens_no_window_is_told_to_go_and_then_cut_off() {
    // With a window of one byte hyper is rid of the body, but not of what came out of it.
    for window in [0, 1] {
        let server = serving(some()).await;
        let start = Instant::now();
        let mut client = Http2::open(server.address, window).await;
        client.ask(1, "/page").await;
        client.ask(3, "/slow").await; // somebody else's, behind the same proxy
        client.until(|frame| frame.kind == HEADERS && frame.stream == 1).await;
        assert_eq!(get(server.address, "/").await, 200);
        client.until(|frame| frame.kind == GOAWAY).await;
        assert!((TURN..=TURN * 2).contains(&start.elapsed()), "{:?}", start.elapsed());
        client.until(|frame| frame.kind == HEADERS && frame.stream == 3).await;
        while client.next().await.is_some() {}
        assert!((TURN * 2..=TURN * 4).contains(&start.elapsed()), "{:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_a_byte_now_and_then_is_cut_off_as_well() {
    let server = serving(some()).await;
    let start = Instant::now();
    let mut client = Http2::open(server.address, 1).await;
    client.ask(1, "/page").await;
    loop {
        match timeout(TURN / 2, client.next()).await {
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(_) => client.send(8, 0, 1, &1_u32.to_be_bytes()).await, // WINDOW_UPDATE
        }
        assert!(start.elapsed() < TURN * 10, "still there");
    }
    assert!((TURN * 2..=TURN * 4).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_slowly_is_not_cut_off() {
    let server = serving(some()).await;
    let mut client = Http2::open(server.address, 1_000).await;
    client.ask(1, "/page").await;
    let mut missing = 10_000;
    while missing > 0 {
        let data = client.until(|frame| frame.kind == 0 && !frame.payload.is_empty()).await;
        missing -= data.payload.len();
        sleep(TURN / 20).await;
        client.send(8, 0, 1, &1_000_u32.to_be_bytes()).await; // WINDOW_UPDATE
    }
}

#[tokio::test(start_paused = true)]
async fn streams_beyond_the_limit_are_refused_and_others_are_served_meanwhile() {
    let server = serving(Limits { connections: 8, requests: 1_000 }).await;
    let mut client = Http2::open(server.address, 65_535).await;
    for number in 0..=MAX_STREAMS {
        client.ask(1 + 2 * number, "/never").await;
    }
    let reset = client.until(|frame| frame.kind == RESET).await;
    assert_eq!((reset.stream, &reset.payload[..]), (1 + 2 * MAX_STREAMS, &[0, 0, 0, 7][..]));
    assert_eq!(get(server.address, "/").await, 200);
}

#[tokio::test(start_paused = true)]
async fn the_more_connections_there_are_the_less_each_may_ask_at_a_time() {
    let server = serving(Limits { connections: 100, requests: 8 }).await;
    let mut open = Vec::new();
    for _ in 0..50 {
        let mut http1 = Http1::open(server.address).await;
        http1.ask("/").await;
        assert_eq!(http1.status().await, 200);
        open.push(http1.0);
    }
    let mut streams = Vec::new();
    for _ in 0..50 {
        let mut client = Http2::open(server.address, 65_535).await;
        let settings = client.until(|frame| frame.kind == SETTINGS && frame.flags & ACK == 0).await;
        let mut settings = settings.payload.chunks(6);
        let setting = settings.find(|setting| setting.starts_with(&[0, 3])).expect("a limit");
        streams.push(u32::from_be_bytes(setting[2..].try_into().expect("four bytes")));
        open.push(client.0);
    }
    assert_eq!(streams[0], MAX_STREAMS, "HTTP/1 takes nothing of it");
    assert!(streams.is_sorted_by(|a, b| a >= b) && streams[49] >= FEWEST_STREAMS, "{streams:?}");
    assert!(streams[49] < MAX_STREAMS / 2, "{streams:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_begin_to_speak_is_left() {
    let server = serving(some()).await;
    for said in [&b""[..], b"PRI * HTTP/2.0"] {
        let start = Instant::now();
        let mut client = TcpStream::connect(server.address).await.expect("a connection");
        client.write_all(said).await.expect("a few bytes");
        let mut read = Vec::new();
        let end = timeout(SILENCE * 20, client.read_to_end(&mut read)).await;
        let _ = end.expect("the end"); // however it came
        assert!((SILENCE..=SILENCE + TURN).contains(&start.elapsed()), "{:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_spoken_may_be_silent() {
    let server = serving(some()).await;
    let mut client = Http2::open(server.address, 65_535).await;
    client.ask(1, "/").await;
    client.until(|frame| frame.kind == HEADERS).await;
    let silence = timeout(SILENCE * 10, client.until(|frame| frame.kind == GOAWAY)).await;
    assert!(silence.is_err(), "still open: {silence:?}");
}

#[tokio::test(start_paused = true)]
async fn those_that_are_idle_make_room() {
    let server = serving(Limits { connections: 3, ..some() }).await;
    let mut http1 = Http1::open(server.address).await;
    http1.ask("/").await;
    assert_eq!(http1.status().await, 200);
    sleep(Duration::from_millis(1)).await;
    let mut http2 = Http2::open(server.address, 65_535).await;
    http2.ask(1, "/").await;
    http2.until(|frame| frame.kind == HEADERS).await;
    let mut busy = Http1::open(server.address).await;
    busy.ask("/slow").await;
    assert_eq!(get(server.address, "/").await, 503, "all have been busy a moment ago");
    sleep(Duration::from_secs(1)).await;
    let mut first = Http1::open(server.address).await;
    first.ask("/slow").await;
    assert_eq!(http1.0.read(&mut [0]).await.ok(), Some(0), "it was idle for longest");
    let second = tokio::spawn(get(server.address, "/"));
    http2.until(|frame| frame.kind == GOAWAY).await;
    while http2.next().await.is_some() {}
    assert_eq!(second.await.expect("no panic"), 200);
    for mut client in [busy, first] {
        assert_eq!(client.status().await, 200, "nobody closes what is busy");
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_refused_and_insists_is_heard_a_little_later() {
    let server = serving(Limits { requests: 1, ..some() }).await;
    let mut slow = Http1::open(server.address).await;
    slow.ask("/slow").await;
    while get(server.address, "/").await != 503 {}
    let mut client = Http1::open(server.address).await;
    // After the first time it may be somebody else who asks.
    for insists in [false, false, true, true] {
        let start = Instant::now();
        client.ask("/").await;
        assert_eq!(client.status().await, 503);
        let paused = start.elapsed() >= Duration::from_millis(240);
        assert_eq!(paused, insists, "{:?}", start.elapsed());
    }
    assert_eq!(slow.status().await, 200);
    client.ask("/").await;
    assert_eq!(client.status().await, 200);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_server_does_not_wait_for_those_who_do_not_read() {
    let server = serving(some()).await;
    let mut client = Http2::open(server.address, 0).await;
    client.ask(1, "/page").await;
    client.until(|frame| frame.kind == HEADERS).await;
    let start = Instant::now();
    server.stop.stop();
    let reading = tokio::spawn(async move { while client.next().await.is_some() {} });
    server.server.await.expect("no panic").expect("no error");
    assert!(start.elapsed() <= TURN * 3, "{:?}", start.elapsed());
    reading.await.expect("no panic");
}
