//! What goes wrong on purpose, as HTTP tells it.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes, HttpBody as _},
    response::{IntoResponse as _, Response},
};
use emojivoto_proto::{ROUTES, Shortcode, VOTE_PAGE, emoji, voting};
use emojivoto_runtime::{
    Lifecycle,
    faults::{Behind, Call, Face, Failure, Injected, Place, Stalled, doughnut},
};
use emojivoto_telemetry::last_of;
use http::{Request, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, StreamBody};
use tokio::time::timeout;

use crate::{
    app::App,
    error::Error,
    routes::{pages, route},
    vote::{BODY_TIMEOUT, Counted, MAX_BODY_BYTES, Vote},
};

/// The requests of web.
#[derive(Debug, Clone)]
pub(crate) struct Http(pub(crate) Arc<App>);

impl Face<Body> for Http {
    type Body = Body;

    fn path<'a>(&self, request: &'a Request<Body>) -> Option<&'a str> {
        route(request.uri().path())
    }

    async fn choice(&self, request: Request<Body>) -> (Request<Body>, Option<String>) {
        let (mut request, vote) = vote(request).await;
        let choice = vote.and_then(|vote| vote.choice);
        // Here and not when it is cast, since a rule may end it before.
        if let Some(choice) = &choice {
            self.0.choices.count(request.uri().path() == VOTE_PAGE, choice);
            request.extensions_mut().insert(Counted);
        }
        (request, choice)
    }

    /// HTTP has no word for it.
    const HAS_TIMEOUTS: bool = false;

    fn timeout(&self, _: &Request<Body>) -> Option<Duration> {
        None
    }

    fn set_timeout(&self, _: &mut Request<Body>, _: Duration) {}

    async fn fail(&self, failure: &Failure, request: Request<Body>, _: &Injected) -> Response {
        let status = failure.status.and_then(|status| StatusCode::from_u16(status).ok());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let words = || status.canonical_reason().unwrap_or("error").to_lowercase();
        let message = failure.message.clone().unwrap_or_else(words);
        let response = Error::Injected { status, message }.into_response();
        let is_data = |path: &str| path.starts_with("/api/") || path == "/openapi.json";
        if is_data(request.uri().path()) { response } else { pages::as_page(&self.0, response) }
    }

    fn too_late(&self) -> Response {
        Error::BodyTooSlow.into_response() // of those who say how long they wait, of whom there are none
    }

    fn stalled(&self, half: Stalled<Body>) -> Body {
        Body::new(half)
    }
}

/// The vote that a request holds, if it is whole, and the request, of which nothing is missing.
async fn vote(request: Request<Body>) -> (Request<Body>, Option<Vote>) {
    if !request.headers().contains_key(CONTENT_TYPE) {
        let vote = Vote::from_query(request.uri()).ok();
        return (request, vote);
    }
    let (parts, body) = request.into_parts();
    let (read, body) = begin(body).await;
    let vote = match read {
        Some(read) => {
            let copy = Request::from_parts(parts.clone(), Body::from(read));
            Vote::from_request(copy).await.ok()
        }
        None => None,
    };
    (Request::from_parts(parts, body), vote)
}

/// Reads a body that may hold a vote: all of it, if it is no longer than one, and comes in time; and a body that has all of
/// it in any case.
async fn begin(mut body: Body) -> (Option<Bytes>, Body) {
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return (None, body);
    }
    let (mut pieces, mut length, mut whole) = (Vec::new(), 0, false);
    let reading = async {
        while length <= MAX_BODY_BYTES {
            let Some(frame) = body.frame().await else {
                whole = true;
                return;
            };
            length += frame.as_ref().ok().and_then(|frame| frame.data_ref()).map_or(0, Bytes::len);
            let failed = frame.is_err();
            pieces.push(frame);
            if failed {
                return;
            }
        }
    };
    let in_time = timeout(BODY_TIMEOUT, reading).await.is_ok();
    let read = (in_time && whole).then(|| {
        let data = pieces.iter().flatten().filter_map(|frame| frame.data_ref());
        data.flat_map(|piece| piece.iter().copied()).collect()
    });
    let again = futures_util::StreamExt::chain(
        futures_util::stream::iter(pieces),
        http_body_util::BodyStream::new(body),
    );
    (read, Body::new(StreamBody::new(again)))
}

/// The rules that struck a request, here and where web asked for it.
pub(crate) fn of(response: &Response) -> Option<String> {
    let here = response.extensions().get().map(|Injected { rules, .. }| rules.as_str());
    let there = response.extensions().get().and_then(|error: &Arc<Error>| error.fault());
    let (Some(here), Some(there)) = (here, there) else {
        return here.or(there).map(ToOwned::to_owned);
    };
    let mut rules: Vec<_> = here.split(", ").collect();
    let more = there.split(", ").filter(|rule| !rules.contains(rule)).collect::<Vec<_>>();
    rules.extend(more);
    Some(rules.join(", "))
}

/// The rule that has ended a request, here or where web asked for it.
pub(crate) fn by(response: &Response) -> Option<String> {
    let there = response.extensions().get().and_then(|error: &Arc<Error>| error.fault());
    let here = response.extensions().get().and_then(Injected::by);
    there.and_then(last_of).or(here).map(ToOwned::to_owned)
}

/// Says what web serves and whom it asks for that, so that it can be predicted what faults do to it.
pub(crate) fn tell(app: &Arc<App>, lifecycle: &Lifecycle) {
    let faults = lifecycle.faults();
    // That of voting-svc, unless this is its process, too.
    faults.assume(vec![doughnut(1.0)]);
    let routes = ROUTES.iter().map(|route| Place::Route(route)).collect();
    let app = Arc::clone(app);
    faults.serves(routes, move |place| behind(&app, place));
}

/// The calls that a route makes.
fn behind(app: &App, place: Place) -> Option<Behind> {
    let of_emoji = |method| Call::To(Place::Rpc { service: emoji::SERVICE_NAME, method });
    let results = Call::To(Place::Rpc {
        service: voting::SERVICE_NAME,
        method: voting::Method::Results.name(),
    });
    let (steps, votes) = match place {
        Place::Route("/" | "/api/list") => (vec![vec![of_emoji("ListAll")]], false),
        Place::Route("/leaderboard" | "/api/leaderboard") => {
            (vec![vec![of_emoji("ListAll"), results]], false)
        }
        Place::Route("/vote" | "/api/vote") => {
            (vec![vec![of_emoji("FindByShortcode")], vec![Call::Vote]], true)
        }
        _ => return None,
    };
    let choices = if votes { choices(app, place) } else { Vec::new() };
    Some(Behind { timeout: app.upstreams.timeout(), steps, choices })
}

/// Which emoji are voted for by a route, as far as one can tell by the votes so far.
fn choices(app: &App, route: Place) -> Vec<(&'static str, Place, f64)> {
    let by_page = route == Place::Route(VOTE_PAGE);
    let choice = |emoji: Shortcode| {
        let place = Place::Rpc { service: voting::SERVICE_NAME, method: emoji.rpc() };
        #[expect(clippy::cast_precision_loss, reason = "nobody votes so often")]
        (emoji.as_str(), place, app.choices.of(by_page, emoji) as f64)
    };
    Shortcode::all().map(choice).collect()
}
