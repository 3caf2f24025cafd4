//! The way to a collector, over gRPC or HTTP: <https://opentelemetry.io/docs/specs/otlp/>.

use std::{error::Error, time::Duration};

use emojivoto_net::{
    limits::KEEPALIVE,
    tls::{self, CONNECT_TIMEOUT, Connector},
};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Version, header, uri::PathAndQuery};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use prost::{
    DecodeError, Message,
    bytes::{Buf, BufMut},
    encoding::{DecodeContext, WireType, skip_field},
};
use tokio::time::{Instant, sleep, timeout_at};
use tonic::{
    Code, Status,
    client::Grpc,
    codec::CompressionEncoding,
    codegen::Bytes,
    metadata::MetadataMap,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt as _;

use super::{
    counts::Fate,
    settings::{Protocol, Target},
};
use crate::{causes::causes, codes::code_of, gzip};

/// What may pass is tried so often again, after this long and a little more, and twice as long each time.
const RETRIES: u32 = 3;
const FIRST_RETRY: Duration = Duration::from_millis(100);
/// No collector has that much to say.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;
const USER_AGENT: &str = concat!("emojivoto/", env!("CARGO_PKG_VERSION"));

/// Why a batch is lost.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) fate: Fate,
    /// What went wrong, with its causes.
    pub(super) cause: String,
    /// After how long at least it may be tried again, if it may.
    retry: Option<Duration>,
}

impl Failure {
    pub(super) fn new(fate: Fate, cause: String) -> Self {
        Self { fate, cause, retry: None }
    }
}

/// Over gRPC. What may be tried again, the specification lists ("OTLP/gRPC Response", "Failures").
impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let code = code_of(&status);
        let fate = match code {
            Code::DeadlineExceeded => Fate::Timeout,
            Code::Unavailable | Code::ResourceExhausted => Fate::Unavailable,
            _ => Fate::Rejected,
        };
        let told = status.get_details_retry_info().and_then(|info| info.retry_delay);
        let retry = match code {
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss => Some(told.unwrap_or_default()),
            Code::ResourceExhausted => told,
            _ => None,
        };
        let cause = status.source().map_or_else(|| status.message().to_owned(), causes);
        Self { fate, cause: format!("{code:?}: {cause}"), retry }
    }
}

/// Over HTTP: there is no connection, or it broke.
fn no_answer(error: &dyn Error) -> Failure {
    Failure { fate: Fate::Unavailable, cause: causes(error), retry: Some(Duration::ZERO) }
}

/// Over HTTP: an answer other than success.
fn refused(status: StatusCode, headers: &HeaderMap) -> Failure {
    let cause = format!("the collector answered {status}");
    if !matches!(status.as_u16(), 429 | 502..=504) {
        return Failure::new(Fate::Rejected, cause);
    }
    let told =
        headers.get(header::RETRY_AFTER).and_then(|seconds| seconds.to_str().ok()?.parse().ok());
    let retry = Some(told.map(Duration::from_secs).unwrap_or_default());
    Failure { fate: Fate::Unavailable, cause, retry }
}

/// The way to a collector.
#[derive(Debug)]
pub(super) struct Transport {
    target: Target,
    wire: Wire,
}

#[derive(Debug)]
enum Wire {
    Grpc(Channel),
    Http(Box<Client<Connector, Full<Bytes>>>),
}

impl Transport {
    /// Does not connect yet. To be called inside of a tokio runtime, as is everything else of it.
    pub(super) fn new(target: Target) -> Result<Self, rustls::Error> {
        let version = match target.protocol {
            Protocol::Grpc => Version::HTTP_2,
            Protocol::HttpProtobuf => Version::HTTP_11,
        };
        let connector = tls::connector(&target.endpoint, version, target.authorities.as_deref())?;
        let wire = match target.protocol {
            // Pings find out that a collector has vanished without a word.
            Protocol::Grpc => Wire::Grpc(
                Endpoint::from(target.endpoint.clone())
                    .user_agent(USER_AGENT)
                    .expect("the value of a header")
                    .connect_timeout(CONNECT_TIMEOUT)
                    .http2_keep_alive_interval(KEEPALIVE)
                    .connect_with_connector_lazy(connector),
            ),
            Protocol::HttpProtobuf => {
                Wire::Http(Box::new(Client::builder(TokioExecutor::new()).build(connector)))
            }
        };
        Ok(Self { target, wire })
    }

    /// The kind of exporter, for its metrics.
    pub(super) fn kind(&self) -> &'static str {
        match self.wire {
            Wire::Grpc(_) => "otlp_grpc",
            Wire::Http(_) => "otlp_http",
        }
    }

    /// Where it leads, without a query, which may hold a token.
    pub(super) fn endpoint(&self) -> String {
        let endpoint = &self.target.endpoint;
        let authority = endpoint.authority().map_or("", http::uri::Authority::as_str);
        format!("{}://{authority}{}", endpoint.scheme_str().unwrap_or_default(), endpoint.path())
    }

    /// Sends a request, more than once if it could help, and for at most that long. `grpc` is its path there.
    pub(super) async fn send(
        &self,
        grpc: &'static str,
        request: &impl Message,
        within: Duration,
    ) -> Result<(), Failure> {
        let deadline = Instant::now() + within;
        let mut body = request.encode_to_vec();
        if self.target.gzip && matches!(self.wire, Wire::Http(_)) {
            body = gzip(&body);
        }
        let body = Bytes::from(body);
        let (mut wait, mut retries) = (FIRST_RETRY, 0..RETRIES);
        loop {
            let sent = timeout_at(deadline, self.try_to_send(grpc, body.clone())).await;
            let Ok(Err(failure)) = sent else {
                let late =
                    |_| Err(Failure::new(Fate::Timeout, format!("no answer within {within:?}")));
                return sent.unwrap_or_else(late);
            };
            let Some(told) = failure.retry.filter(|_| retries.next().is_some()) else {
                return Err(failure);
            };
            let wait_now = told.max(wait + rand::random_range(Duration::ZERO..FIRST_RETRY));
            // Nobody would be there for the answer.
            if Instant::now() + wait_now >= deadline {
                return Err(failure);
            }
            sleep(wait_now).await;
            wait *= 2;
        }
    }

    async fn try_to_send(&self, grpc: &'static str, body: Bytes) -> Result<(), Failure> {
        let Target { endpoint, headers, gzip, .. } = &self.target;
        match &self.wire {
            Wire::Grpc(channel) => {
                let mut client = Grpc::new(channel.clone());
                if *gzip {
                    client = client.send_compressed(CompressionEncoding::Gzip);
                }
                let mut request = tonic::Request::new(Encoded(body));
                *request.metadata_mut() = MetadataMap::from_headers(headers.clone());
                client.ready().await.map_err(|error| Status::from_error(error.into()))?;
                let (path, codec) =
                    (PathAndQuery::from_static(grpc), ProstCodec::<_, ()>::default());
                client.unary(request, path, codec).await?;
            }
            Wire::Http(client) => {
                let mut request =
                    Request::post(endpoint).body(Full::from(body)).expect("a request");
                let of_request = request.headers_mut();
                *of_request = headers.clone();
                let protobuf = HeaderValue::from_static("application/x-protobuf");
                of_request.insert(header::CONTENT_TYPE, protobuf);
                of_request.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
                if *gzip {
                    of_request.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                }
                let answer = client.request(request).await.map_err(|error| no_answer(&error))?;
                let (head, body) = answer.into_parts();
                if !head.status.is_success() {
                    return Err(refused(head.status, &head.headers));
                }
                // Read to its end, so that the connection can be used again; whether there is one does not matter.
                let _ = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
            }
        }
        Ok(())
    }
}

/// A request that is encoded already, once for all attempts.
#[derive(Debug, Default)]
struct Encoded(Bytes);

impl Message for Encoded {
    fn encode_raw(&self, buffer: &mut impl BufMut) {
        buffer.put_slice(&self.0);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buffer: &mut impl Buf,
        cx: DecodeContext,
    ) -> Result<(), DecodeError> {
        skip_field(wire_type, tag, buffer, cx)
    }

    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}
