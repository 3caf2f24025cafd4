//! What rules do to a request on its way to a service.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use emojivoto_faults::{End, Failure, Here, Permit, STALL_LIMIT, Strike};
use emojivoto_telemetry::{Injected, KeyValue, record_error, set_attribute};
use futures_util::{
    TryFutureExt as _,
    future::{Either, MapErr},
};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body;
use hyper::body::Bytes;
use tokio::time::{Instant as Clock, sleep, sleep_until};
use tower::Service;

use super::{HEADER, Injection, stall::Stalled};
use crate::{Error, Lifecycle};

/// How the requests of a protocol are told apart and answered.
pub trait Face<B>: Clone + Send + Sync + 'static {
    /// The body of an answer.
    type Body: Body<Data = Bytes, Error: Into<Error>> + Send + 'static;

    /// The path of the RPC, or the template of the route, that a request is for.
    fn path<'a>(&self, request: &'a Request<B>) -> Option<&'a str>;

    /// The emoji that a request chooses, and the request, of which nothing is missing.
    fn choice(
        &self,
        request: Request<B>,
    ) -> impl Future<Output = (Request<B>, Option<String>)> + Send;

    /// Whether callers can say how long they wait.
    const HAS_TIMEOUTS: bool = true;

    /// How long the caller waits, if it says so.
    fn timeout(&self, request: &Request<B>) -> Option<Duration>;

    /// Says that the caller waits no longer than this any more.
    fn set_timeout(&self, request: &mut Request<B>, left: Duration);

    /// Writes a line about a request that faults end badly, unless somebody else does that.
    fn line(&self, _: &Request<B>, _: &Injected) {}

    /// How a failure is told to whoever made a request.
    fn fail(
        &self,
        failure: &Failure,
        request: Request<B>,
        why: &Injected,
    ) -> impl Future<Output = Response<Self::Body>> + Send;

    /// That it was too late before anything was done.
    fn too_late(&self) -> Response<Self::Body>;

    /// Half an answer, as an answer.
    fn stalled(&self, half: Stalled<Self::Body>) -> Self::Body;
}

/// There is no answer, because of a fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("reset {0}")]
pub struct Reset(#[source] pub Injected);

impl Reset {
    pub(super) fn by(rules: String) -> Self {
        Self(Injected { rules, ended: true })
    }
}

/// The places that a request has under limits: in the extensions of its response, from where the server takes them, to
/// give them back when the client has all of the answer.
#[derive(Debug, Clone)]
pub(crate) struct Held(#[expect(dead_code, reason = "to be dropped")] Arc<[Permit]>);

/// Goes into the extensions of a response that is half of one.
#[derive(Debug, Clone, Copy)]
pub struct Stalls;

/// Puts the faults of the process before `inner`.
///
/// Where no rule strikes, a request costs a look at the rules in force, and nothing else.
#[derive(Debug, Clone)]
pub struct Injecting<S, F> {
    inner: S,
    face: F,
    injection: Injection,
}

impl<S, F> Injecting<S, F> {
    /// With the rules of the process that the service is a part of.
    pub fn new(inner: S, face: F, lifecycle: &Lifecycle) -> Self {
        Self { inner, face, injection: lifecycle.faults().clone() }
    }
}

/// What is answered.
type Answer<R> = Result<Response<R>, Error>;

impl<S, F, B> Service<Request<B>> for Injecting<S, F>
where
    S: Service<Request<B>, Response = Response<F::Body>, Error: Into<Error> + Send>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    F: Face<B>,
    B: Send + 'static,
{
    type Response = Response<F::Body>;
    type Error = Error;
    type Future = Either<
        MapErr<S::Future, fn(S::Error) -> Error>,
        Pin<Box<dyn Future<Output = Answer<F::Body>> + Send>>,
    >;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let here = self.face.path(&request).and_then(|path| self.injection.rules().at(path));
        let Some(here) = here else {
            return Either::Left(self.inner.call(request).map_err(Into::into as _));
        };
        // The one that is ready is called, and its clone may not be.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        let (face, injection) = (self.face.clone(), self.injection.clone());
        Either::Right(Box::pin(struck(inner, face, here, injection, request)))
    }
}

/// Answers a request that rules may strike.
async fn struck<S, F, B>(
    mut inner: S,
    face: F,
    here: Here,
    injection: Injection,
    request: Request<B>,
) -> Answer<F::Body>
where
    S: Service<Request<B>, Response = Response<F::Body>, Error: Into<Error>>,
    F: Face<B>,
    B: Send,
{
    let (request, choice) =
        if here.asks_for_emoji() { face.choice(request).await } else { (request, None) };
    let Some(strike) = here.strike(choice.as_deref(), Instant::now()) else {
        return inner.call(request).await.map_err(Into::into);
    };
    let Strike { delay, end, rules, permits } = strike;
    let held = (!permits.is_empty()).then(|| Held(permits.into()));
    let mut response = if rules.is_empty() {
        inner.call(request).await.map_err(Into::into)?
    } else {
        let timeout = face.timeout(&request);
        let late = timeout.is_some_and(|timeout| !delay.is_zero() && timeout <= delay);
        let why = Injected { rules: rules.join(", "), ended: late || end.is_some() };
        set_attribute(KeyValue::new("emojivoto.fault", why.rules.clone()));
        if F::HAS_TIMEOUTS {
            injection.waits(timeout);
        }
        let response = answer(inner, &face, (delay, end), &why, request).await?;
        announced(response, why, injection.0.announce)
    };
    if let Some(held) = held {
        response.extensions_mut().insert(held);
    }
    Ok(response)
}

/// Answers a request that is struck: it is held so long, and ends like this.
async fn answer<S, F, B>(
    mut inner: S,
    face: &F,
    (delay, end): (Duration, Option<End>),
    why: &Injected,
    mut request: Request<B>,
) -> Answer<F::Body>
where
    S: Service<Request<B>, Response = Response<F::Body>, Error: Into<Error>>,
    F: Face<B>,
    B: Send,
{
    let timeout = face.timeout(&request);
    if !delay.is_zero() {
        if let Some(timeout) = timeout.filter(|timeout| *timeout <= delay) {
            // Before it is so: who waits goes away at the same time, and then there is nobody to tell it.
            record_error(why);
            face.line(&request, why);
            sleep(timeout).await;
            return Ok(face.too_late());
        }
        sleep(delay).await;
        if let Some(timeout) = timeout {
            face.set_timeout(&mut request, timeout.saturating_sub(delay));
        }
    }
    let Some(end) = end else {
        return inner.call(request).await.map_err(Into::into);
    };
    face.line(&request, why);
    match end {
        End::Fail(failure) => {
            record_error(why);
            Ok(face.fail(&failure, request, why).await)
        }
        End::Reset => {
            let reset = Reset(why.clone());
            record_error(&reset);
            Err(reset.into())
        }
        End::Stall => {
            record_error(why);
            let left = timeout.map_or(STALL_LIMIT, |timeout| timeout.saturating_sub(delay));
            stalled(inner, face, Clock::now() + left.min(STALL_LIMIT), why, request).await
        }
    }
}

/// Does what is to be done, and answers half of it.
async fn stalled<S, F, B>(
    mut inner: S,
    face: &F,
    until: Clock,
    why: &Injected,
    request: Request<B>,
) -> Answer<F::Body>
where
    S: Service<Request<B>, Response = Response<F::Body>, Error: Into<Error>>,
    F: Face<B>,
    B: Send,
{
    let head = *request.method() == Method::HEAD;
    let response = inner.call(request).await.map_err(Into::into)?;
    if head || says_all_in_its_head(response.status()) {
        sleep_until(until).await;
        return Err(Reset(why.clone()).into());
    }
    let (mut parts, body) = response.into_parts();
    if body.size_hint().exact() == Some(0) {
        // Or it would end with its head.
        parts.headers.remove(header::CONTENT_LENGTH);
    }
    parts.extensions.insert(Stalls);
    let half = Stalled::new(body, until, why.rules.clone());
    Ok(Response::from_parts(parts, face.stalled(half)))
}

/// Whether it has no body, or a client goes where it leads to without a look at that.
fn says_all_in_its_head(status: StatusCode) -> bool {
    status == StatusCode::NO_CONTENT || status.is_redirection()
}

/// Says what struck a request, in its answer.
fn announced<B>(mut response: Response<B>, why: Injected, announce: bool) -> Response<B> {
    if announce && let Ok(rules) = HeaderValue::from_str(&why.rules) {
        response.headers_mut().insert(HEADER, rules);
    }
    response.extensions_mut().insert(why);
    response
}
