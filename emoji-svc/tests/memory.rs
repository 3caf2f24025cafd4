//! However many come, and whatever they do: the binary stays below the limit that Kubernetes gives it.

use emojivoto_net::open_files;
use emojivoto_runtime::Limits;
use emojivoto_testkit::{Binary, eventually, http, usage};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

const EMOJI_SVC: &str = env!("CARGO_BIN_EXE_emojivoto-emoji-svc");

const CONNECTIONS: usize = Limits::DEFAULT.connections;

/// More than a connection may have at a time where there are many, and not so many more that it would be closed.
const STREAMS: u8 = 14;

const MANIFEST: &str = include_str!("../../k8s/base/emoji.yml");

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("short");
    [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
}

/// What a client says that makes room for so many bytes of each answer, and asks for everything there is.
fn greedy(window: u8) -> Vec<u8> {
    let mut said = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    said.extend(frame(4, 0, 0, &[0, 4, 0, 0, 0, window])); // SETTINGS
    let mut head = vec![0x83, 0x86]; // POST, http
    for (name, value) in [
        (":path", "/emojivoto.v1.EmojiService/ListAll"),
        (":authority", "x"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ] {
        head.push(0); // neither indexed nor compressed
        for text in [name, value] {
            head.push(u8::try_from(text.len()).expect("short"));
            head.extend_from_slice(text.as_bytes());
        }
    }
    for stream in (1..2 * STREAMS).step_by(2) {
        said.extend(frame(1, 4, stream, &head)); // HEADERS, END_HEADERS
        said.extend(frame(0, 1, stream, &[0; 5])); // DATA, END_STREAM
    }
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn with_answers_that_nobody_reads() {
    // The test has as many connections as the service.
    let needed = CONNECTIONS as u64 + 200;
    assert_eq!(open_files::allow(needed), needed, "this test needs so many open files");
    for window in [0, 1] {
        let mut run = Binary::new(EMOJI_SVC).env("GRPC_PORT", "0").env("PROM_PORT", "0").start();
        let (admin, address) = (run.address("PROM_PORT"), run.address("GRPC_PORT"));
        let (said, mut open) = (greedy(window), Vec::new());
        for _ in 0..CONNECTIONS {
            let mut connection = TcpStream::connect(address).await.expect("a connection");
            let _ = connection.write_all(&said).await; // it may be closed before its end
            open.push(connection);
        }
        // Each of them has more than eight refused before it is closed.
        let refused = "emojivoto_rejected_total{reason=\"requests\"}";
        eventually("refusals", || async {
            let refused = http::sum_of_metrics(admin, refused).await;
            (refused >= 8 * (CONNECTIONS as u64 - 64)).then_some(())
        })
        .await;
        let memory = usage::memory(run.id(), "RssAnon");
        usage::assert_below_limit(MANIFEST, CONNECTIONS, memory);
    }
}
