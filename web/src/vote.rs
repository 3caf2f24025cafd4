//! A vote, from what a client sent to what was picked.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use axum::{
    Form, Json, RequestExt as _,
    body::HttpBody as _,
    extract::{FromRequestParts, Query, Request},
    response::{IntoResponse as _, Response},
};
use emojivoto_proto::{IdempotencyKey, Shortcode, VOTE_PAGE};
use http::{HeaderValue, StatusCode, Uri, header, request::Parts};
use serde::Deserialize;
use tokio::time::timeout;
use tonic::Code;

use crate::{app::App, error::Error};

/// No request of ours has a body longer than a choice.
pub(crate) const MAX_BODY_BYTES: usize = 4 * 1024;

/// Longer than any shortcode; what is longer is not worth a call.
const MAX_CHOICE_BYTES: usize = 64;

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// How long a client may take to send a few bytes.
pub(crate) const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// What a vote comes in.
#[derive(Debug)]
pub(crate) struct Envelope {
    /// The key of the vote: that of the client or, where it sent none, a new one, so that whatever lies between here and
    /// voting-svc may send the vote again.
    ///
    /// The ballot's form sends none. One in the page would be that of two votes, when somebody goes back and picks
    /// another emoji.
    key: IdempotencyKey,
    /// Whether its choice is among the [`Choices`] already.
    counted: bool,
    /// Whether it came from the ballot.
    of_page: bool,
}

impl<S: Sync> FromRequestParts<S> for Envelope {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let key = IdempotencyKey::of(&parts.headers)?;
        let counted = parts.extensions.get::<Counted>().is_some();
        let of_page = parts.uri.path() == VOTE_PAGE;
        Ok(Self { key: key.unwrap_or_else(IdempotencyKey::random), counted, of_page })
    }
}

/// Of a request: its choice is among the [`Choices`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted;

/// How often each emoji was chosen, whatever came of that: by its place on the ballot. Bots choose by the API, and people
/// by the ballot, which are others.
#[derive(Debug)]
pub(crate) struct Choices {
    by_page: [AtomicU64; Shortcode::COUNT],
    by_api: [AtomicU64; Shortcode::COUNT],
}

impl Default for Choices {
    fn default() -> Self {
        let none = || [const { AtomicU64::new(0) }; Shortcode::COUNT];
        Self { by_page: none(), by_api: none() }
    }
}

impl Choices {
    /// One more, by the page or else by the API. What is no emoji is nobody's choice.
    pub(crate) fn count(&self, by_page: bool, choice: &str) {
        if let Ok(emoji) = choice.parse::<Shortcode>() {
            self.by(by_page)[emoji.index()].fetch_add(1, Relaxed);
        }
    }

    /// So far.
    pub(crate) fn of(&self, by_page: bool, emoji: Shortcode) -> u64 {
        self.by(by_page)[emoji.index()].load(Relaxed)
    }

    fn by(&self, page: bool) -> &[AtomicU64; Shortcode::COUNT] {
        if page { &self.by_page } else { &self.by_api }
    }
}

/// The parameter that names an emoji, wherever it stands.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Vote {
    pub(crate) choice: Option<String>,
}

impl Vote {
    /// That of a query.
    pub(crate) fn from_query(uri: &Uri) -> Result<Self, Error> {
        Query::try_from_uri(uri).map(|Query(vote)| vote).map_err(|_| Error::Unreadable)
    }

    /// The vote that a request holds. Its choice is that of a form, or else that of the query, as for the
    /// handlers of Go that were here before, or else that of a JSON body.
    pub(crate) async fn from_request(request: Request) -> Result<Self, Error> {
        let of_query = Self::from_query(request.uri())?;
        let Some(content_type) = request.headers().get(header::CONTENT_TYPE) else {
            return Ok(of_query);
        };
        let (is_form, is_json) = (is(content_type, FORM), is(content_type, JSON));
        if of_query.choice.is_some() && !is_form {
            return Ok(of_query);
        }
        // What says that it is too long need not be waited for.
        if request.body().size_hint().lower() > MAX_BODY_BYTES as u64 {
            return Err(Error::BodyTooLong { max: MAX_BODY_BYTES });
        }
        let of_body = async {
            match (is_form, is_json) {
                (true, _) => form(request).await,
                (_, true) => json(request).await,
                _ => Err(Error::UnknownBody),
            }
        };
        let of_body = timeout(BODY_TIMEOUT, of_body).await.map_err(|_| Error::BodyTooSlow)??;
        Ok(Self { choice: of_body.choice.or(of_query.choice) })
    }

    /// The choice, if it is one at all. Whether there is such an emoji, emoji-svc decides.
    pub(crate) fn choice(&self) -> Result<&str, Error> {
        match self.choice.as_deref() {
            None | Some("") => Err(Error::ChoiceMissing),
            Some(choice) if choice.len() > MAX_CHOICE_BYTES => {
                Err(Error::ChoiceTooLong { length: choice.len(), max: MAX_CHOICE_BYTES })
            }
            Some(choice) => Ok(choice),
        }
    }

    /// Casts the vote: asks emoji-svc whether it is an emoji, then votes for it.
    pub(crate) async fn cast(&self, envelope: &Envelope, app: &App) -> Result<Shortcode, Error> {
        let choice = self.choice()?;
        if !envelope.counted {
            app.choices.count(envelope.of_page, choice);
        }
        let upstreams = &app.upstreams;
        let unknown = || Error::ChoiceUnknown(choice.to_owned());
        let emoji = upstreams.find(choice).await?.ok_or_else(unknown)?;
        let emoji: Shortcode = emoji.shortcode.parse().map_err(|_| unknown())?;
        upstreams.vote(emoji, &envelope.key).await.map_err(|error| match error.code {
            Code::Unknown if emoji == Shortcode::doughnut() => Error::BrokenOnPurpose(error),
            Code::AlreadyExists => Error::KeyOfAnother(error),
            _ => error.into(),
        })?;
        Ok(emoji)
    }
}

/// Whether a content type is this one, whatever its parameters (RFC 9110, 8.3.1).
fn is(content_type: &HeaderValue, expected: &str) -> bool {
    let essence = content_type.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(expected.as_bytes())
}

async fn form(mut request: Request) -> Result<Vote, Error> {
    // axum knows it in small letters only.
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(FORM));
    let body: Result<Form<Vote>, _> = request.extract().await;
    body.map(|Form(vote)| vote).map_err(|error| unreadable(&error.into_response()))
}

async fn json(request: Request) -> Result<Vote, Error> {
    /// An object, and nothing else: serde would take an array for a vote, too.
    #[derive(Deserialize)]
    struct Object {
        #[serde(flatten)]
        vote: Vote,
    }
    let body: Result<Json<Object>, _> = request.extract().await;
    body.map(|Json(Object { vote })| vote).map_err(|error| unreadable(&error.into_response()))
}

/// What the extractors of axum refuse, in our words.
fn unreadable(rejection: &Response) -> Error {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Error::BodyTooLong { max: MAX_BODY_BYTES },
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Error::UnknownBody,
        _ => Error::Unreadable,
    }
}
