//! What rules do to a request on its way to a service.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use emojivoto_faults::{End, Failure, Here, STALL_LIMIT};
use emojivoto_telemetry::{KeyValue, record_error, set_attribute};
use futures_util::{
    TryFutureExt as _,
    future::{Either, MapErr},
};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body;
use hyper::body::Bytes;
use tokio::time::sleep;
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

    /// How long the caller waits, if it says so.
    fn timeout(&self, request: &Request<B>) -> Option<Duration>;

    /// Says that the caller waits no longer than this any more.
    fn set_timeout(&self, request: &mut Request<B>, left: Duration);

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

/// Rules that struck a request: goes into the extensions of its response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("on purpose, by the fault {rules}")]
pub struct Injected {
    /// Their names, with commas between them.
    pub rules: String,
}

/// There is no answer, because of a fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("reset {0}")]
pub struct Reset(pub Injected);

impl Reset {
    pub(super) fn by(rules: String) -> Self {
        Self(Injected { rules })
    }
}

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
        let (face, announce) = (self.face.clone(), self.injection.0.announce);
        Either::Right(Box::pin(struck(inner, face, here, announce, request)))
    }
}

/// Answers a request that rules may strike.
async fn struck<S, F, B>(
    mut inner: S,
    face: F,
    here: Here,
    announce: bool,
    request: Request<B>,
) -> Answer<F::Body>
where
    S: Service<Request<B>, Response = Response<F::Body>, Error: Into<Error>>,
    F: Face<B>,
    B: Send,
{
    let (mut request, choice) =
        if here.asks_for_emoji() { face.choice(request).await } else { (request, None) };
    let Some(strike) = here.strike(choice.as_deref(), Instant::now()) else {
        return inner.call(request).await.map_err(Into::into);
    };
    // In flight until here, as far as a limit goes.
    let _permits = strike.permits;
    if strike.rules.is_empty() {
        return inner.call(request).await.map_err(Into::into);
    }
    let why = Injected { rules: strike.rules.join(", ") };
    set_attribute(KeyValue::new("emojivoto.fault", why.rules.clone()));
    let timeout = face.timeout(&request);
    if !strike.delay.is_zero() {
        if let Some(timeout) = timeout.filter(|timeout| *timeout <= strike.delay) {
            sleep(timeout).await;
            record_error(&why);
            return Ok(announced(face.too_late(), why, announce));
        }
        sleep(strike.delay).await;
        if let Some(timeout) = timeout {
            face.set_timeout(&mut request, timeout.saturating_sub(strike.delay));
        }
    }
    let response = match strike.end {
        None => inner.call(request).await.map_err(Into::into)?,
        Some(End::Fail(failure)) => {
            record_error(&why);
            face.fail(&failure, request, &why).await
        }
        Some(End::Reset) => {
            let reset = Reset(why);
            record_error(&reset);
            return Err(reset.into());
        }
        Some(End::Stall) => {
            record_error(&why);
            let patience =
                timeout.map_or(STALL_LIMIT, |timeout| timeout.saturating_sub(strike.delay));
            let patience = patience.min(STALL_LIMIT);
            let head = *request.method() == Method::HEAD;
            let response = inner.call(request).await.map_err(Into::into)?;
            if head || has_no_body(response.status()) {
                sleep(patience).await;
                return Err(Reset(why).into());
            }
            let (mut parts, body) = response.into_parts();
            if body.size_hint().exact() == Some(0) {
                // Or it would end with its head.
                parts.headers.remove(header::CONTENT_LENGTH);
            }
            let half = Stalled::new(body, patience, why.rules.clone());
            Response::from_parts(parts, face.stalled(half))
        }
    };
    Ok(announced(response, why, announce))
}

fn has_no_body(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// Says what struck a request, in its answer.
fn announced<B>(mut response: Response<B>, why: Injected, announce: bool) -> Response<B> {
    if announce && let Ok(rules) = HeaderValue::from_str(&why.rules) {
        response.headers_mut().insert(HEADER, rules);
    }
    response.extensions_mut().insert(why);
    response
}
