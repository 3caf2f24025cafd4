//! The connection to one replica.

use std::{error::Error as _, future::Future, net::SocketAddr, sync::Arc};

use futures_util::stream;
use http::{
    Request, Response,
    request::Parts,
    uri::{Authority, Scheme, Uri},
};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{
    body::{Bytes, Frame},
    client::conn::{
        TrySendError,
        http2::{Builder, SendRequest},
    },
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{net::TcpStream, sync::oneshot, time::timeout};
use tokio_util::io::InspectReader;
use tonic::{Status, body::Body, codegen::StdError};

use crate::upstream::{CONNECT_TIMEOUT, KEEPALIVE};

/// A replica that is connected.
#[derive(Debug)]
pub(super) struct Replica {
    pub(super) address: SocketAddr,
    /// Under which the address was found.
    name: Authority,
    requests: SendRequest<Body>,
    /// Each call in flight has a clone of it.
    in_flight: Arc<()>,
}

impl Replica {
    /// Connects to a replica. Also returned is what has to be polled for calls to be sent, and ends when none can be
    /// any more.
    pub(super) async fn connect(
        name: &Authority,
        address: SocketAddr,
    ) -> Result<(Self, impl Future + Send + use<>), StdError> {
        let (requests, connection) = timeout(CONNECT_TIMEOUT, connect(address)).await??;
        let replica = Self { address, name: name.clone(), requests, in_flight: Arc::default() };
        Ok((replica, connection))
    }

    /// Whether it takes no calls any more.
    pub(super) fn is_closed(&self) -> bool {
        self.requests.is_closed()
    }

    /// How many calls are in flight.
    pub(super) fn load(&self) -> usize {
        Arc::strong_count(&self.in_flight) - 1
    }

    /// Calls, under the name, which meshes and servers go by.
    pub(super) async fn call(
        &self,
        mut head: Parts,
        message: Bytes,
    ) -> Result<Response<Body>, TrySendError<Request<Body>>> {
        let mut uri = head.uri.into_parts();
        (uri.scheme, uri.authority) = (Some(Scheme::HTTP), Some(self.name.clone()));
        head.uri = Uri::from_parts(uri).expect("tonic's clients have a path");
        // As a stream: hyper says the length of a body that is known to be whole, which gRPC does not.
        let body = StreamBody::new(stream::iter([Ok::<_, Status>(Frame::data(message))]));
        let in_flight = Arc::clone(&self.in_flight);
        let request = Request::from_parts(head, Body::new(body));
        let answer = self.requests.clone().try_send_request(request).await?;
        Ok(answer.map(|body| {
            // In flight until its last byte has come, or nobody waits for it any more.
            Body::new(body.map_frame(move |frame| {
                let _ = &in_flight;
                frame
            }))
        }))
    }
}

/// Whether a call that failed was left undone for certain: it never left, or the replica said when it went away that
/// it has not looked at it. The connection takes no calls any more then.
pub(super) fn never_arrived(failed: &TrySendError<Request<Body>>) -> bool {
    let error = failed.error().source().and_then(|error| error.downcast_ref::<h2::Error>());
    failed.message().is_some() || error.is_some_and(|error| error.is_go_away() && error.is_remote())
}

async fn connect(
    address: SocketAddr,
) -> Result<(SendRequest<Body>, impl Future + Send + use<>), StdError> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    // The kernel makes connections for a process that hangs, too: it would be back as soon as it was given up. So it
    // counts once it has said something, which is how HTTP/2 begins.
    let (speaks, spoken) = oneshot::channel();
    let mut speaks = Some(speaks);
    let stream = InspectReader::new(stream, move |said: &[u8]| {
        if !said.is_empty()
            && let Some(speaks) = speaks.take()
        {
            let _ = speaks.send(()); // too late if nobody listens
        }
    });
    let (requests, connection) = Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        // One that hangs is found out before calls go to it, for 17 bytes in each direction every other second.
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(stream))
        .await?;
    spoken.await?;
    Ok((requests, connection))
}
