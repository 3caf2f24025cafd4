//! Connections to a collector, shared by the exporters of all services of a process.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use http::{HeaderMap, Version};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{
    Compression, ExporterBuildError, LogExporter, SpanExporter, WithExportConfig, WithHttpConfig,
    WithTonicConfig,
};
use opentelemetry_sdk::{Resource, logs::LogExporter as _, trace::SpanExporter as _};
use tonic::{
    metadata::MetadataMap,
    transport::{Channel, Endpoint},
};

use super::{
    exporter::Exporter,
    settings::{Protocol, Target},
};
use crate::{
    limits::KEEPALIVE,
    telemetry::spans::chain,
    tls::{self, CONNECT_TIMEOUT, Connector},
};

/// No collector has that much to say.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// The way to a collector.
#[derive(Debug)]
pub(super) struct Transport {
    target: Target,
    timeout: Duration,
    wire: Wire,
    last_error: LastError,
}

#[derive(Debug)]
enum Wire {
    Grpc(Channel),
    Http(Box<Http>),
}

impl Transport {
    /// Does not connect yet. An export may take as long as `timeout`.
    pub(super) fn new(target: Target, timeout: Duration) -> Result<Self, rustls::Error> {
        let last_error = LastError::default();
        let version = match target.protocol {
            Protocol::Grpc => Version::HTTP_2,
            Protocol::HttpProtobuf => Version::HTTP_11,
        };
        let connector = tls::connector(&target.endpoint, version, target.authorities.as_deref())?;
        let wire = match target.protocol {
            // Pings find out that a collector has vanished without a word.
            Protocol::Grpc => Wire::Grpc(
                Endpoint::from(target.endpoint.clone())
                    .connect_timeout(CONNECT_TIMEOUT)
                    .http2_keep_alive_interval(KEEPALIVE)
                    .connect_with_connector_lazy(connector),
            ),
            Protocol::HttpProtobuf => Wire::Http(Box::new(Http {
                client: Client::builder(TokioExecutor::new()).build(connector),
                headers: target.headers.clone(),
                last_error: last_error.clone(),
            })),
        };
        Ok(Self { target, timeout, wire, last_error })
    }

    /// The kind of exporter, for its metrics.
    pub(super) fn kind(&self) -> &'static str {
        match self.wire {
            Wire::Grpc(_) => "otlp_grpc",
            Wire::Http(_) => "otlp_http",
        }
    }

    /// An exporter of what a service has done.
    pub(super) fn spans(
        &self,
        resource: &Resource,
    ) -> Result<Exporter<SpanExporter>, ExporterBuildError> {
        let builder = SpanExporter::builder();
        let mut exporter = match &self.wire {
            Wire::Grpc(channel) => self.grpc(builder.with_tonic(), channel).build()?,
            Wire::Http(client) => self.http(builder.with_http(), client).build()?,
        };
        exporter.set_resource(resource);
        Ok(Exporter(exporter, self.last_error.clone()))
    }

    /// An exporter of what a service has logged.
    pub(super) fn logs(
        &self,
        resource: &Resource,
    ) -> Result<Exporter<LogExporter>, ExporterBuildError> {
        let builder = LogExporter::builder();
        let mut exporter = match &self.wire {
            Wire::Grpc(channel) => self.grpc(builder.with_tonic(), channel).build()?,
            Wire::Http(client) => self.http(builder.with_http(), client).build()?,
        };
        exporter.set_resource(resource);
        Ok(Exporter(exporter, self.last_error.clone()))
    }

    // The builders read the variables, too, but only those that they are not told here, and to the
    // same effect.
    fn grpc<B: WithTonicConfig + WithExportConfig>(&self, builder: B, channel: &Channel) -> B {
        let metadata = MetadataMap::from_headers(self.target.headers.clone());
        let builder = builder
            .with_channel(channel.clone())
            .with_metadata(metadata)
            .with_interceptor(|request| Ok(sensitive(request)))
            .with_timeout(self.timeout);
        if self.target.gzip { builder.with_compression(Compression::Gzip) } else { builder }
    }

    fn http<B: WithHttpConfig + WithExportConfig>(&self, builder: B, client: &Http) -> B {
        let builder = builder
            .with_http_client(client.clone())
            .with_endpoint(self.target.endpoint.to_string())
            .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
            .with_timeout(self.timeout);
        if self.target.gzip { builder.with_compression(Compression::Gzip) } else { builder }
    }
}

/// Marks what is sent along, for the builder takes it from the environment once more, without the mark that
/// our settings put on it.
fn sensitive(mut request: tonic::Request<()>) -> tonic::Request<()> {
    let mut headers = std::mem::take(request.metadata_mut()).into_headers();
    headers.values_mut().for_each(|value| value.set_sensitive(true));
    *request.metadata_mut() = MetadataMap::from_headers(headers);
    request
}

/// What went wrong last with a connection. OpenTelemetry's HTTP exporters keep it for themselves.
#[derive(Debug, Clone, Default)]
pub(super) struct LastError(Arc<Mutex<Option<String>>>);

impl LastError {
    fn set(&self, error: &dyn std::error::Error) {
        let error = chain(error);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    pub(super) fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[derive(Debug, Clone)]
struct Http {
    client: Client<Connector, Full<Bytes>>,
    /// As the settings have them: they win over what the builder takes from the environment once more.
    headers: HeaderMap,
    last_error: LastError,
}

#[async_trait]
impl HttpClient for Http {
    async fn send_bytes(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        request.headers_mut().extend(self.headers.clone());
        let sent = self.client.request(request.map(Full::new)).await;
        let (head, body) = sent.inspect_err(|error| self.last_error.set(error))?.into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
        let body = body.inspect_err(|error| self.last_error.set(error.as_ref()))?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }
}
