//! How the bot talks to web.

mod observe;

use std::{sync::Arc, time::Duration};

use emojivoto_net::tls::{self, Connector};
use emojivoto_proto::IdempotencyKey;
use emojivoto_runtime::Error;
use emojivoto_telemetry::{Context, Telemetry};
use http::{HeaderName, HeaderValue, Request, StatusCode, Version, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::{client::legacy::Client as HttpClient, rt::TokioExecutor};
use observe::{LIST, Observer, VOTE};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Deserialize;

use crate::settings::WebHost;

/// How long web may take for a whole answer; a little longer than web waits for its backends.
const TIMEOUT: Duration = Duration::from_secs(6);
/// A ballot longer than this is none.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// What the value of a query parameter may not hold. Colons may stay, and do: logs are searched for
/// `/api/vote?choice=:doughnut:`.
const QUERY_VALUE: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'&').add(b'+').add(b'<').add(b'>');

/// What the bot can vote for; never empty.
#[derive(Debug)]
pub(crate) struct Ballot(Vec<String>);

impl Ballot {
    pub(crate) fn new(shortcodes: impl Iterator<Item = String>) -> Option<Self> {
        Some(Self(shortcodes.collect())).filter(|ballot| !ballot.0.is_empty())
    }

    pub(crate) fn shortcodes(&self) -> &[String] {
        &self.0
    }
}

/// Web gave no answer that one could vote on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WebAway {
    #[error("web does not answer")]
    NoAnswer(#[source] Error),
    #[error("web has no ballot: it answered {0}")]
    NoBallot(StatusCode),
    #[error("web answered with something that is not a ballot")]
    NotABallot(#[source] serde_json::Error),
    #[error("the ballot of web is empty")]
    EmptyBallot,
}

/// What web answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    body: Vec<u8>,
    /// Holds the trace that the request was part of, if there is one.
    pub(crate) context: Context,
}

/// A client of web; clones share its connections.
#[derive(Debug, Clone)]
pub(crate) struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    web: WebHost,
    host: Option<HeaderValue>,
    observer: Observer,
    http: HttpClient<Connector, Empty<&'static [u8]>>,
}

impl Client {
    pub(crate) fn new(
        web: WebHost,
        host: Option<HeaderValue>,
        telemetry: Telemetry,
    ) -> Result<Self, Error> {
        let connector = tls::connector(&web.uri("/")?, Version::HTTP_11, None)?;
        let http = HttpClient::builder(TokioExecutor::new()).build(connector);
        let observer = Observer::new(telemetry);
        Ok(Self(Arc::new(Inner { web, host, observer, http })))
    }

    pub(crate) fn web(&self) -> &WebHost {
        &self.0.web
    }

    /// `GET /api/list`
    pub(crate) async fn list(&self) -> Result<Ballot, WebAway> {
        #[derive(Deserialize)]
        struct Emoji {
            shortcode: String,
        }
        let Answer { status, body, .. } =
            self.get(LIST, LIST, None).await.map_err(WebAway::NoAnswer)?;
        if status != StatusCode::OK {
            return Err(WebAway::NoBallot(status));
        }
        let list: Vec<Emoji> = serde_json::from_slice(&body).map_err(WebAway::NotABallot)?;
        Ballot::new(list.into_iter().map(|emoji| emoji.shortcode)).ok_or(WebAway::EmptyBallot)
    }

    /// `GET /api/vote?choice=…`
    pub(crate) async fn vote(&self, choice: &str) -> Result<Answer, WebAway> {
        let path = format!("{VOTE}?choice={}", utf8_percent_encode(choice, QUERY_VALUE));
        // Never from the seed: another run with the same one casts other votes, which count as well.
        let key = (IdempotencyKey::HEADER, IdempotencyKey::random().header());
        self.get(VOTE, &path, Some(key)).await.map_err(WebAway::NoAnswer)
    }

    async fn get(
        &self,
        template: &'static str,
        path: &str,
        header: Option<(HeaderName, HeaderValue)>,
    ) -> Result<Answer, Error> {
        let Inner { web, host, observer, http } = &*self.0;
        let mut request = Request::get(web.uri(path)?).body(Empty::new())?;
        request.headers_mut().insert(header::USER_AGENT, USER_AGENT);
        request.headers_mut().extend(header);
        if let Some(host) = host {
            request.headers_mut().insert(header::HOST, host.clone());
        }
        let uri = request.uri().clone();
        let mut exchange = observer.start(template, &uri, request.headers_mut());
        let answer = async {
            let response = http.request(request).await?;
            let status = response.status();
            // Read to its end, so that the connection can be used again.
            let body = Limited::new(response.into_body(), MAX_BODY_BYTES).collect().await?;
            Ok::<_, Error>((status, body.to_bytes().into()))
        };
        let answer = exchange.run(tokio::time::timeout(TIMEOUT, answer));
        let (answer, error_type) = match answer.await {
            Ok(answer) => (answer, "connection_error"),
            Err(elapsed) => (Err(elapsed.into()), "timeout"),
        };
        match &answer {
            Ok((status, _)) => exchange.observed.answered(*status),
            Err(error) => {
                exchange.record_error(&**error);
                exchange.observed.unanswered(error_type, &**error);
            }
        }
        let context = exchange.context().clone();
        answer.map(|(status, body)| Answer { status, body, context })
    }
}

const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("emojivoto-vote-bot/", env!("CARGO_PKG_VERSION")));
