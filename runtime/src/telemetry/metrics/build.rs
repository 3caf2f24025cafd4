//! Which build this is.

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, gauge::ConstGauge},
};

/// `emojivoto_build_info`, in the manner of Prometheus' own `prometheus_build_info`.
#[derive(Debug)]
pub(super) struct Build;

impl Collector for Build {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let labels =
            [("version", env!("CARGO_PKG_VERSION")), ("revision", env!("EMOJIVOTO_REVISION"))];
        let help = "Version and git commit of this build";
        let mut family =
            encoder.encode_descriptor("emojivoto_build_info", help, None, MetricType::Gauge)?;
        ConstGauge::new(1).encode(family.encode_family(&labels)?)
    }
}
