//! A way to a service on which answers can be lost.

use std::{net::SocketAddr, sync::Arc};

use emojivoto_testkit::ANY_PORT;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// Passes on what comes, in both directions. It ends with the test.
pub(crate) struct Relay {
    address: SocketAddr,
    state: Arc<watch::Sender<State>>,
}

#[derive(Clone, Copy, Default)]
struct State {
    answers_are_lost: bool,
    /// How often connections were cut.
    cuts: u32,
}

impl Relay {
    pub(crate) async fn to(service: SocketAddr) -> Self {
        let listener = TcpListener::bind(ANY_PORT).await.expect("a port");
        let address = listener.local_addr().expect("a bound address");
        let state = Arc::new(watch::Sender::default());
        let of_connections = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(pass(connection, service, of_connections.subscribe()));
            }
        });
        Self { address, state }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, requests arrive and answers do not.
    pub(crate) fn lose_answers(&self) {
        self.state.send_modify(|state| state.answers_are_lost = true);
    }

    /// Ends all connections. New ones are as they should be.
    pub(crate) fn cut(&self) {
        self.state.send_modify(|state| {
            *state = State { answers_are_lost: false, cuts: state.cuts + 1 };
        });
    }
}

/// Until one end closes, or until it is cut.
async fn pass(
    client: TcpStream,
    service: SocketAddr,
    mut state: watch::Receiver<State>,
) -> std::io::Result<()> {
    let (now, before) = (state.clone(), state.borrow().cuts);
    let service = TcpStream::connect(service).await?;
    let (mut requests, mut to_client) = client.into_split();
    let (mut answers, mut to_service) = service.into_split();
    let there = async { tokio::io::copy(&mut requests, &mut to_service).await.map(drop) };
    let back = async {
        let mut bytes = vec![0; 16 * 1024];
        loop {
            let read = answers.read(&mut bytes).await?;
            let State { answers_are_lost, cuts } = *now.borrow();
            if read == 0 || cuts > before {
                return Ok(());
            }
            if !answers_are_lost {
                to_client.write_all(&bytes[..read]).await?;
            }
        }
    };
    tokio::select! {
        ended = there => ended,
        ended = back => ended,
        _ = state.wait_for(|state| state.cuts > before) => Ok(()),
    }
}
