//! What is tried again, what is broken on purpose, who is left out, and for how long anybody waits.

use std::time::Duration;

use serde_json::{Value, json};

use crate::objects::{IstioFault, OutlierDetection, Percentage, Words, span};

/// What Linkerd's annotations of a Service or of a route say, but for failure accrual.
#[derive(Default)]
pub(super) struct Annotations {
    pub(super) retry_on: String,
    pub(super) retry_limit: Option<u32>,
    pub(super) retry_timeout: Option<Duration>,
    pub(super) timeout: Option<Duration>,
}

impl Annotations {
    pub(super) fn read(annotations: &Words) -> Result<Self, String> {
        let mut read = Self::default();
        for (key, value) in annotations {
            match key.as_str() {
                "retry.linkerd.io/http" | "retry.linkerd.io/grpc" => {
                    read.retry_on.clone_from(value);
                }
                "retry.linkerd.io/limit" => {
                    let limit = value.parse().map_err(|e| format!("annotation {key}: {e}"));
                    read.retry_limit = Some(limit?);
                }
                "retry.linkerd.io/timeout" => read.retry_timeout = Some(span(value)?),
                "timeout.linkerd.io/request" => read.timeout = Some(span(value)?),
                // See `failure_accrual`.
                _ if key.starts_with("balancer.linkerd.io/failure-accrual") => {}
                _ => return Err(format!("annotation {key}")),
            }
        }
        Ok(read)
    }
}

/// What Istio sends again where nobody says anything.
pub(super) const ISTIO_RETRIES_ON: &str = "connect-failure,refused-stream,unavailable,cancelled";

/// Statuses are numbers or ranges of them; other conditions have the same names for all three: Envoy, Istio, Linkerd. (For
/// Envoy, `5xx` and `gateway-error` are also connections that break.)
pub(super) fn retry(on: &str, limit: u32, try_timeout: Option<Duration>) -> Result<Value, String> {
    const KNOWN: [&str; 9] = [
        "5xx",
        "gateway-error",
        "connect-failure",
        "refused-stream",
        "cancelled",
        "deadline-exceeded",
        "internal",
        "resource-exhausted",
        "unavailable",
    ];
    let (mut conditions, mut statuses) = (Vec::new(), Vec::new());
    for condition in on.split(',') {
        let (first, last) = condition.split_once('-').unwrap_or((condition, condition));
        match (first.parse::<u16>(), last.parse::<u16>()) {
            (Ok(first), Ok(last)) => statuses.extend(first..=last),
            _ if KNOWN.contains(&condition) => conditions.push(condition),
            _ => return Err(format!("to try again on {condition}")),
        }
    }
    if !statuses.is_empty() {
        conditions.push("retriable-status-codes");
    }
    Ok(json!({
        "retry_on": conditions.join(","),
        "retriable_status_codes": statuses,
        "num_retries": limit,
        "per_try_timeout": seconds(try_timeout.unwrap_or_default()),
    }))
}

pub(super) fn seconds(span: Duration) -> String {
    format!("{}s", span.as_secs_f64())
}

pub(super) fn fault(fault: &IstioFault) -> Result<Value, String> {
    let percentage = |percentage: &Percentage| {
        let millionths = (percentage.value * 10_000.0).round();
        json!({"numerator": millionths, "denominator": "MILLION"})
    };
    let mut made = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
    });
    if let Some(abort) = &fault.abort {
        made["abort"] = json!({"percentage": percentage(&abort.percentage)});
        match (abort.grpc_status.as_deref(), abort.http_status) {
            (Some(name), None) => made["abort"]["grpc_status"] = grpc_status(name)?.into(),
            (None, Some(status)) => made["abort"]["http_status"] = status.into(),
            _ => return Err("an abort has one status".to_owned()),
        }
    }
    if let Some(delay) = &fault.delay {
        let fixed = delay.fixed_delay.expect("it is required");
        made["delay"] = json!({
            "fixed_delay": seconds(fixed),
            "percentage": percentage(&delay.percentage),
        });
    }
    Ok(made)
}

/// The number of a status of gRPC.
fn grpc_status(name: &str) -> Result<u32, String> {
    const NAMES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    let number = NAMES.iter().position(|one| *one == name);
    let number = number.ok_or_else(|| format!("no status of gRPC: {name}"))?;
    Ok(u32::try_from(number).expect("there are seventeen"))
}

/// Linkerd's failure accrual, by what comes closest in Envoy: both leave out an endpoint after so many failures in a
/// row. They differ in when they try it again: Linkerd lets one request through after the penalty, and with it decides;
/// Envoy takes the endpoint back, and adds the penalty once more the next time.
pub(super) fn failure_accrual(annotations: &Words) -> Result<Option<Value>, String> {
    const PREFIX: &str = "balancer.linkerd.io/failure-accrual";
    let (mut consecutive, mut failures) = (false, 7);
    let (mut shortest, mut longest) = (Duration::from_secs(1), Duration::from_mins(1));
    for (key, value) in annotations.iter().filter(|(key, _)| key.starts_with("balancer.")) {
        match key.strip_prefix(PREFIX).unwrap_or(key) {
            "" if value == "consecutive" => consecutive = true,
            "-consecutive-max-failures" => {
                failures = value.parse().map_err(|e| format!("{key}: {e}"))?;
            }
            "-consecutive-min-penalty" => shortest = span(value)?,
            "-consecutive-max-penalty" => longest = span(value)?,
            _ => return Err(format!("annotation {key}: {value}")),
        }
    }
    let outliers = json!({
        "consecutive_5xx": failures,
        "base_ejection_time": seconds(shortest),
        "max_ejection_time": seconds(longest),
        "interval": "0.1s",
        "max_ejection_percent": 100,
        // These two it has besides.
        "enforcing_success_rate": 0,
        "enforcing_consecutive_gateway_failure": 0,
    });
    Ok(consecutive.then_some(outliers))
}

/// Istio's, which is Envoy's.
pub(super) fn outliers(detection: &OutlierDetection) -> Value {
    let mut outliers = json!({
        "interval": seconds(detection.interval.expect("it is required")),
        "base_ejection_time": seconds(detection.base_ejection_time.expect("it is required")),
        "max_ejection_percent": detection.max_ejection_percent,
        "enforcing_success_rate": 0,
    });
    // None of them is the same as none at all, which is five for the first.
    for (name, errors) in [
        ("consecutive_5xx", detection.consecutive_5xx_errors),
        ("consecutive_gateway_failure", detection.consecutive_gateway_errors),
    ] {
        if let Some(errors) = errors {
            outliers[name] = errors.max(1).into();
            outliers[format!("enforcing_{name}")] = (if errors > 0 { 100 } else { 0 }).into();
        }
    }
    outliers
}
