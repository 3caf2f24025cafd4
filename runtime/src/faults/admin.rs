//! Faults on the admin port: `/faults` are the rules in force, `/expected` is what they should do.

use std::{
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
    routing::{delete, get},
};
use emojivoto_faults::{Expected, MAX_CALLS, MAX_TEXT, Place, Question};
use emojivoto_telemetry::metrics::Place as Labelled;
use http::{HeaderName, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::Serialize;
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout as within};

use super::{Injection, parse};
use crate::settings::timeout;

/// How long a client may take to send rules.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// What they are sent as.
const TOML: [(HeaderName, &str); 1] = [(header::CONTENT_TYPE, "application/toml")];

#[derive(Debug, Clone)]
struct Admin {
    injection: Injection,
    may_change: bool,
    /// Of those who ask what is expected.
    turn: Arc<Semaphore>,
}

/// The routes of faults. Whether they may be changed, `FAULTS_ADMIN` says.
pub(crate) fn router(injection: Injection, may_change: bool) -> Router {
    let turn = Arc::new(Semaphore::new(1));
    Router::new()
        .route("/faults", get(show).put(replace))
        .route("/faults/{name}", delete(remove))
        .route("/expected", get(expected))
        .with_state(Admin { injection, may_change, turn })
}

/// What a request is refused with.
#[derive(Debug)]
struct Refused(StatusCode, String);

fn refused(status: StatusCode, why: impl std::fmt::Display) -> Refused {
    Refused(status, format!("{why}\n"))
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(status, why) = self;
        let again = [(header::RETRY_AFTER, "1")];
        let again = (status == StatusCode::TOO_MANY_REQUESTS).then_some(again);
        (status, again, why).into_response()
    }
}

impl Admin {
    fn may_change(&self) -> Result<(), Refused> {
        let why = "faults can be changed here only with FAULTS_ADMIN=true";
        if self.may_change { Ok(()) } else { Err(refused(StatusCode::FORBIDDEN, why)) }
    }

    fn shown(&self) -> Response {
        (TOML, self.injection.in_force()).into_response()
    }
}

async fn show(State(admin): State<Admin>) -> Response {
    admin.shown()
}

async fn replace(State(admin): State<Admin>, body: Body) -> Result<Response, Refused> {
    admin.may_change()?;
    let body = Limited::new(body, MAX_TEXT).collect();
    let body = within(BODY_TIMEOUT, body).await;
    let body =
        body.map_err(|_| refused(StatusCode::REQUEST_TIMEOUT, "the rules did not come in time"))?;
    let body = body.map_err(|error| cut_short(&*error))?.to_bytes();
    let text = str::from_utf8(&body);
    let text =
        text.map_err(|error| refused(StatusCode::BAD_REQUEST, format!("expected UTF-8: {error}")))?;
    match parse(text, admin.injection.rules().places()) {
        Ok(rules) => {
            admin.injection.give(rules, "PUT /faults");
            Ok(admin.shown())
        }
        Err(invalid) => {
            admin.injection.0.reloaded.set(0);
            let error = &invalid as &dyn std::error::Error;
            tracing::warn!(error, "PUT /faults: the faults stay as they were");
            Err(refused(StatusCode::BAD_REQUEST, invalid))
        }
    }
}

/// Why a body was not read to its end.
fn cut_short(error: &(dyn std::error::Error + 'static)) -> Refused {
    if error.is::<LengthLimitError>() {
        refused(StatusCode::PAYLOAD_TOO_LARGE, format!("expected at most {MAX_TEXT} bytes"))
    } else {
        refused(StatusCode::BAD_REQUEST, "the rules broke off")
    }
}

async fn remove(State(admin): State<Admin>, Path(name): Path<String>) -> Result<Response, Refused> {
    admin.may_change()?;
    if !admin.injection.rules().remove(&name) {
        return Err(refused(StatusCode::NOT_FOUND, "there is no fault of this name in force"));
    }
    tracing::info!("the fault {name} was removed by DELETE /faults/{name}");
    Ok(admin.shown())
}

/// What may be asked with. Of several of a name, the last one counts.
#[derive(Debug, Default)]
struct Asked {
    calls: Option<String>,
    timeout: Option<String>,
    over: Option<String>,
}

impl Asked {
    fn from_query(query: Vec<(String, String)>) -> Result<Self, Refused> {
        let (mut asked, mut unknown) = (Self::default(), Vec::new());
        for (name, value) in query {
            match name.as_str() {
                "calls" => asked.calls = Some(value),
                "timeout" => asked.timeout = Some(value),
                "over" => asked.over = Some(value),
                _ => unknown.push(name),
            }
        }
        if unknown.is_empty() {
            return Ok(asked);
        }
        let why = format!("expected calls, timeout and over, got {}", unknown.join(", "));
        Err(refused(StatusCode::BAD_REQUEST, why))
    }
}

#[derive(Debug, Serialize)]
struct Answer {
    calls: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_seconds: Option<f64>,
    /// That of RPCs, if it was not asked for, but told by callers.
    #[serde(skip_serializing_if = "Option::is_none")]
    rpc_timeout_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    over_seconds: Option<f64>,
    /// How sure it is that what is between `at_least` and `at_most` is seen.
    confidence: f64,
    rpcs: Vec<Row>,
    routes: Vec<Row>,
}

/// What is expected of a place, which is called as in the metrics.
#[derive(Debug, Serialize)]
struct Row {
    #[serde(flatten)]
    place: Labelled,
    #[serde(flatten)]
    expected: Expected,
}

impl From<(Place, Expected)> for Row {
    fn from((place, expected): (Place, Expected)) -> Self {
        let place = match place {
            Place::Rpc { service, method } => {
                Labelled::Rpc { grpc_service: service, grpc_method: method }
            }
            Place::Route(route) => Labelled::Route { http_route: route },
        };
        Self { place, expected }
    }
}

async fn expected(
    State(admin): State<Admin>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Json<Answer>, Refused> {
    let asked = Asked::from_query(query)?;
    let calls = field("calls", asked.calls.as_deref(), |text| {
        let calls = u32::from_str(text).ok().filter(|calls| (1..=MAX_CALLS).contains(calls));
        calls.ok_or("expected a whole number from 1 to 1000000")
    })?;
    let calls = calls.unwrap_or(1_000);
    let limit = field("timeout", asked.timeout.as_deref(), timeout)?;
    let over = field("over", asked.over.as_deref(), timeout)?;
    let question = Question { calls, timeout: limit, over, at: Instant::now() };
    let of_rpcs = admin.injection.timeout_of_rpcs(&question).filter(|_| limit.is_none());
    // It takes a while to draw thousands of samples, and as long for somebody who has gone.
    let busy = |_| refused(StatusCode::TOO_MANY_REQUESTS, "one at a time is told what is expected");
    let turn = admin.turn.try_acquire_owned().map_err(busy)?;
    let predict = move || {
        let _turn = turn;
        admin.injection.expected(&question)
    };
    let rows = spawn_blocking(predict).await;
    let rows = rows.map_err(|_| refused(StatusCode::INTERNAL_SERVER_ERROR, "no prediction"))?;
    let (rpcs, routes): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(place, _)| place.is_rpc());
    let rows = |places: Vec<_>| places.into_iter().map(Row::from).collect();
    let [timeout_seconds, rpc_timeout_seconds, over_seconds] =
        [limit, of_rpcs, over].map(|time| time.map(|time| time.as_secs_f64()));
    Ok(Json(Answer {
        calls,
        timeout_seconds,
        rpc_timeout_seconds,
        over_seconds,
        confidence: 0.999,
        rpcs: rows(rpcs),
        routes: rows(routes),
    }))
}

fn field<T>(
    name: &str,
    text: Option<&str>,
    read: impl Fn(&str) -> Result<T, &'static str>,
) -> Result<Option<T>, Refused> {
    let value = text.map(read).transpose();
    value.map_err(|expected| refused(StatusCode::BAD_REQUEST, format!("{name}: {expected}")))
}
