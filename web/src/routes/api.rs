//! `/api`: what bots, scripts and the pages' own script ask, and the document that describes it. Answers are JSON.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, Request, State, rejection::QueryRejection},
    response::{IntoResponse, Response},
};
use emojivoto_proto::emoji::ListAllEmojiResponse;
use http::{HeaderName, StatusCode, header};
use serde::Serialize;

use crate::{
    app::App,
    error::Error,
    leaderboard::Leaderboard,
    views::Emoji,
    vote::{Envelope, Vote},
};

/// What web answers, as OpenAPI 3.1 describes it. Written by hand; tests hold it against the answers.
pub(crate) const DOCUMENT: &str = include_str!("../../openapi.json");

/// `GET /openapi.json`
pub(crate) async fn document() -> ([(HeaderName, &'static str); 1], &'static str) {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT)
}

/// `GET /api/list`: the ballot, in its order.
pub(crate) async fn list(State(app): State<Arc<App>>) -> Result<Response, Error> {
    #[derive(Serialize)]
    struct Entry<'a> {
        shortcode: &'a str,
        unicode: &'a str,
    }
    let ballot = app.upstreams.list().await?;
    let entries = |ballot: &ListAllEmojiResponse| {
        let emoji = ballot.list.iter();
        let entries = emoji.map(|e| Entry { shortcode: &e.shortcode, unicode: &e.unicode });
        Ok(Json(entries.collect::<Vec<_>>()).into_response())
    };
    app.kept.list.answer(ballot, entries).await
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
    let entries = |leaderboard: &Leaderboard| {
        let entry = |(Emoji { shortcode, unicode }, votes): (_, u64)| Entry {
            shortcode,
            unicode,
            votes: votes.to_string(),
        };
        let entries = leaderboard.standings().into_iter().map(entry);
        Ok(Json(entries.collect::<Vec<_>>()).into_response())
    };
    app.kept.standings.answer(leaderboard, entries).await
}

/// `GET /api/vote?choice=:joy:`
pub(crate) async fn vote(
    State(app): State<Arc<App>>,
    envelope: Envelope,
    query: Result<Query<Vote>, QueryRejection>,
) -> Result<StatusCode, Error> {
    let Query(vote) = query.map_err(|_| Error::Unreadable)?;
    vote.cast(&envelope, &app).await?;
    Ok(StatusCode::OK)
}

/// `POST /api/vote`: the choice in the query, or in the body as a form or JSON.
pub(crate) async fn post_vote(
    State(app): State<Arc<App>>,
    envelope: Envelope,
    request: Request,
) -> Result<StatusCode, Error> {
    Vote::from_request(request).await?.cast(&envelope, &app).await?;
    Ok(StatusCode::OK)
}
