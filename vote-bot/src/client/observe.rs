//! What is seen of each request: a span, and its part in the metrics.
//!
//! Names are those of OpenTelemetry's semantic conventions for HTTP clients:
//! <https://opentelemetry.io/docs/specs/semconv/http/>.

use std::{error::Error, time::Duration};

use emojivoto_telemetry::{
    Cause, Context, KeyValue, Observed, Operation, Side, Telemetry, Value, Why, attribute, causes,
    metrics::{CANCELLED, HttpMetrics, HttpRequest, Outcome},
};
use http::{HeaderMap, Method, StatusCode, Uri};

/// What is asked of web.
pub(super) const LIST: &str = "/api/list";
pub(super) const VOTE: &str = "/api/vote";

/// Observes requests to web.
#[derive(Debug)]
pub(super) struct Observer {
    telemetry: Telemetry,
    metrics: HttpMetrics,
}

impl Observer {
    pub(super) fn new(telemetry: Telemetry) -> Self {
        let metrics = telemetry.http(Side::Client);
        Self { telemetry, metrics }
    }

    /// Begins a request, whose headers are told which trace it belongs to. `template` is one of the
    /// above.
    pub(super) fn start(
        &self,
        template: &'static str,
        uri: &Uri,
        headers: &mut HeaderMap,
    ) -> Operation<Exchange> {
        let context = self.telemetry.spans().client(|| format!("GET {template}"), headers);
        let counted = self.metrics.start(&Method::GET, template);
        let outcome = Outcome::None(CANCELLED);
        let exchange = Exchange { template, uri: uri.clone(), counted, outcome, cause: None };
        Operation::start(context, exchange)
    }
}

/// A request. It was cancelled, unless an answer came.
#[derive(Debug)]
pub(super) struct Exchange {
    template: &'static str,
    uri: Uri,
    counted: HttpRequest,
    outcome: Outcome,
    cause: Option<String>,
}

impl Exchange {
    pub(super) fn answered(&mut self, status: StatusCode) {
        self.outcome = Outcome::Status(status);
    }

    /// There is no answer. `error_type` says why in a word, and `error` in more of them.
    pub(super) fn unanswered(&mut self, error_type: &'static str, error: &dyn Error) {
        self.cause = Some(causes(error));
        self.outcome = Outcome::None(error_type);
    }
}

impl Observed for Exchange {
    fn ended(&mut self, took: Duration, context: &Context) -> bool {
        let why = Why { cause: self.cause.as_deref().map(Cause::Words), fault: None };
        self.counted.ended(self.outcome, took, context, why);
        !matches!(self.outcome, Outcome::Status(status) if status.as_u16() < 400)
    }

    fn attributes(&self, failed: bool) -> impl IntoIterator<Item = Option<KeyValue>> {
        let Self { template, uri, outcome, .. } = self;
        let (status, error) = match outcome {
            Outcome::Status(status) => (Some(status), Value::from(status.as_str().to_owned())),
            Outcome::None(error) => (None, Value::from(*error)),
        };
        let status = status.map(|status| i64::from(status.as_u16()));
        [
            Some(KeyValue::new(attribute::HTTP_REQUEST_METHOD, "GET")),
            Some(KeyValue::new(attribute::URL_FULL, uri.to_string())),
            Some(KeyValue::new(attribute::URL_TEMPLATE, *template)),
            uri.host().map(|host| KeyValue::new(attribute::SERVER_ADDRESS, host.to_owned())),
            uri.port_u16().map(|port| KeyValue::new(attribute::SERVER_PORT, i64::from(port))),
            status.map(|status| KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, status)),
            failed.then(|| KeyValue::new(attribute::ERROR_TYPE, error)),
        ]
    }
}
