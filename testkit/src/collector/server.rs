//! How a collector answers.

use std::{
    io::Read as _,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode},
    middleware::{self, Next},
    response::Response,
    routing::post,
};
use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::{
    logs::v1::{
        ExportLogsServiceRequest, ExportLogsServiceResponse,
        logs_service_server::{LogsService, LogsServiceServer},
    },
    trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
};
use prost::Message;
use tonic::{Status, codec::CompressionEncoding, service::Routes};

use super::{Attributes, Log, Span};

/// What a collector has got.
#[derive(Debug, Default)]
pub(super) struct Received {
    pub(super) spans: Vec<Span>,
    pub(super) logs: Vec<Log>,
    pub(super) resources: Vec<Attributes>,
    pub(super) headers: Vec<(String, HeaderMap)>,
    pub(super) errors: Vec<String>,
}

/// What a collector says to everything.
#[derive(Debug, Clone, Copy)]
pub(super) enum Answer {
    Thanks,
    NotNow,
    Later,
    Never,
}

#[derive(Debug, Clone)]
struct Server {
    answer: Answer,
    received: Arc<Mutex<Received>>,
}

/// Both protocols of OTLP.
pub(super) fn router(answer: Answer, received: &Arc<Mutex<Received>>) -> Router {
    let server = Server { answer, received: Arc::clone(received) };
    let gzip = CompressionEncoding::Gzip;
    let traces = TraceServiceServer::new(server.clone())
        .accept_compressed(gzip)
        .max_decoding_message_size(usize::MAX);
    let logs = LogsServiceServer::new(server.clone())
        .accept_compressed(gzip)
        .max_decoding_message_size(usize::MAX);
    let http = Router::new()
        .route("/v1/traces", post(export::<ExportTraceServiceRequest>))
        .route("/v1/logs", post(export::<ExportLogsServiceRequest>))
        .layer(DefaultBodyLimit::disable())
        .with_state(server.clone());
    Routes::new(traces)
        .add_service(logs)
        .into_axum_router()
        .merge(http)
        .layer(middleware::from_fn_with_state(server, keep_headers))
}

async fn keep_headers(State(server): State<Server>, request: Request, next: Next) -> Response {
    let (path, headers) = (request.uri().path().to_owned(), request.headers().clone());
    server.keep(|received| received.headers.push((path, headers)));
    next.run(request).await
}

/// What an exporter sends, and what it expects in return.
trait Exported: Message + Default {
    type Answer: Message + Default;
    fn keep(self, received: &mut Received);
}

impl Exported for ExportTraceServiceRequest {
    type Answer = ExportTraceServiceResponse;

    fn keep(self, received: &mut Received) {
        for of_resource in self.resource_spans {
            let resource = Attributes::new(of_resource.resource.unwrap_or_default().attributes);
            received.resources.push(resource.clone());
            for of_scope in of_resource.scope_spans {
                let scope = of_scope.scope.unwrap_or_default().name;
                let span = |span| Span::new(&resource, &scope, span);
                received.spans.extend(of_scope.spans.into_iter().map(span));
            }
        }
    }
}

impl Exported for ExportLogsServiceRequest {
    type Answer = ExportLogsServiceResponse;

    fn keep(self, received: &mut Received) {
        for of_resource in self.resource_logs {
            let resource = Attributes::new(of_resource.resource.unwrap_or_default().attributes);
            received.resources.push(resource.clone());
            for of_scope in of_resource.scope_logs {
                let scope = of_scope.scope.unwrap_or_default().name;
                let log = |record| Log::new(&resource, &scope, record);
                received.logs.extend(of_scope.log_records.into_iter().map(log));
            }
        }
    }
}

impl Server {
    fn keep(&self, keep: impl FnOnce(&mut Received)) {
        keep(&mut self.received.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn take<E: Exported>(&self, exported: E) -> Result<E::Answer, Answer> {
        let Answer::Thanks = self.answer else { return Err(self.answer) };
        self.keep(|received| exported.keep(received));
        Ok(E::Answer::default())
    }

    fn grpc<E: Exported>(
        &self,
        request: tonic::Request<E>,
    ) -> Result<tonic::Response<E::Answer>, Status> {
        let answer = self.take(request.into_inner()).map_err(|answer| match answer {
            Answer::Never => Status::unauthenticated("who are you?"),
            Answer::Later => Status::resource_exhausted("enough for now"),
            _ => Status::unavailable("not now"),
        });
        answer.map(tonic::Response::new)
    }
}

#[tonic::async_trait]
impl TraceService for Server {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
        self.grpc(request)
    }
}

#[tonic::async_trait]
impl LogsService for Server {
    async fn export(
        &self,
        request: tonic::Request<ExportLogsServiceRequest>,
    ) -> Result<tonic::Response<ExportLogsServiceResponse>, Status> {
        self.grpc(request)
    }
}

/// `POST /v1/…`
async fn export<E: Exported>(
    State(server): State<Server>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, [(&'static str, &'static str); 2], Vec<u8>) {
    let (status, answer) = match decode(&headers, &body).map(|exported: E| server.take(exported)) {
        Ok(Ok(answer)) => (StatusCode::OK, answer.encode_to_vec()),
        Ok(Err(Answer::Never)) => (StatusCode::UNAUTHORIZED, Vec::new()),
        Ok(Err(_)) => (StatusCode::SERVICE_UNAVAILABLE, Vec::new()),
        Err(error) => {
            server.keep(|received| received.errors.push(error));
            (StatusCode::BAD_REQUEST, Vec::new())
        }
    };
    let later = if matches!(server.answer, Answer::Later) { "3600" } else { "0" };
    (status, [("content-type", PROTOBUF), ("retry-after", later)], answer)
}

const PROTOBUF: &str = "application/x-protobuf";

fn decode<E: Exported>(headers: &HeaderMap, body: &[u8]) -> Result<E, String> {
    let header = |name| headers.get(name).map(HeaderValue::as_bytes);
    if header("content-type") != Some(PROTOBUF.as_bytes()) {
        return Err(format!("not {PROTOBUF}: {headers:?}"));
    }
    let mut plain = Vec::new();
    match header("content-encoding") {
        None => plain.extend(body),
        Some(b"gzip") => {
            GzDecoder::new(body).read_to_end(&mut plain).map_err(|error| error.to_string())?;
        }
        Some(_) => return Err(format!("neither plain nor gzip: {headers:?}")),
    }
    E::decode(&plain[..]).map_err(|error| error.to_string())
}
