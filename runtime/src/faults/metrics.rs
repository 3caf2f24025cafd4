//! What is counted of faults.

use std::fmt;

use emojivoto_telemetry::{
    Telemetry,
    prometheus::{
        collector::Collector,
        encoding::{DescriptorEncoder, EncodeMetric as _},
        metrics::{MetricType, counter::ConstCounter},
    },
};

use super::Injection;

pub(super) fn register(injection: &Injection, telemetry: &Telemetry) {
    injection.0.reloaded.set(1);
    telemetry.register(|registry| {
        registry.register(
            "emojivoto_wasted_work",
            "Requests whose client went away, or whose deadline passed, while they were worked on",
            injection.0.wasted.clone(),
        );
        registry.register(
            "emojivoto_faults_last_reload_successful",
            "Whether the rules that came last are in force (1), or were refused (0)",
            injection.0.reloaded.clone(),
        );
        registry.register_collector(Box::new(Injections(injection.clone())));
    });
}

/// `emojivoto_faults_injected_total`, by rule.
#[derive(Debug)]
struct Injections(Injection);

impl Collector for Injections {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (name, help) = ("emojivoto_faults_injected", "Requests that a rule struck");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (rule, count) in self.0.rules().struck() {
            let labels = [("rule", rule.as_str())];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
