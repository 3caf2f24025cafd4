//! Exporters: what takes batches to a collector.

use std::{future::Future, time::Duration};

use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::{
    error::{OTelSdkError, OTelSdkResult},
    logs::{LogBatch, LogExporter as _, SdkLogRecord},
    trace::{SpanData, SpanExporter as _},
};

use super::{counts::Outcome, transport::LastError};

/// A log record, and where in the program it comes from. Boxed, as it is large and gets moved.
pub(super) type Record = Box<(SdkLogRecord, InstrumentationScope)>;

/// Takes batches of one kind of thing to a collector.
pub(super) trait Export: Send + Sync + 'static {
    type Item: Send + 'static;

    fn export(&self, batch: Vec<Self::Item>) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// Why a batch is lost.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) outcome: Outcome,
    /// What went wrong, with its causes.
    pub(super) cause: String,
}

impl Failure {
    pub(super) fn timeout(limit: Duration) -> Self {
        Self { outcome: Outcome::Timeout, cause: format!("no answer within {limit:?}") }
    }

    /// OpenTelemetry's exporters fail with a text only, so what went wrong has to be read from that.
    fn new(error: &OTelSdkError, last_error: &LastError) -> Self {
        let text = match error {
            OTelSdkError::InternalFailure(text) => text.clone(),
            other => other.to_string(),
        };
        let outcome = if let Some((_, status)) = text.split_once("gRPC code: ") {
            match status {
                "DeadlineExceeded" => Outcome::Timeout,
                "Unavailable" | "ResourceExhausted" => Outcome::Unavailable,
                // With a cause it is not from the collector: there was no connection.
                status if status.contains(':') => Outcome::Unavailable,
                _ => Outcome::Rejected,
            }
        } else if text.ends_with("network error") {
            Outcome::Unavailable
        } else if let Some((_, status)) = text.split_once("status code: ")
            && let "429" | "502" | "503" | "504" = status
        {
            Outcome::Unavailable
        } else {
            Outcome::Rejected
        };
        let cause = match last_error.take().filter(|_| outcome == Outcome::Unavailable) {
            Some(last_error) => format!("{text}: {last_error}"),
            None => text,
        };
        Self { outcome, cause }
    }
}

/// An exporter of OpenTelemetry, and where its connections say what went wrong.
pub(super) struct Exporter<E>(pub(super) E, pub(super) LastError);

impl<E> Exporter<E> {
    fn explain(&self, result: OTelSdkResult) -> Result<(), Failure> {
        result.map_err(|error| Failure::new(&error, &self.1))
    }
}

impl Export for Exporter<opentelemetry_otlp::SpanExporter> {
    type Item = SpanData;

    async fn export(&self, batch: Vec<SpanData>) -> Result<(), Failure> {
        self.explain(self.0.export(batch).await)
    }
}

impl Export for Exporter<opentelemetry_otlp::LogExporter> {
    type Item = Record;

    async fn export(&self, batch: Vec<Record>) -> Result<(), Failure> {
        let batch: Vec<_> = batch.iter().map(|record| (&record.0, &record.1)).collect();
        self.explain(self.0.export(LogBatch::new(&batch)).await)
    }
}
