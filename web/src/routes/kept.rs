//! Answers that are sent again until what they are made of has changed.
//!
//! The backends are asked for each request all the same: what is saved is to lay out and to compress what they answer.

use std::sync::{Arc, PoisonError, RwLock};

use axum::{
    body::{Body, Bytes},
    response::Response,
};
use emojivoto_proto::emoji::ListAllEmojiResponse;
use http::{HeaderValue, StatusCode, header};
use http_body_util::BodyExt as _;
use tokio::sync::OnceCell;

use crate::{error::Error, leaderboard::Leaderboard};

/// The last answers of the addresses that are asked most.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// `GET /`
    pub(crate) ballot: Kept<ListAllEmojiResponse>,
    /// `GET /api/list`
    pub(crate) list: Kept<ListAllEmojiResponse>,
    /// `GET /leaderboard`
    pub(crate) leaderboard: Kept<Leaderboard>,
    /// `GET /api/leaderboard`
    pub(crate) standings: Kept<Leaderboard>,
}

/// The last answer, beside what it was made of.
#[derive(Debug)]
pub(crate) struct Kept<T>(RwLock<Option<(T, Arc<Answer>)>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<T: PartialEq> Kept<T> {
    /// The last answer if it was made of the same, or else a new one.
    pub(crate) async fn answer(
        &self,
        from: T,
        make: impl FnOnce(&T) -> Result<Response, Error>,
    ) -> Result<Response, Error> {
        if let Some(answer) = self.known(&from) {
            return Ok(answer.response());
        }
        let answer = Arc::new(Answer::of(make(&from)?).await);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some((from, Arc::clone(&answer)));
        Ok(answer.response())
    }

    fn known(&self, from: &T) -> Option<Arc<Answer>> {
        let last = self.0.read().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(of, _)| of == from).map(|(_, answer)| Arc::clone(answer))
    }
}

/// An answer, and what the compression made of it when it was first asked to.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    content_type: Option<HeaderValue>,
    plain: Bytes,
    gzip: OnceCell<Bytes>,
    br: OnceCell<Bytes>,
}

impl Answer {
    async fn of(response: Response) -> Self {
        let (head, body) = response.into_parts();
        Self {
            status: head.status,
            content_type: head.headers.get(header::CONTENT_TYPE).cloned(),
            plain: all(body).await,
            gzip: OnceCell::new(),
            br: OnceCell::new(),
        }
    }

    fn response(self: Arc<Self>) -> Response {
        let mut response = Response::new(Body::from(self.plain.clone()));
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.content_type.clone().map(|t| (header::CONTENT_TYPE, t)));
        response.extensions_mut().insert(self);
        response
    }
}

/// Sends what was compressed before, if there is such a thing. It goes around the compression, which has
/// decided by then what the client gets, and has compressed nothing yet.
pub(crate) async fn compressed_before(mut response: Response) -> Response {
    let Some(answer) = response.extensions_mut().remove::<Arc<Answer>>() else {
        return response;
    };
    let encoding = response.headers().get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes);
    let compressed = match encoding {
        Some(b"gzip") => &answer.gzip,
        Some(b"br") => &answer.br,
        _ => return response,
    };
    let (head, body) = response.into_parts();
    let compressed = compressed.get_or_init(|| all(body)).await;
    Response::from_parts(head, Body::from(compressed.clone()))
}

async fn all(body: Body) -> Bytes {
    body.collect().await.expect("nothing fails in memory").to_bytes()
}
