//! The `OTEL_*` variables, see
//! <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>.
//!
//! Other than that specification allows, what does not parse is refused at start, as for every other
//! setting of the suite.

mod target;
#[cfg(test)]
mod tests;

use std::{ffi::OsString, time::Duration};

pub(super) use target::{Protocol, Target};

use super::env::{Environment, InvalidSetting, count, millis, one_of, pairs};
use crate::{propagation::Propagator, share::share};

/// What is told to whom, and how.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Not switched off as a whole.
    pub(super) enabled: bool,
    /// Nothing when no traces are exported.
    pub(super) traces: Option<Signal>,
    /// Nothing when no logs are exported.
    pub(super) logs: Option<Signal>,
    pub(super) sampler: Sampler,
    pub(super) propagator: Propagator,
    pub(super) service_name: Option<String>,
    pub(super) resource: Vec<(String, String)>,
}

/// Where spans or logs go, and how they are collected until then.
#[derive(Debug, Clone)]
pub(super) struct Signal {
    pub(super) target: Target,
    pub(super) batch: Batch,
}

/// How much is collected, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Batch {
    /// How long something may wait for company.
    pub(super) delay: Duration,
    /// How many may wait; more are lost.
    pub(super) queue: usize,
    /// How many are exported at once; so many do not wait any longer.
    pub(super) size: usize,
    /// How long an export may take.
    pub(super) timeout: Duration,
}

/// Which traces are recorded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sampler {
    /// Follows the decision of the caller, where there is one.
    pub(super) parent_based: bool,
    /// Share of the traces that are recorded, 0.0 to 1.0.
    pub(super) ratio: f64,
    /// There is an argument, and a sampler that takes none.
    pub(super) ignores_argument: bool,
}

impl Settings {
    /// Reads the variables through a function, such as [`std::env::var_os`], and the certificate
    /// files that they name. One that is set to nothing is not set.
    pub fn from_env(look_up: impl Fn(&str) -> Option<OsString>) -> Result<Self, InvalidSetting> {
        let env = Environment(&look_up);
        let disabled =
            env.parse("OTEL_SDK_DISABLED", one_of(&[("true", true), ("false", false)]))?;
        let exporter = one_of(&[("otlp", true), ("none", false)]);
        let traces = env.parse("OTEL_TRACES_EXPORTER", &exporter)?.unwrap_or(true);
        let logs = env.parse("OTEL_LOGS_EXPORTER", &exporter)?.unwrap_or(false);
        // Metrics are scraped; this is here because manifests set it for everything they start.
        env.parse("OTEL_METRICS_EXPORTER", one_of(&[("prometheus", ()), ("none", ())]))?;

        let enabled = !disabled.unwrap_or(false);
        let spans = Signal::from_env(&env, "TRACES", "/v1/traces", "BSP", Duration::from_secs(5))?;
        let records = Signal::from_env(&env, "LOGS", "/v1/logs", "BLRP", Duration::from_secs(1))?;
        Ok(Self {
            enabled,
            traces: spans.filter(|_| enabled && traces),
            logs: records.filter(|_| enabled && logs),
            sampler: Sampler::from_env(&env)?,
            propagator: env.parse("OTEL_PROPAGATORS", str::parse)?.unwrap_or_default(),
            service_name: env.parse("OTEL_SERVICE_NAME", str::parse)?,
            resource: env.parse("OTEL_RESOURCE_ATTRIBUTES", pairs)?.unwrap_or_default(),
        })
    }
}

impl Signal {
    /// Nothing when there is no endpoint; everything else is checked all the same.
    fn from_env(
        env: &Environment,
        signal: &str,
        path: &str,
        processor: &str,
        delay: Duration,
    ) -> Result<Option<Self>, InvalidSetting> {
        let batch = Batch::from_env(env, processor, delay)?;
        Ok(Target::from_env(env, signal, path)?.map(|target| Self { target, batch }))
    }
}

impl Batch {
    fn from_env(
        env: &Environment,
        processor: &str,
        delay: Duration,
    ) -> Result<Self, InvalidSetting> {
        const MOST: usize = 1_048_576; // of a kilobyte or so each
        let variable = |name: &str| format!("OTEL_{processor}_{name}");
        let queue = env.parse(&variable("MAX_QUEUE_SIZE"), count(MOST))?.unwrap_or(2048);
        Ok(Self {
            delay: env.parse(&variable("SCHEDULE_DELAY"), millis)?.unwrap_or(delay),
            queue,
            size: env
                .parse(&variable("MAX_EXPORT_BATCH_SIZE"), count(queue))?
                .unwrap_or(queue.min(512)),
            timeout: env
                .parse(&variable("EXPORT_TIMEOUT"), millis)?
                .unwrap_or(Duration::from_secs(30)),
        })
    }
}

impl Sampler {
    fn from_env(env: &Environment) -> Result<Self, InvalidSetting> {
        let known = one_of(&[
            ("parentbased_always_on", (true, Some(1.0))),
            ("parentbased_always_off", (true, Some(0.0))),
            ("parentbased_traceidratio", (true, None)),
            ("always_on", (false, Some(1.0))),
            ("always_off", (false, Some(0.0))),
            ("traceidratio", (false, None)),
        ]);
        let (parent_based, fixed) =
            env.parse("OTEL_TRACES_SAMPLER", known)?.unwrap_or((true, Some(1.0)));
        let argument = "OTEL_TRACES_SAMPLER_ARG";
        let Some(ratio) = fixed else {
            let ratio = env.parse(argument, share)?.unwrap_or(1.0);
            return Ok(Self { parent_based, ratio, ignores_argument: false });
        };
        // A left-over one is no error.
        let ignores_argument = env.parse(argument, |_| Ok::<_, &str>(()))?.is_some();
        Ok(Self { parent_based, ratio, ignores_argument })
    }
}
