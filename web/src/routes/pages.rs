//! The pages, all of which work without a script.

use std::sync::Arc;

use askama::Template;
use axum::{
    body::Body,
    extract::{Query, Request, State, rejection::QueryRejection},
    response::{Html, IntoResponse, Redirect, Response},
};
use emojivoto_proto::{Shortcode, emoji::ListAllEmojiResponse};
use emojivoto_runtime::http::LongLived;
use http::{HeaderValue, header};

use crate::{
    app::App,
    error::Error,
    leaderboard::Leaderboard,
    views::{self, Emoji},
    vote::{Envelope, Vote},
};

type Page = Result<Html<String>, Error>;

fn page(template: &impl Template) -> Page {
    Ok(Html(template.render()?))
}

/// `GET /`: the ballot.
pub(crate) async fn ballot(State(app): State<Arc<App>>) -> Result<Response, Error> {
    let ballot = app.upstreams.list().await?;
    let tiles = |ballot: &ListAllEmojiResponse| {
        let emoji: Vec<_> = ballot.list.iter().map(Into::into).collect();
        Ok(page(&views::Ballot { motd: app.motd(), emoji: &emoji })?.into_response())
    };
    app.kept.ballot.answer(ballot, tiles).await
}

/// `POST /vote`: the ballot's form.
pub(crate) async fn vote(
    State(app): State<Arc<App>>,
    envelope: Envelope,
    request: Request,
) -> Result<Redirect, Error> {
    let emoji = Vote::from_request(request).await?.cast(&envelope, &app).await?;
    Ok(Redirect::to(&format!("/picked?choice={emoji}")))
}

/// `GET /picked?choice=:joy:`: says what was picked.
pub(crate) async fn picked(
    State(app): State<Arc<App>>,
    query: Result<Query<Vote>, QueryRejection>,
) -> Page {
    let Query(vote) = query.map_err(|_| Error::Unreadable)?;
    let choice = vote.choice()?;
    let emoji: Shortcode = choice.parse().map_err(|_| Error::ChoiceUnknown(choice.to_owned()))?;
    let emoji = Emoji { shortcode: emoji.as_str(), unicode: emoji.unicode() };
    page(&views::Picked { motd: app.motd(), emoji })
}

/// `GET /leaderboard`
pub(crate) async fn leaderboard(State(app): State<Arc<App>>) -> Result<Response, Error> {
    let leaderboard = Leaderboard::fetch(&app.upstreams).await?;
    let board = |leaderboard: &Leaderboard| {
        let view = views::Leaderboard { motd: app.motd(), board: leaderboard.board() };
        Ok(page(&view)?.into_response())
    };
    app.kept.leaderboard.answer(leaderboard, board).await
}

/// `GET /leaderboard/live`: the leaderboard as server-sent events, see [`crate::live`].
pub(crate) async fn live(State(app): State<Arc<App>>) -> Result<Response, Error> {
    let mut response = Response::new(Body::new(app.live.watch()?));
    let event_stream = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, event_stream);
    response.extensions_mut().insert(LongLived);
    Ok(response)
}

/// Turns the [`Error`] that a page ended with, if it did, into a page that says so.
pub(crate) async fn error_page(State(app): State<Arc<App>>, response: Response) -> Response {
    as_page(&app, response)
}

/// The same without waiting for anything.
pub(crate) fn as_page(app: &App, response: Response) -> Response {
    let Some(error) = response.extensions().get::<Arc<Error>>().cloned() else {
        return response;
    };
    let (heading, hint, message) = (error.heading(), error.hint(), error.message());
    let status = error.status().as_u16();
    let view = views::ErrorPage { motd: app.motd(), status, heading, message: &message, hint };
    match page(&view) {
        Ok(page) => {
            let (mut parts, _) = response.into_parts();
            let (of_the_page, body) = page.into_response().into_parts();
            // The length and type were those of the JSON; the rest (Allow, Retry-After) holds.
            parts.headers.remove(http::header::CONTENT_LENGTH);
            parts.headers.extend(of_the_page.headers);
            Response::from_parts(parts, body)
        }
        Err(_) => response,
    }
}
