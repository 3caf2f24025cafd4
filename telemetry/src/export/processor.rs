//! Where the SDK takes what is to be exported: its own batch processors, with their losses counted.

use std::{sync::Arc, time::Duration};

use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    logs::{BatchLogProcessor, LogProcessor, SdkLogRecord},
    trace::{BatchSpanProcessor, Span, SpanData, SpanProcessor},
};

use super::exporter::Exporter;

/// Lets in what there is room for. The processor is ended from outside, where that can be awaited.
#[derive(Debug)]
pub(super) struct Counted<P> {
    processor: Arc<P>,
    exporter: Exporter,
}

impl<P> Counted<P> {
    pub(super) fn new(processor: &Arc<P>, exporter: &Exporter) -> Self {
        Self { processor: Arc::clone(processor), exporter: exporter.clone() }
    }
}

impl SpanProcessor for Counted<BatchSpanProcessor> {
    fn on_start(&self, _span: &mut Span, _cx: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.exporter.takes_one() {
            self.processor.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl LogProcessor for Counted<BatchLogProcessor> {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if self.exporter.takes_one() {
            self.processor.emit(record, scope);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}
