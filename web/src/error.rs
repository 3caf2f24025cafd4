//! Everything that can go wrong, and what a client is told of it: the only place where gRPC
//! statuses become HTTP statuses.
//!
//! As a response, an [`Error`] is JSON. Below pages it is turned into one by
//! [`crate::routes::pages::error_page`], which finds it in the extensions of the response.

use std::sync::Arc;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use emojivoto_proto::InvalidIdempotencyKey;
use emojivoto_telemetry::record_error;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use tonic::Code;

use crate::upstream::CallError;

/// Heading for the vote that this demo breaks on purpose.
const BROKEN_HEADING: &str = "That vote failed, just as planned";

/// What happened to the vote that this demo breaks on purpose.
const BROKEN_MESSAGE: &str = "You did nothing wrong, and your vote was not counted: \
    this demo breaks one kind of vote on purpose.";

/// What to do about the vote that this demo breaks on purpose.
const BROKEN_HINT: &str = "Can you find the failing route? A service mesh or a \
    dashboard shows which of the calls between the services keeps failing.";

/// Why a request got no other answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("choice is missing: expected the shortcode of an emoji, such as choice=:joy:")]
    ChoiceMissing,
    #[error("choice is too long: expected a shortcode of at most {max} bytes, got {length}")]
    ChoiceTooLong { length: usize, max: usize },
    #[error("choice is not on the ballot: expected a shortcode such as :joy:, got {}", printable(.0))]
    ChoiceUnknown(String),
    #[error(
        "the request cannot be read: expected choice once, as text, in a well-formed query, form or JSON"
    )]
    Unreadable,
    #[error(transparent)]
    InvalidKey(#[from] InvalidIdempotencyKey),
    #[error(
        "the Idempotency-Key was used before, for a vote for another emoji: expected a new one for each vote"
    )]
    KeyOfAnother(#[source] CallError),
    #[error("the body is too long: expected at most {max} bytes")]
    BodyTooLong { max: usize },
    #[error("the body did not arrive in time")]
    BodyTooSlow,
    #[error("the body cannot be read: expected a form or JSON")]
    UnknownBody,
    #[error("there is nothing at this address")]
    NotFound,
    #[error("this address does not answer to that method")]
    MethodNotAllowed,
    #[error("there is no room for one more who watches the leaderboard live")]
    TooManyViewers,
    #[error("a vote failed, as it is meant to")]
    BrokenOnPurpose(#[source] CallError),
    #[error("{}", upstream_message(.0))]
    Upstream(#[source] CallError),
    #[error("{message}")]
    Injected { status: StatusCode, message: String },
    #[error("the page could not be made")]
    Page(#[from] askama::Error),
}

/// What a client sent, as it may be shown: control characters could do things to a terminal.
fn printable(text: &str) -> String {
    let escape =
        |c: char| if c.is_control() { c.escape_unicode().to_string() } else { c.to_string() };
    text.chars().map(escape).collect()
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        Self::Upstream(error)
    }
}

fn upstream_message(CallError { service, code, .. }: &CallError) -> String {
    match upstream_status(*code) {
        _ if *code == Code::ResourceExhausted => {
            format!("{service} cannot take on more at the moment")
        }
        StatusCode::SERVICE_UNAVAILABLE => format!("{service} is not available at the moment"),
        StatusCode::GATEWAY_TIMEOUT => format!("{service} did not answer in time"),
        _ => format!("{service} answered with an error"),
    }
}

fn upstream_status(code: Code) -> StatusCode {
    match code {
        Code::Unavailable | Code::ResourceExhausted => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl Error {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::ChoiceMissing
            | Self::ChoiceTooLong { .. }
            | Self::ChoiceUnknown(_)
            | Self::Unreadable
            | Self::InvalidKey(_) => StatusCode::BAD_REQUEST,
            // As the draft of the header says.
            Self::KeyOfAnother(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::BodyTooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::UnknownBody => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooManyViewers => StatusCode::SERVICE_UNAVAILABLE,
            Self::BrokenOnPurpose(_) | Self::Page(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Upstream(CallError { code, .. }) => upstream_status(*code),
            Self::Injected { status, .. } => *status,
        }
    }

    /// The fault of the service that was called, if one is the reason, and that service says so.
    pub(crate) fn fault(&self) -> Option<&str> {
        match self {
            Self::BrokenOnPurpose(error) | Self::KeyOfAnother(error) | Self::Upstream(error) => {
                error.fault()
            }
            _ => None,
        }
    }

    /// What the client is told.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::BrokenOnPurpose(_) => BROKEN_MESSAGE.to_owned(),
            _ => self.to_string(),
        }
    }

    /// A few words for the head of a page.
    pub(crate) fn heading(&self) -> &'static str {
        match self {
            Self::ChoiceMissing => "No emoji was picked",
            Self::ChoiceTooLong { .. } | Self::ChoiceUnknown(_) => "No such emoji",
            Self::Unreadable | Self::InvalidKey(_) | Self::UnknownBody => {
                "That request makes no sense here"
            }
            Self::KeyOfAnother(_) => "That key belongs to another vote",
            Self::BodyTooLong { .. } => "That is too much at once",
            Self::BodyTooSlow => "That took too long",
            Self::NotFound => "Nothing here",
            Self::MethodNotAllowed => "Not like this",
            Self::TooManyViewers => "Too many are watching",
            Self::BrokenOnPurpose(_) => BROKEN_HEADING,
            Self::Page(_) | Self::Injected { .. } => "Something broke",
            Self::Upstream(CallError { code, .. }) => match upstream_status(*code) {
                _ if *code == Code::ResourceExhausted => "A service has too much to do",
                StatusCode::SERVICE_UNAVAILABLE => "A service is away",
                StatusCode::GATEWAY_TIMEOUT => "A service is too slow",
                _ => "A service failed",
            },
        }
    }

    /// What the reader of a page can do about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::BrokenOnPurpose(_) => Some(BROKEN_HINT),
            Self::Upstream(_) => Some("Try again in a moment."),
            Self::TooManyViewers => Some(
                "Try again in a while. Until then, the leaderboard counts whenever it is loaded.",
            ),
            _ => None,
        }
    }

    /// After how many seconds it is worth to ask again.
    fn retry_after(&self) -> Option<&'static str> {
        match self {
            // Places become free as people leave; the script of the page waits as long.
            Self::TooManyViewers => Some("10"),
            _ => matches!(
                self.status(),
                StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
            )
            .then_some("1"),
        }
    }
}

#[derive(Serialize)]
struct Body {
    error: String,
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = self.status();
        // The others arose elsewhere, and were recorded there.
        if let Self::Page(error) = &self {
            record_error(error);
        }
        let mut response = (status, Json(Body { error: self.message() })).into_response();
        if let Some(seconds) = self.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

#[cfg(test)]
mod tests {
    use tonic::Status;

    use super::*;

    #[test]
    fn every_code_of_grpc_has_the_status_that_was_decided_on() {
        for number in 0..=16 {
            let code = Code::from_i32(number);
            let expected = match code {
                Code::Unavailable | Code::ResourceExhausted => 503,
                // The second is how tonic's servers end a call that took too long.
                Code::DeadlineExceeded | Code::Cancelled => 504,
                _ => 500,
            };
            let error = CallError::new("voting-svc", Status::new(code, "secret"));
            let error = Error::from(error);
            assert!(!error.message().contains("secret"), "{}", error.message());
            let answer = error.into_response();
            assert_eq!(answer.status().as_u16(), expected, "{code:?}");
            assert_eq!(answer.headers().contains_key(header::RETRY_AFTER), expected == 503);
        }
    }
}
