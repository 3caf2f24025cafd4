//! What has been counted of each RPC and route, read from what a scraper gets: there is no second book of it.

use std::{collections::HashMap, fmt};

use prometheus_client::{encoding::text, registry::Registry};
use serde::Serialize;

use super::{http, rpc};
use crate::{codes, operation::Side};

/// An RPC or an address, by the labels that it has in the metrics, as which it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum Place {
    /// An RPC.
    Rpc {
        /// The full name of its service.
        grpc_service: &'static str,
        /// Its name.
        grpc_method: &'static str,
    },
    /// An address that the process answers.
    Route {
        /// Its template.
        http_route: &'static str,
    },
    /// An address that the process asks for.
    Url {
        /// Its template.
        url_template: &'static str,
    },
}

impl Place {
    /// In seconds, the upper bounds of the buckets that its durations are counted in, ascending. What is above the last
    /// one is in a bucket more.
    pub fn bounds(self) -> &'static [f64] {
        match self {
            Self::Rpc { .. } => &rpc::BOUNDS,
            Self::Route { .. } | Self::Url { .. } => &http::BOUNDS,
        }
    }
}

/// What has been counted of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Calls that are on their way.
    pub in_flight: u64,
    /// Calls that ended.
    pub ended: u64,
    /// Those of them that ended with the code `OK`, or with a status below 400.
    pub succeeded: u64,
    /// Those that ended with a status from 400 to 499, or a code that says the same: the client did something wrong.
    pub refused: u64,
    /// Those whose client went away.
    pub cancelled: u64,
    /// Calls of which is known how long they took. With what ended it may differ by those that end just now.
    pub timed: u64,
    /// How many of these took no longer than each of the bounds of the place.
    pub buckets: [u64; http::BOUNDS.len()],
}

/// Reads figures, again and again. Places keep the index that they have been given.
#[derive(Debug, Default)]
pub struct Figures {
    places: Vec<(Side, Place)>,
    /// Of each, by its side and the one or two labels that name it.
    indices: [HashMap<&'static str, HashMap<&'static str, usize>>; 2],
}

impl Figures {
    /// All places that were read so far.
    pub fn places(&self) -> &[(Side, Place)] {
        &self.places
    }

    /// What is counted of each of them now.
    pub(super) fn read(&mut self, registry: &Registry) -> Vec<Counts> {
        let counts = vec![Counts::default(); self.places.len()];
        let mut reading = Reading { figures: self, counts, line: String::new() };
        text::encode(&mut reading, registry).expect("reading cannot fail");
        reading.counts
    }

    fn index(&mut self, side: Side, labels: &Labels<'_>) -> Option<usize> {
        let (first, second) = match labels {
            Labels { service: Some(service), method: Some(method), .. } => (*service, *method),
            Labels { route: Some(route), .. } => (*route, ""),
            Labels { template: Some(template), .. } => (*template, ""),
            _ => return None,
        };
        let known = self.indices[side as usize].get(first).and_then(|seconds| seconds.get(second));
        if let Some(index) = known {
            return Some(*index);
        }
        // Kept for as long as the process lives, as its metrics are. There are as many as these have labels, of which
        // none comes from outside.
        let [first, second]: [&'static str; 2] =
            [first, second].map(|text| &*text.to_owned().leak());
        let place = match labels {
            Labels { service: Some(_), .. } => {
                Place::Rpc { grpc_service: first, grpc_method: second }
            }
            Labels { route: Some(_), .. } => Place::Route { http_route: first },
            _ => Place::Url { url_template: first },
        };
        let index = self.places.len();
        self.places.push((side, place));
        self.indices[side as usize].entry(first).or_default().insert(second, index);
        Some(index)
    }
}

/// Takes lines in as they are written.
struct Reading<'a> {
    figures: &'a mut Figures,
    counts: Vec<Counts>,
    line: String,
}

impl fmt::Write for Reading<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((end, more)) = rest.split_once('\n') {
            self.line.push_str(end);
            let line = std::mem::take(&mut self.line);
            let _ = self.take(&line);
            self.line = line;
            self.line.clear();
            rest = more;
        }
        self.line.push_str(rest);
        Ok(())
    }
}

/// The labels that matter here.
#[derive(Debug, Default)]
struct Labels<'a> {
    service: Option<&'a str>,
    method: Option<&'a str>,
    route: Option<&'a str>,
    template: Option<&'a str>,
    code: Option<&'a str>,
    status: Option<&'a str>,
    error: Option<&'a str>,
    bound: Option<&'a str>,
}

impl<'a> Labels<'a> {
    /// None of their values has a quote or a comma in it.
    fn read(text: &'a str) -> Self {
        let mut labels = Self::default();
        for label in text.split(',') {
            let Some((name, value)) = label.split_once('=') else { continue };
            let value = value.trim_matches('"');
            let field = match name {
                "grpc_service" => &mut labels.service,
                "grpc_method" => &mut labels.method,
                "http_route" => &mut labels.route,
                "url_template" => &mut labels.template,
                "grpc_code" => &mut labels.code,
                "http_response_status_code" => &mut labels.status,
                "error_type" => &mut labels.error,
                "le" => &mut labels.bound,
                _ => continue,
            };
            *field = Some(value);
        }
        labels
    }
}

impl Reading<'_> {
    /// Takes a line, if it is about a place.
    fn take(&mut self, line: &str) -> Option<()> {
        let (name, rest) = line.split_once('{')?;
        let (protocol, name) = name.split_once('_')?;
        let (side, name) = name.split_once('_')?;
        let side = match (protocol, side) {
            ("grpc" | "http", "server") => Side::Server,
            ("grpc" | "http", "client") => Side::Client,
            _ => return None,
        };
        let (labels, rest) = rest.split_once("} ")?;
        let value: u64 = rest.split(' ').next()?.parse().ok()?;
        let labels = Labels::read(labels);
        let index = self.figures.index(side, &labels)?;
        if self.counts.len() <= index {
            self.counts.resize(index + 1, Counts::default());
        }
        let counts = &mut self.counts[index];
        match name {
            // Those that started are written before those that ended.
            "started_total" | "active_requests" => counts.in_flight += value,
            "handled_total" => {
                counts.in_flight = counts.in_flight.saturating_sub(value);
                counts.end(value, &labels);
            }
            "request_duration_seconds_count" => counts.end(value, &labels),
            "handling_seconds_bucket" | "request_duration_seconds_bucket" => {
                let bound = labels.bound?;
                if bound == "+Inf" {
                    counts.timed += value;
                    return Some(());
                }
                let bound: f64 = bound.parse().ok()?;
                let bounds = self.figures.places[index].1.bounds();
                let bucket = bounds.partition_point(|known| *known < bound);
                *counts.buckets.get_mut(bucket)? += value;
            }
            _ => {}
        }
        Some(())
    }
}

impl Counts {
    /// Those that failed, and it is not their client's doing.
    pub fn failed(&self) -> u64 {
        self.ended.saturating_sub(self.succeeded + self.refused + self.cancelled)
    }

    /// What has come since others were counted; what is in flight is so now.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let ended = self.ended.saturating_sub(before.ended);
        Self {
            in_flight: self.in_flight,
            ended,
            succeeded: self.succeeded.saturating_sub(before.succeeded).min(ended),
            refused: self.refused.saturating_sub(before.refused),
            cancelled: self.cancelled.saturating_sub(before.cancelled),
            timed: self.timed.saturating_sub(before.timed),
            buckets: std::array::from_fn(|n| self.buckets[n].saturating_sub(before.buckets[n])),
        }
    }

    fn end(&mut self, value: u64, labels: &Labels<'_>) {
        self.ended += value;
        match *labels {
            Labels { code: Some("OK"), .. } => self.succeeded += value,
            Labels { status: Some(status), .. } if status < "400" => self.succeeded += value,
            Labels { status: Some(status), .. } if status < "500" => self.refused += value,
            Labels { code: Some("Canceled"), .. } | Labels { error: Some(http::CANCELLED), .. } => {
                self.cancelled += value;
            }
            Labels { code: Some(code), .. }
                if codes::named_in_go(code).is_some_and(|code| !codes::is_failure(code)) =>
            {
                self.refused += value;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ::http::{Method, StatusCode};
    use opentelemetry::Context;
    use tonic::Code;

    use super::*;
    use crate::{
        failures::{Cause, Why},
        metrics::{Metrics, Outcome, RpcLabels},
    };

    /// What is counted of each place, by side and name.
    fn counts(metrics: &Metrics, figures: &mut Figures) -> Vec<(Side, Place, Counts)> {
        let counts = metrics.counts(figures);
        figures.places().iter().zip(counts).map(|((side, place), of)| (*side, *place, of)).collect()
    }

    fn of(all: &[(Side, Place, Counts)], side: Side, place: Place) -> Counts {
        let found = all.iter().find(|known| (known.0, known.1) == (side, place));
        found.unwrap_or_else(|| panic!("{place:?} in {all:?}")).2
    }

    #[test]
    fn what_a_scraper_gets_is_read_by_place() {
        let (metrics, mut figures) = (Metrics::of_process(), Figures::default());
        let (grpc_service, grpc_method) = ("s.Voting", "VoteJoy");
        let labels = RpcLabels { grpc_type: "unary", grpc_service, grpc_method };
        let [served, called] =
            [Side::Server, Side::Client].map(|side| metrics.rpcs(side).rpc(labels));
        let joy = Place::Rpc { grpc_service, grpc_method };
        assert_eq!(of(&counts(&metrics, &mut figures), Side::Server, joy), Counts::default());

        for (code, milliseconds) in
            [(Code::Ok, 3), (Code::Ok, 30), (Code::Unknown, 3_000), (Code::AlreadyExists, 3_000)]
        {
            served.started.inc();
            served.ended(
                code,
                Duration::from_millis(milliseconds),
                &Context::new(),
                Why::default(),
            );
        }
        served.started.inc();
        called.started.inc();
        let file = Place::Route { http_route: "/static/{file}" };
        let http = metrics.http(Side::Server);
        for (method, status) in [(Method::GET, 200), (Method::HEAD, 304), (Method::GET, 404)] {
            let request = http.start(&method, "/static/{file}");
            let status = Outcome::Status(StatusCode::from_u16(status).expect("a status"));
            request.ended(status, Duration::from_millis(20), &Context::new(), Why::default());
        }
        let cancelled = http.start(&Method::GET, "/static/{file}");
        cancelled.ended(
            Outcome::None("cancelled"),
            Duration::ZERO,
            &Context::new(),
            Why::default(),
        );
        let under_way = http.start(&Method::GET, "/static/{file}");

        let all = counts(&metrics, &mut figures);
        let joy_served = of(&all, Side::Server, joy);
        assert_eq!((joy_served.in_flight, joy_served.ended, joy_served.succeeded), (1, 4, 2));
        assert_eq!((joy_served.refused, joy_served.failed()), (1, 1));
        assert_eq!(joy_served.buckets[..joy.bounds().len()], [0, 0, 1, 1, 2, 2, 2]);
        assert_eq!(of(&all, Side::Client, joy), Counts { in_flight: 1, ..Counts::default() });
        // The one that was cancelled is not yet dropped.
        let of_file = of(&all, Side::Server, file);
        assert_eq!((of_file.in_flight, of_file.ended, of_file.succeeded), (2, 4, 2));
        assert_eq!((of_file.refused, of_file.cancelled), (1, 1));
        assert_eq!((of_file.timed, of_file.buckets[0], of_file.buckets[5]), (4, 1, 4));
        drop((cancelled, under_way));
        assert_eq!(of(&counts(&metrics, &mut figures), Side::Server, file).in_flight, 0);
    }

    #[test]
    fn the_last_failure_of_each_kind_is_kept() {
        let metrics = Metrics::of_process();
        let http = metrics.http(Side::Server);
        let fail = |route, status: u16, cause: &str| {
            let request = http.start(&Method::GET, route);
            let status = Outcome::Status(StatusCode::from_u16(status).expect("a status"));
            let why = Why { cause: Some(Cause::Words(cause)), fault: None };
            request.ended(status, Duration::ZERO, &Context::new(), why);
        };
        fail("/vote", 500, "rare");
        for n in 0..1_000 {
            fail("/api/vote", 503, &format!("often {n}"));
        }
        fail("/api/vote", 200, "none");
        // What clients do wrong is no failure, and may be about them.
        fail("/api/vote", 400, "what somebody typed");
        let failures = metrics.failures.last();
        let told = failures.iter().map(|one| (one.status.to_string(), one.cause.clone()));
        let told: Vec<_> = told.collect();
        let of = |status: &str, cause: &str| (status.to_owned(), Some(cause.to_owned()));
        assert_eq!(told, [of("503", "often 0"), of("500", "rare")], "one in half a second");
        fail("/api/vote", 500, &"é".repeat(1_000));
        let long = metrics.failures.last()[0].cause.clone().expect("a cause");
        assert_eq!(long.len(), 200);
    }
}
