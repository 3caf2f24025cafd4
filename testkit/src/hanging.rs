//! A store that never comes to an end.

use std::{future::pending, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

/// A Redis that is there, and does not come to the end of a vote.
pub async fn redis_that_hangs() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut read = vec![0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut read).await {
                    let asked = String::from_utf8_lossy(&read[..length]).to_uppercase();
                    if asked.contains("EVALSHA") {
                        return pending().await;
                    }
                    for command in asked.split("\r\n") {
                        let answer = match command {
                            "CLIENT" => "+OK\r\n",
                            "HGETALL" => "*0\r\n",
                            "EXISTS" => ":0\r\n",
                            _ => "",
                        };
                        stream.write_all(answer.as_bytes()).await.expect("room");
                    }
                }
            });
        }
    });
    address
}
