//! What is seen of each request: a span, and its part in the metrics.
//!
//! Names are those of OpenTelemetry's semantic conventions for HTTP clients:
//! <https://opentelemetry.io/docs/specs/semconv/http/>.

use std::{error::Error, sync::Arc, time::Instant};

use emojivoto_runtime::{
    Telemetry,
    telemetry::{
        Context, HttpMetrics, InFlight, KeyValue, Outcome, Side, Value, attribute, end_span,
        record_error_in,
    },
};
use http::{HeaderMap, StatusCode, Uri};

/// What is asked of web.
pub(super) const LIST: &str = "/api/list";
pub(super) const VOTE: &str = "/api/vote";

/// Observes requests to web.
#[derive(Debug)]
pub(super) struct Observer {
    telemetry: Telemetry,
    metrics: Option<Arc<HttpMetrics>>,
}

impl Observer {
    pub(super) fn new(telemetry: Telemetry) -> Self {
        let metrics = telemetry.http_metrics(Side::Client, &[LIST, VOTE]);
        Self { telemetry, metrics }
    }

    /// Begins a request, whose headers are told which trace it belongs to. `template` is one of the
    /// above.
    pub(super) fn start(
        &self,
        template: &'static str,
        uri: &Uri,
        headers: &mut HeaderMap,
    ) -> Exchange {
        Exchange {
            template,
            uri: uri.clone(),
            start: Instant::now(),
            context: self.telemetry.spans().client(|| format!("GET {template}"), headers),
            in_flight: self.metrics.as_ref().map(|m| m.start(Some(template), &http::Method::GET)),
            outcome: Outcome::None("cancelled"),
        }
    }
}

/// A request that has not ended; it has when this is dropped.
#[derive(Debug)]
pub(super) struct Exchange {
    template: &'static str,
    uri: Uri,
    start: Instant,
    context: Option<Context>,
    in_flight: Option<InFlight>,
    outcome: Outcome,
}

impl Exchange {
    /// The context that the request is made in.
    pub(super) fn context(&self) -> Option<Context> {
        self.context.clone()
    }

    pub(super) fn answered(mut self, status: StatusCode) {
        self.outcome = Outcome::Status(status);
    }

    /// There is no answer. `error_type` says why in a word.
    pub(super) fn unanswered(mut self, error_type: &'static str, error: &(dyn Error + 'static)) {
        if let Some(context) = &self.context {
            record_error_in(context, error);
        }
        self.outcome = Outcome::None(error_type);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let Self { template, uri, start, context, in_flight, outcome } = self;
        if let Some(in_flight) = in_flight.take() {
            in_flight.end(*outcome, start.elapsed(), context.as_ref());
        }
        let Some(context) = context else { return };
        let (status, error) = match *outcome {
            Outcome::Status(status) if status.as_u16() < 400 => (Some(status), None),
            Outcome::Status(status) => {
                (Some(status), Some(Value::from(status.as_str().to_owned())))
            }
            Outcome::None(error) => (None, Some(error.into())),
        };
        end_span(context, error.is_some(), || {
            let status = status.map(|status| i64::from(status.as_u16()));
            [
                Some(KeyValue::new(attribute::HTTP_REQUEST_METHOD, "GET")),
                Some(KeyValue::new(attribute::URL_FULL, uri.to_string())),
                Some(KeyValue::new(attribute::URL_TEMPLATE, *template)),
                uri.host().map(|host| KeyValue::new(attribute::SERVER_ADDRESS, host.to_owned())),
                uri.port_u16().map(|port| KeyValue::new(attribute::SERVER_PORT, i64::from(port))),
                status.map(|status| KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, status)),
                error.map(|error| KeyValue::new(attribute::ERROR_TYPE, error)),
            ]
        });
    }
}
