//! HTTP requests, well-formed and otherwise.

use std::{io::Cursor, net::SocketAddr};

use ::http::{HeaderMap, Request, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Builder, Client},
    rt::TokioExecutor,
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::patience::{patiently, within};

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, as text.
    pub body: String,
    /// How many bytes the body had.
    pub length: usize,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The value of a header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a readable header"))
    }

    /// The text of a JSON error: an object with nothing else in it.
    pub fn error(&self) -> String {
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        let json = self.json();
        let object = json.as_object().unwrap_or_else(|| panic!("an object: {json}"));
        assert_eq!(object.len(), 1, "{json}");
        object["error"].as_str().expect("a text").to_owned()
    }
}

/// `GET url`
pub async fn get(url: &str) -> Answer {
    send(Request::get(url), "").await.expect("an answer")
}

/// The sum of the metrics that begin like this, of the process with this admin port: `emojivoto_votes_total{`.
pub async fn sum_of_metrics(admin: SocketAddr, metric: &str) -> u64 {
    let metrics = get(&format!("http://{admin}/metrics")).await.body;
    let lines = metrics.lines().filter(|line| line.starts_with(metric));
    let value = |line: &str| line.rsplit_once(' ').expect("a value").1.parse::<u64>();
    lines.map(|line| value(line).expect("a count")).sum()
}

/// `POST url` with a body of a content type; without one when that is empty.
pub async fn post(url: &str, content_type: &str, body: &str) -> Answer {
    let mut request = Request::post(url);
    if !content_type.is_empty() {
        request = request.header("content-type", content_type);
    }
    send(request, body).await.expect("an answer")
}

/// Any request; an error when there is no answer.
pub async fn send(
    request: ::http::request::Builder,
    body: &str,
) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
    exchange(&Client::builder(TokioExecutor::new()), request.body(body.to_owned())?).await
}

/// `POST url` over HTTP/2, as gRPC is sent. The trailers of the answer are among its headers.
pub async fn post_h2(url: &str, content_type: &str, body: &[u8]) -> Answer {
    send_h2(Request::post(url).header("content-type", content_type), body).await
}

/// Any request over HTTP/2. The trailers of the answer are among its headers.
pub async fn send_h2(request: ::http::request::Builder, body: &[u8]) -> Answer {
    let request = request.header("te", "trailers");
    let body = Full::new(Cursor::new(body.to_owned()));
    let client = Client::builder(TokioExecutor::new()).http2_only(true).to_owned();
    exchange(&client, request.body(body).expect("a request")).await.expect("an answer")
}

async fn exchange<B>(
    client: &Builder,
    request: Request<B>,
) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let client = client.build_http();
    let what = format!("an answer to {} {}", request.method(), request.uri());
    let exchange = async {
        let (mut head, body) = client.request(request).await?.into_parts();
        let body = body.collect().await?;
        head.headers.extend(body.trailers().cloned().unwrap_or_default());
        let body = body.to_bytes();
        let text = String::from_utf8_lossy(&body).into_owned();
        Ok(Answer { status: head.status, headers: head.headers, body: text, length: body.len() })
    };
    within(&what, exchange).await
}

/// Sends bytes as they are and reads what comes back until the other side has closed or `enough`
/// has come.
pub async fn raw(address: SocketAddr, bytes: &[u8], enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        // The other side may have heard enough before the end.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        while !enough(&answer) {
            match stream.read_buf(&mut answer).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        answer
    };
    // Among the answers are those to requests that never end.
    patiently(&format!("an answer to {}, or the end", bytes.escape_ascii()), exchange).await
}
