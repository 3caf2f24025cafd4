//! `/api`: what bots, scripts and the pages' own script ask. Answers are JSON.

use std::{sync::Arc, time::Duration};

use axum::{
    Form, Json, RequestExt as _,
    body::HttpBody as _,
    extract::{Query, Request, State, rejection::QueryRejection},
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use serde::Serialize;
use tokio::time::timeout;

use crate::{
    app::{App, MAX_BODY_BYTES},
    error::Error,
    leaderboard::Leaderboard,
    views::Emoji,
    vote::Ballot,
};

/// How long a client may take to send a few bytes.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// `GET /api/list`: the ballot, in its order.
pub(crate) async fn list(State(app): State<Arc<App>>) -> Result<Response, Error> {
    #[derive(Serialize)]
    struct Entry<'a> {
        shortcode: &'a str,
        unicode: &'a str,
    }
    let ballot = app.upstreams.list().await?;
    let entries =
        ballot.list.iter().map(|e| Entry { shortcode: &e.shortcode, unicode: &e.unicode });
    Ok(Json(entries.collect::<Vec<_>>()).into_response())
}

/// `GET /api/leaderboard`: the emoji that have votes, most votes first.
pub(crate) async fn leaderboard(State(app): State<Arc<App>>) -> Result<Response, Error> {
    #[derive(Serialize)]
    struct Entry<'a> {
        shortcode: &'a str,
        unicode: &'a str,
        votes: String, // a string since v1, and read as one
    }
    let leaderboard = Leaderboard::fetch(&app.upstreams).await?;
    let entry = |(Emoji { shortcode, unicode }, votes): (_, u64)| Entry {
        shortcode,
        unicode,
        votes: votes.to_string(),
    };
    let entries: Vec<_> = leaderboard.standings().into_iter().map(entry).collect();
    Ok(Json(entries).into_response())
}

/// `GET /api/vote?choice=:joy:`
pub(crate) async fn vote(
    State(app): State<Arc<App>>,
    query: Result<Query<Ballot>, QueryRejection>,
) -> Result<StatusCode, Error> {
    let Query(ballot) = query.map_err(|_| Error::Unreadable)?;
    ballot.cast(&app.upstreams).await?;
    Ok(StatusCode::OK)
}

/// `POST /api/vote`: the choice in the query, or in the body as a form or JSON.
pub(crate) async fn post_vote(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<StatusCode, Error> {
    ballot(request).await?.cast(&app.upstreams).await?;
    Ok(StatusCode::OK)
}

/// The ballot of a request with a body: the choice in the query, or in the body as a form or JSON.
pub(crate) async fn ballot(mut request: Request) -> Result<Ballot, Error> {
    let Query(ballot): Query<Ballot> =
        request.extract_parts().await.map_err(|_| Error::Unreadable)?;
    if ballot.choice.is_some() || !request.headers().contains_key(header::CONTENT_TYPE) {
        return Ok(ballot);
    }
    // What says that it is too long need not be waited for.
    if request.body().size_hint().lower() > MAX_BODY_BYTES as u64 {
        return Err(Error::BodyTooLong { max: MAX_BODY_BYTES });
    }
    timeout(BODY_TIMEOUT, body(request)).await.map_err(|_| Error::BodyTooSlow)?
}

async fn body(request: Request) -> Result<Ballot, Error> {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    if content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/json")) {
        let body: Result<Json<Ballot>, _> = request.extract().await;
        body.map(|Json(ballot)| ballot).map_err(|error| unreadable(&error.into_response()))
    } else {
        let body: Result<Form<Ballot>, _> = request.extract().await;
        body.map(|Form(ballot)| ballot).map_err(|error| unreadable(&error.into_response()))
    }
}

/// What the extractors of axum refuse, in our words.
fn unreadable(rejection: &Response) -> Error {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Error::BodyTooLong { max: MAX_BODY_BYTES },
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Error::UnknownBody,
        _ => Error::Unreadable,
    }
}
