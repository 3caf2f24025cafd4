use std::net::Ipv4Addr;

use emojivoto_testkit::within;
use futures_util::future::join_all;
use http::{HeaderValue, Response};
use tokio::{net::TcpListener, time::Instant};

use super::*;

/// A backend that does what the test says with its one connection.
async fn backend<F>(serve: impl FnOnce(h2::server::Connection<TcpStream, Bytes>) -> F) -> Connection
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let accepted = async {
        let (stream, _) = listener.accept().await.expect("a connection");
        let mut server = h2::server::Builder::new();
        server.max_concurrent_streams(1_000);
        server.handshake(stream).await.expect("a client of HTTP/2")
    };
    let opened = Connection::open(0, address, WhileIdle::DoNot);
    let (opened, accepted) = within("a connection", async { tokio::join!(opened, accepted) }).await;
    tokio::spawn(serve(accepted));
    opened.expect("a connection").0
}

async fn call(connection: &Connection) -> Result<Answer, Failed> {
    let uri = Uri::from_static("http://voting-svc:8080/emojivoto.v1.VotingService/VoteJoy");
    connection.call(&uri, HeaderMap::new(), Bytes::from_static(&[0; 5]), &mut None).await
}

/// Answers as gRPC does: a message, and then the status.
fn answer(mut respond: h2::server::SendResponse<Bytes>) {
    let mut body = respond.send_response(Response::new(()), false).expect("a stream");
    body.send_data(Bytes::from_static(&[0; 5]), false).expect("a stream");
    let status = [(tonic::Status::GRPC_STATUS, HeaderValue::from_static("0"))];
    body.send_trailers(status.into_iter().collect()).expect("a stream");
}

/// The clock is the test's own: it jumps to the next timer when nothing else is to be done.
#[tokio::test(start_paused = true)]
async fn a_backend_that_has_no_time_for_a_while_is_not_dead() {
    let connection = backend(async |mut server| {
        let (_, respond) = server.accept().await.expect("a call").expect("a stream");
        sleep(Duration::from_secs(9)).await;
        answer(respond);
        while server.accept().await.is_some() {}
    })
    .await;
    let answer = call(&connection).await.expect("an answer");
    assert_eq!((answer.status.as_u16(), answer.data.len()), (200, 5));
    assert!(!connection.is_gone());
    assert_eq!(connection.load(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_backend_from_which_nothing_comes_is_given_up() {
    let connection = backend(async |mut server| {
        let accepted = server.accept().await.expect("a call").expect("a stream");
        std::future::pending::<()>().await;
        drop((server, accepted));
    })
    .await;
    let start = Instant::now();
    let failed = call(&connection).await.expect_err("no answer");
    assert!(matches!(failed, Failed::Broken(_)), "{failed:?}");
    assert!(connection.is_gone());
    let took = start.elapsed();
    assert!((SILENCE..SILENCE * 2 + KEEPALIVE).contains(&took), "{took:?}");
}

/// Hundreds of small answers at once are an attack to h2, unless it is told otherwise.
#[tokio::test]
async fn many_answers_at_once_are_many_answers() {
    const CALLS: usize = 600;
    let connection = backend(async |mut server| {
        let mut calls = Vec::new();
        while let Some(call) = server.accept().await {
            let (_, respond) = call.expect("a stream");
            calls.push(respond);
            if calls.len() == CALLS {
                calls.drain(..).for_each(answer);
            }
        }
    })
    .await;
    let calls = join_all((0..CALLS).map(|_| call(&connection)));
    for answer in within("all answers", calls).await {
        assert_eq!(answer.expect("an answer").data.len(), 5);
    }
}

#[tokio::test]
async fn a_call_that_was_not_looked_at_is_told_from_one_that_may_have_been() {
    let connection = backend(async |mut server| {
        let (_, mut refused) = server.accept().await.expect("a call").expect("a stream");
        refused.send_reset(Reason::REFUSED_STREAM);
        let (_, mut ended) = server.accept().await.expect("a call").expect("a stream");
        ended.send_reset(Reason::CANCEL);
        while server.accept().await.is_some() {}
    })
    .await;
    let refused = within("an end", call(&connection)).await.expect_err("it was refused");
    assert!(matches!(refused, Failed::NeverArrived(_)), "{refused:?}");
    assert!(!connection.is_gone());
    let ended = within("an end", call(&connection)).await.expect_err("it was ended");
    assert!(matches!(ended, Failed::Broken(_)), "{ended:?}");
}

#[tokio::test]
async fn a_connection_that_its_backend_ends_takes_no_calls() {
    let connection = backend(async |mut server| {
        let (_, respond) = server.accept().await.expect("a call").expect("a stream");
        server.graceful_shutdown();
        answer(respond);
        while server.accept().await.is_some() {}
    })
    .await;
    within("an answer", call(&connection)).await.expect("it was accepted before");
    let gone = async {
        while !connection.is_gone() {
            tokio::task::yield_now().await;
        }
    };
    within("the end of the connection", gone).await;
    let failed = within("an end", call(&connection)).await.expect_err("it has ended");
    assert!(matches!(failed, Failed::NeverArrived(_)), "{failed:?}");
}
