//! Serves HTTP/1.1 and HTTP/2 (h2c) until told to stop; gRPC, which is HTTP/2, as well.
//!
//! A server takes on no more than its [`Limits`] say. `connections` are all that are open, `connection` is one of them,
//! `socket` its bytes, `answer` what it is answered, `streams` how many requests at a time it may have, `refuse` what
//! becomes of connections for which there is no room.
//!
//! [`Limits`]: crate::Limits

mod answer;
mod connection;
mod connections;
mod inline;
pub(crate) mod refuse;
mod socket;
mod streams;
#[cfg(test)]
mod tests;

use std::{
    future::{Future, Ready, poll_fn, ready},
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
};

use answer::Answer;
use connection::{Connection, Ending, Ticket};
use connections::{Connections, LEAVE};
use emojivoto_net::{
    accept,
    limits::{
        CONNECTION_WINDOW, KEEPALIVE, MAX_HEAD_BYTES, SEND_BUFFER_BYTES, SILENCE, SOCKET_BUFFER,
        STREAM_WINDOW, TURN,
    },
};
use futures_util::future::Either;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use inline::Inline;
use refuse::Refuser;
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};
use socket::Socket;
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, MissedTickBehavior, Sleep, interval_at, sleep},
};
use tower::{Service, ServiceExt as _};

use crate::{Budget, Error, Lifecycle, Limits, limits::Refusals};

/// Goes into the extensions of a response whose body may take for ever. Such a stream is no request in flight any
/// more: whoever makes it bounds how many there are.
#[derive(Debug, Clone, Copy)]
pub struct LongLived;

/// What clients are told when there is too much to do.
#[derive(Debug)]
pub struct Refusal<R> {
    /// What is written to a connection for which there is no room: a whole answer in HTTP/1.1. Without one it is closed.
    pub connection: Option<String>,
    /// Answers a request that is one too many.
    pub request: R,
    /// Whether those to this path are never too many: how a service is, has to be known just when it has much to do.
    pub never: fn(&str) -> bool,
}

/// Serves `app` on `listener` until the service is told to stop; returns when every request in
/// flight has been answered. What is too much gets an empty 503.
pub async fn serve<S, B>(listener: TcpListener, app: S, lifecycle: &Lifecycle) -> io::Result<()>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<Error>,
    B: Body<Data: Send, Error: Into<Error>> + Default + Send + 'static,
{
    let refusal = Refusal {
        connection: Some(UNAVAILABLE.to_owned()),
        request: |_| unavailable(B::default()),
        never: |_| false,
    };
    serve_or_refuse(listener, app, refusal, lifecycle).await
}

const UNAVAILABLE: &str = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// That there is too much to do now, and not in a second.
pub fn unavailable<B>(body: B) -> Response<B> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// The same with an answer of the service's own to what is too much.
pub async fn serve_or_refuse<S, B, R>(
    listener: TcpListener,
    app: S,
    refusal: Refusal<R>,
    lifecycle: &Lifecycle,
) -> io::Result<()>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<Error>,
    B: Body<Data: Send, Error: Into<Error>> + Send + 'static,
    R: Fn(Request<Incoming>) -> Response<B> + Send + Sync + 'static,
{
    let (limits, rejected) = (lifecycle.limits(), lifecycle.rejected());
    let address = listener.local_addr()?;
    let refusals = |what, setting, most| {
        let setting = if limits == Limits::ADMIN { "no setting" } else { setting };
        let limit = format!("{most} at a time are taken on at {address} ({setting})");
        Refusals::new(what, limit, rejected)
    };
    let no_room = Arc::new(refusals("connections", "MAX_CONNECTIONS", limits.connections));
    let busy = refusals("requests", "MAX_REQUESTS", limits.requests);
    let requests = Arc::new(Budget::new(limits.requests, busy));
    let mut refuser = Refuser::new(refusal.connection.clone());
    // What the kernel keeps for a connection is taken from the same memory; by itself it keeps megabytes.
    let sockets = set_socket_send_buffer_size(&listener, SOCKET_BUFFER)
        .and(set_socket_recv_buffer_size(&listener, SOCKET_BUFFER));
    sockets.map_err(io::Error::from)?;
    let server = Arc::new(Server { builder: builder(), app, refusal, requests });
    let connections = Arc::new(Connections::new(limits.connections));

    let turns = async {
        let mut ticks = interval_at(Instant::now() + TURN, TURN);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            connections.watch_turns();
        }
    };
    let accepting = async {
        loop {
            let (stream, peer) = accept(&listener).await;
            if !connections.have_room().await {
                no_room.count();
                refuser.refuse(stream).await;
                continue;
            }
            let (server, member) = (Arc::clone(&server), connections.add());
            let among = Arc::clone(&connections);
            tokio::spawn(async move {
                if let Err(error) = server.converse(stream, &member.connection, &among).await {
                    tracing::debug!(%peer, error, "connection ended early");
                }
            });
        }
    };
    let mut turns = pin!(turns);
    tokio::select! {
        () = lifecycle.shutdown() => {}
        () = &mut turns => {}
        () = accepting => {}
    }
    drop(listener);
    connections.tell_all();
    tokio::select! {
        () = connections.none() => {}
        () = turns => {} // without end: those who do not take their answers are not waited for
    }
    Ok(())
}

fn builder() -> Builder<Inline> {
    let mut builder = Builder::new(Inline);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(SILENCE)
        .max_buf_size(usize::try_from(MAX_HEAD_BYTES).expect("16 KiB fit"));
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .max_header_list_size(MAX_HEAD_BYTES);
    builder
}

/// What all connections share.
struct Server<S, R> {
    builder: Builder<Inline>,
    app: S,
    refusal: Refusal<R>,
    requests: Arc<Budget>,
}

impl<S, B, R> Server<S, R>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<Error>,
    B: Body<Data: Send, Error: Into<Error>> + Send + 'static,
    R: Fn(Request<Incoming>) -> Response<B> + Send + Sync + 'static,
{
    /// Answers the requests of a connection until its end.
    async fn converse(
        self: Arc<Self>,
        stream: TcpStream,
        connection: &Arc<Connection>,
        connections: &Connections,
    ) -> Result<(), Error> {
        // Who says nothing takes no streams from others.
        let begins = tokio::select! {
            begins = begins_like_http2(&stream) => begins?,
            () = poll_fn(|cx| connection.watch_ending(cx).or_pending()) => return Ok(()),
        };
        let mut builder = self.builder.clone();
        let streams = begins.then(|| connections.streams());
        if let Some(streams) = &streams {
            builder
                .http2()
                .max_concurrent_streams(streams.streams())
                .max_local_error_reset_streams(streams.resets());
        }
        let answers = Answers { server: Arc::clone(&self), connection: Arc::clone(connection) };
        let socket = TokioIo::new(Socket::new(stream, Arc::clone(connection)));
        let mut conversation = pin!(builder.serve_connection(socket, answers));
        // From when it is told to end, this is how often it is looked whether it can.
        let mut leave = pin!(None::<Sleep>);
        poll_fn(|cx| {
            let ending = connection.watch_ending(cx);
            // Only its own task accepts requests, so that there is none if there is none now.
            let idle = connection.idle().is_some();
            if ending == Ending::Cut || (ending == Ending::Idle && idle) {
                return Poll::Ready(Ok(()));
            }
            if ending != Ending::Open && leave.is_none() {
                conversation.as_mut().graceful_shutdown();
                leave.set(Some(sleep(LEAVE)));
            }
            if let Some(left) = leave.as_mut().as_pin_mut()
                && left.poll(cx).is_ready()
            {
                if idle {
                    return Poll::Ready(Ok(()));
                }
                leave.set(Some(sleep(LEAVE)));
                cx.waker().wake_by_ref();
            }
            conversation.as_mut().poll(cx)
        })
        .await
    }
}

/// Whether the first bytes are those that HTTP/2 begins with, and no method of HTTP/1 does.
async fn begins_like_http2(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0; 3];
    let length = stream.peek(&mut first).await?;
    Ok(length > 0 && b"PRI".starts_with(&first[..length]))
}

/// Answers the requests of one connection.
struct Answers<S, R> {
    server: Arc<Server<S, R>>,
    connection: Arc<Connection>,
}

impl<S, B, R> hyper::service::Service<Request<Incoming>> for Answers<S, R>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<Error>,
    B: Body<Data: Send, Error: Into<Error>> + Send + 'static,
    R: Fn(Request<Incoming>) -> Response<B> + Send + Sync + 'static,
{
    type Response = Response<Answer<B>>;
    type Error = Error;
    type Future = Either<Ready<Answered<B>>, Pin<Box<dyn Future<Output = Answered<B>> + Send>>>;

    /// Whether to refuse is decided at once, and not when a task gets to it: there may be many to refuse, and each has to
    /// cost little.
    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let Server { app, refusal, requests, .. } = &*self.server;
        let mut ticket = Ticket::new(Arc::clone(&self.connection));
        if !(refusal.never)(request.uri().path()) {
            ticket.permit = requests.try_take();
            self.connection.refuses(ticket.permit.is_none());
            if ticket.permit.is_none() {
                let response = (refusal.request)(request).map(|body| Answer::new(body, ticket));
                return Either::Left(ready(Ok(response)));
            }
        }
        let answer = app.clone().oneshot(request);
        Either::Right(Box::pin(async move {
            let mut response = answer.await.map_err(Into::into)?;
            if response.extensions().get::<LongLived>().is_some() {
                ticket.permit = None;
                ticket.stream = response.extensions_mut().remove();
            }
            ticket.held = response.extensions_mut().remove();
            Ok(response.map(|body| Answer::new(body, ticket)))
        }))
    }
}

type Answered<B> = Result<Response<Answer<B>>, Error>;
