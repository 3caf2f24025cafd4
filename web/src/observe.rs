//! What is seen of each request: a line in the log, a span, and its part in the metrics.
//!
//! Names are those of OpenTelemetry's semantic conventions for HTTP servers:
//! <https://opentelemetry.io/docs/specs/semconv/http/>.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll, ready},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    response::Response,
};
use emojivoto_runtime::{
    Error as BoxError,
    faults::{Reset, Stalls},
};
use emojivoto_telemetry::{
    Cause, Context, KeyValue, Observed, Operation, Side, Telemetry, Value, Why, WithContext,
    attribute, is_recorded,
    metrics::{CANCELLED, HttpMetrics, HttpRequest, OTHER, Outcome, known},
};
use http::{
    HeaderValue, Method, Request, StatusCode, Uri, Version, header,
    uri::{Authority, PathAndQuery},
};
use pin_project_lite::pin_project;
use tower::Service;
use tracing::Level;

use crate::{error::Error, faults, routes::route};

/// Not a status that anybody gets: the client went away before its answer. As nginx writes it.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// Not one either: web closed the connection instead of answering. As nginx writes it.
const CLOSED_WITHOUT_RESPONSE: u16 = 444;

/// What clients send is kept no longer than this, in bytes: lines and spans wait in memory for who takes them.
const MAX_TEXT: usize = 1024;

fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

/// Observes every request that passes to `inner`.
///
/// A service of its own, because axum's `from_fn` clones and boxes everything below it for each request.
#[derive(Debug, Clone)]
pub(crate) struct Observe<S> {
    inner: S,
    observer: Arc<Observer>,
}

#[derive(Debug)]
struct Observer {
    telemetry: Telemetry,
    metrics: HttpMetrics,
}

impl<S> Observe<S> {
    pub(crate) fn new(inner: S, telemetry: Telemetry) -> Self {
        let metrics = telemetry.http(Side::Server);
        Self { inner, observer: Arc::new(Observer { telemetry, metrics }) }
    }
}

impl<S, B> Service<Request<B>> for Observe<S>
where
    S: Service<Request<Body>, Response = Response, Error = BoxError>,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response;
    type Error = BoxError;
    type Future = Answering<S::Future>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Answering<S::Future> {
        let exchange = Exchange::start(&self.observer, &request);
        Answering {
            answer: exchange.run(self.inner.call(request.map(Body::new))),
            exchange: Some(exchange),
        }
    }
}

pin_project! {
    /// A request without its response.
    pub(crate) struct Answering<F> {
        #[pin]
        answer: WithContext<F>,
        exchange: Option<Operation<Exchange>>,
    }
}

impl<F: Future<Output = Result<Response, BoxError>>> Future for Answering<F> {
    type Output = Result<Response, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.answer.poll(cx));
        if let Some(mut exchange) = this.exchange.take() {
            match &response {
                Ok(response) => exchange.observed.answered(response),
                Err(error) => exchange.observed.reset(error.downcast_ref()),
            }
        }
        Poll::Ready(response)
    }
}

/// A request and, at its end, its status. It is dropped without one when the client goes away.
#[derive(Debug)]
struct Exchange {
    observer: Arc<Observer>,
    counted: HttpRequest,
    method: Method,
    uri: Uri,
    version: Version,
    route: Option<&'static str>,
    host: Option<HeaderValue>,
    user_agent: Option<HeaderValue>,
    status: Option<StatusCode>,
    error: Option<Arc<Error>>,
    /// The faults that struck it, here or where web asked.
    fault: Option<String>,
    /// The one of them that ended it.
    by: Option<String>,
    stalls: bool,
    reset: Option<Reset>,
}

impl Exchange {
    fn start<B>(observer: &Arc<Observer>, request: &Request<B>) -> Operation<Self> {
        let (method, headers) = (request.method(), request.headers());
        let route = route(request.uri().path());
        let name = || {
            // The conventions' word for methods that are none.
            let method = known(method).unwrap_or("HTTP");
            route.map_or(method.to_owned(), |route| format!("{method} {route}"))
        };
        let context = observer.telemetry.spans().server(name, headers);
        let recorded = is_recorded(&context);
        let header = |name| headers.get(name).filter(|_| recorded).cloned();
        let exchange = Self {
            counted: observer.metrics.start(method, route.unwrap_or(OTHER)),
            observer: Arc::clone(observer),
            method: method.clone(),
            uri: request.uri().clone(),
            version: request.version(),
            route,
            host: header(header::HOST),
            user_agent: header(header::USER_AGENT),
            status: None,
            error: None,
            fault: None,
            by: None,
            stalls: false,
            reset: None,
        };
        Operation::start(context, exchange)
    }

    fn answered(&mut self, response: &Response) {
        self.status = Some(response.status());
        self.error = response.extensions().get().cloned();
        self.fault = faults::of(response);
        self.by = faults::by(response);
        self.stalls = response.extensions().get::<Stalls>().is_some();
    }

    fn reset(&mut self, reset: Option<&Reset>) {
        self.fault = reset.map(|Reset(why)| why.rules.clone());
        self.by = reset.and_then(|Reset(why)| why.by()).map(ToOwned::to_owned);
        self.reset = reset.cloned();
    }

    /// Why it has no good answer.
    fn error(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let error = self.error.as_deref().map(|error| error as _);
        error.or(self.reset.as_ref().map(|reset| reset as _))
    }

    /// A line in the log, with what went wrong if something did on our side. Test suites of meshes
    /// look for the target between spaces.
    fn log(&self, took: Duration, failed: bool, context: &Context) {
        let _in_context = context.clone().attach();
        let method = shortened(self.method.as_str());
        let (known, original) = self.known_method();
        // The target alone, also where HTTP/2 sends it with scheme and host.
        let target = self.uri.path_and_query().map_or(self.uri.path(), PathAndQuery::as_str);
        let target = shortened(target);
        let status = match (self.status, &self.reset) {
            (Some(status), _) => status.as_u16(),
            (None, Some(_)) => CLOSED_WITHOUT_RESPONSE,
            (None, None) => CLIENT_CLOSED_REQUEST,
        };
        let milliseconds = took.as_secs_f64() * 1_000.0;
        let error = self.error().filter(|_| failed);
        macro_rules! line {
            ($level:expr) => {
                tracing::event!(
                    target: "web",
                    $level,
                    {
                        error,
                        fault = self.fault.as_deref(),
                        http.request.method = known,
                        http.request.method_original = original,
                        http.route = self.route,
                        http.response.status_code = status,
                        http.server.request.duration = took.as_secs_f64(),
                    },
                    "{method} {target} {status} {milliseconds:.1}ms"
                )
            };
        }
        if failed { line!(Level::WARN) } else { line!(Level::INFO) }
    }

    /// How it ended: an answer of which half is missing has a status that says nothing.
    fn outcome(&self) -> Outcome {
        match (self.status, &self.reset) {
            (Some(_), _) if self.stalls => Outcome::None("stall"),
            (Some(status), _) => Outcome::Status(status),
            (None, Some(_)) => Outcome::None("reset"),
            (None, None) => Outcome::None("cancelled"),
        }
    }

    /// The method, if there is such a one, or else what stands for it, and what it was.
    fn known_method(&self) -> (&'static str, Option<&str>) {
        let known = known(&self.method);
        (known.unwrap_or(OTHER), known.is_none().then(|| shortened(self.method.as_str())))
    }
}

impl Observed for Exchange {
    fn ended(&mut self, took: Duration, context: &Context) -> bool {
        // A client that goes away has not been failed.
        let outcome = self.outcome();
        let failed = match outcome {
            Outcome::Status(status) => status.is_server_error(),
            Outcome::None(reason) => reason != CANCELLED,
        };
        if self.observer.telemetry.logs_request(failed) {
            self.log(took, failed, context);
        }
        let why = Why { cause: self.error().map(Cause::Error), fault: self.by.as_deref() };
        self.counted.ended(outcome, took, context, why);
        failed
    }

    fn attributes(&self, _failed: bool) -> impl IntoIterator<Item = Option<KeyValue>> {
        let text = |name, value: &Option<HeaderValue>| {
            let value = value.as_ref()?.to_str().ok()?;
            Some(KeyValue::new(name, shortened(value).to_owned()))
        };
        let (method, original) = self.known_method();
        let host: Option<Authority> =
            self.host.as_ref().and_then(|host| Authority::try_from(host.as_bytes()).ok());
        let host = self.uri.authority().or(host.as_ref());
        let status = self.status.map(|status| status.as_u16());
        let error = match self.outcome() {
            Outcome::Status(status) if !status.is_server_error() => None,
            Outcome::Status(status) => Some(Value::from(status.as_u16().to_string())),
            Outcome::None(reason) => Some(reason.into()),
        };
        [
            Some(KeyValue::new(attribute::HTTP_REQUEST_METHOD, method)),
            original.map(|method| {
                KeyValue::new(attribute::HTTP_REQUEST_METHOD_ORIGINAL, method.to_owned())
            }),
            Some(KeyValue::new(attribute::URL_SCHEME, "http")),
            Some(KeyValue::new(attribute::URL_PATH, shortened(self.uri.path()).to_owned())),
            self.uri
                .query()
                .map(|query| KeyValue::new(attribute::URL_QUERY, shortened(query).to_owned())),
            self.route.map(|route| KeyValue::new(attribute::HTTP_ROUTE, route)),
            status.map(|status| {
                KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, i64::from(status))
            }),
            error.map(|error| KeyValue::new(attribute::ERROR_TYPE, error)),
            host.map(|host| {
                KeyValue::new(attribute::SERVER_ADDRESS, shortened(host.host()).to_owned())
            }),
            host.and_then(Authority::port_u16)
                .map(|port| KeyValue::new(attribute::SERVER_PORT, i64::from(port))),
            Some(KeyValue::new(
                attribute::NETWORK_PROTOCOL_VERSION,
                if self.version == Version::HTTP_2 { "2" } else { "1.1" },
            )),
            text(attribute::USER_AGENT_ORIGINAL, &self.user_agent),
        ]
    }
}
