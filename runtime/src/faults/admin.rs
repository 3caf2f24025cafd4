//! Faults on the admin port: `/faults` are the rules in force, `/expected` is what they should do.

use std::{
    str::FromStr,
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
    routing::{delete, get},
};
use emojivoto_faults::{Expected, MAX_CALLS, MAX_TEXT, Place, Quantile, Question, Ratio};
use http::{HeaderName, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use serde::{Deserialize, Serialize};
use tokio::{task::spawn_blocking, time::timeout as within};

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
}

/// The routes of faults. Whether they may be changed, `FAULTS_ADMIN` says.
pub(crate) fn router(injection: Injection, may_change: bool) -> Router {
    Router::new()
        .route("/faults", get(show).put(replace))
        .route("/faults/{name}", delete(remove))
        .route("/expected", get(expected))
        .with_state(Admin { injection, may_change })
}

/// What a request is refused with.
type Refused = (StatusCode, String);

fn refused(status: StatusCode, why: impl std::fmt::Display) -> Refused {
    (status, format!("{why}\n"))
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
    let too_long =
        || refused(StatusCode::PAYLOAD_TOO_LARGE, format!("expected at most {MAX_TEXT} bytes"));
    let body = Limited::new(body, MAX_TEXT).collect();
    let body = within(BODY_TIMEOUT, body).await;
    let body =
        body.map_err(|_| refused(StatusCode::REQUEST_TIMEOUT, "the rules did not come in time"))?;
    let body = body.map_err(|_| too_long())?.to_bytes();
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

async fn remove(State(admin): State<Admin>, Path(name): Path<String>) -> Result<Response, Refused> {
    admin.may_change()?;
    if !admin.injection.rules().remove(&name) {
        return Err(refused(StatusCode::NOT_FOUND, "there is no fault of this name in force"));
    }
    tracing::info!("the fault {name} was removed by DELETE /faults/{name}");
    Ok(admin.shown())
}

#[derive(Debug, Deserialize)]
struct Asked {
    calls: Option<String>,
    timeout: Option<String>,
    over: Option<String>,
}

#[derive(Debug, Serialize)]
struct Answer {
    calls: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_seconds: Option<f64>,
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
    place: Labels,
    rules: Vec<String>,
    success: Success,
    added_latency_seconds: Latency,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Labels {
    Rpc { grpc_service: &'static str, grpc_method: &'static str },
    Route { http_route: &'static str },
}

#[derive(Debug, Serialize)]
struct Success {
    /// `null` where it depends on how calls come.
    ratio: Option<f64>,
    at_least: f64,
    at_most: f64,
}

#[derive(Debug, Serialize)]
struct Latency {
    p50: Quantiled,
    p90: Quantiled,
    p99: Quantiled,
}

#[derive(Debug, Serialize)]
struct Quantiled {
    value: f64,
    at_least: f64,
    at_most: f64,
}

impl From<Quantile> for Quantiled {
    fn from(Quantile { seconds: value, at_least, at_most }: Quantile) -> Self {
        Self { value, at_least, at_most }
    }
}

impl From<(Place, Expected)> for Row {
    fn from((place, Expected { rules, success, added_latency }): (Place, Expected)) -> Self {
        let place = match place {
            Place::Rpc { service, method } => {
                Labels::Rpc { grpc_service: service, grpc_method: method }
            }
            Place::Route(route) => Labels::Route { http_route: route },
        };
        let Ratio { ratio, at_least, at_most } = success;
        let success = Success { ratio, at_least, at_most };
        let added_latency_seconds = Latency {
            p50: added_latency.p50.into(),
            p90: added_latency.p90.into(),
            p99: added_latency.p99.into(),
        };
        Self { place, rules, success, added_latency_seconds }
    }
}

async fn expected(
    State(admin): State<Admin>,
    Query(asked): Query<Asked>,
) -> Result<Json<Answer>, Refused> {
    let calls = field("calls", asked.calls.as_deref(), |text| {
        let calls = u32::from_str(text).ok().filter(|calls| (1..=MAX_CALLS).contains(calls));
        calls.ok_or("expected a whole number from 1 to 1000000")
    })?;
    let calls = calls.unwrap_or(1_000);
    let limit = field("timeout", asked.timeout.as_deref(), timeout)?;
    let over = field("over", asked.over.as_deref(), timeout)?;
    let question = Question { calls, timeout: limit, over, at: Instant::now() };
    // It takes a while to draw thousands of samples.
    let rows = spawn_blocking(move || admin.injection.expected(&question)).await;
    let rows = rows.map_err(|_| refused(StatusCode::INTERNAL_SERVER_ERROR, "no prediction"))?;
    let (rpcs, routes): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(place, _)| place.is_rpc());
    let rows = |places: Vec<_>| places.into_iter().map(Row::from).collect();
    let [timeout_seconds, over_seconds] =
        [limit, over].map(|time| time.map(|time| time.as_secs_f64()));
    let (rpcs, routes) = (rows(rpcs), rows(routes));
    Ok(Json(Answer { calls, timeout_seconds, over_seconds, confidence: 0.999, rpcs, routes }))
}

fn field<T>(
    name: &str,
    text: Option<&str>,
    read: impl Fn(&str) -> Result<T, &'static str>,
) -> Result<Option<T>, Refused> {
    let value = text.map(read).transpose();
    value.map_err(|expected| refused(StatusCode::BAD_REQUEST, format!("{name}: {expected}")))
}
