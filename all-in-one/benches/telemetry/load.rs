//! Who votes.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime,
    task::JoinSet,
};

const VOTE: &[u8] = b"GET /api/vote?choice=:joy: HTTP/1.1\r\nhost: emojivoto\r\n\r\n";
/// Each waits for its answer before it votes again.
const CONNECTIONS: usize = 32;
const WARM_UP: Duration = Duration::from_millis(500);
const MEASURED: Duration = Duration::from_millis(1_500);

/// Votes as fast as web answers. Prints a line when it is warm, and at the end how many votes were
/// counted from then on, in how many seconds.
pub(crate) fn run(web: SocketAddr) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let warm = Instant::now() + WARM_UP;
        let mut connections = JoinSet::new();
        for _ in 0..CONNECTIONS {
            connections.spawn(vote(web, warm, warm + MEASURED));
        }
        tokio::time::sleep_until(warm.into()).await;
        println!("warm");
        let votes: usize = connections.join_all().await.into_iter().sum();
        println!("{votes} {}", warm.elapsed().as_secs_f64());
    });
}

async fn vote(web: SocketAddr, from: Instant, to: Instant) -> usize {
    let mut stream = TcpStream::connect(web).await.expect("web is there");
    stream.set_nodelay(true).expect("a socket");
    let (mut votes, mut buffer) = (0, [0; 1024]);
    loop {
        stream.write_all(VOTE).await.expect("an open connection");
        let length = stream.read(&mut buffer).await.expect("an open connection");
        let answer = &buffer[..length];
        // Answers are short, come in one piece, and have no body.
        assert!(answer.starts_with(b"HTTP/1.1 200") && answer.ends_with(b"\r\n\r\n"));
        let now = Instant::now();
        if now >= to {
            return votes;
        }
        votes += usize::from(now >= from);
    }
}
