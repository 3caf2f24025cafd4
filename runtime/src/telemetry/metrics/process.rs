//! The process as the operating system sees it, by the names that Prometheus' client libraries have
//! in common: <https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>.
//!
//! Only on Linux, where `/proc` tells; elsewhere there are none, as the convention allows.

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};

#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    #[cfg(target_os = "linux")]
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        match linux::Sample::take() {
            Ok(sample) => sample.encode(encoder),
            // A process that may not look at itself has no such metrics.
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "no process metrics");
                Ok(())
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn encode(&self, _: DescriptorEncoder<'_>) -> std::fmt::Result {
        Ok(())
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use procfs::{
        ProcResult,
        process::{LimitValue, Process},
    };
    use prometheus_client::{
        encoding::{DescriptorEncoder, EncodeMetric as _},
        metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
        registry::Unit,
    };

    pub(super) struct Sample {
        cpu_seconds: f64,
        start_seconds: f64,
        resident_bytes: f64,
        virtual_bytes: f64,
        threads: f64,
        open_fds: f64,
        /// None where there is no limit.
        max_fds: Option<f64>,
    }

    impl Sample {
        #[expect(clippy::cast_precision_loss, reason = "numbers far below 2^53")]
        pub(super) fn take() -> ProcResult<Self> {
            let process = Process::myself()?;
            let stat = process.stat()?;
            let ticks_per_second = procfs::ticks_per_second() as f64;
            let max_fds = match process.limits()?.max_open_files.soft_limit {
                LimitValue::Value(limit) => Some(limit as f64),
                LimitValue::Unlimited => None,
            };
            Ok(Self {
                cpu_seconds: (stat.utime + stat.stime) as f64 / ticks_per_second,
                start_seconds: procfs::boot_time_secs()? as f64
                    + stat.starttime as f64 / ticks_per_second,
                resident_bytes: (stat.rss * procfs::page_size()) as f64,
                virtual_bytes: stat.vsize as f64,
                threads: stat.num_threads as f64,
                open_fds: process.fd_count()? as f64,
                max_fds,
            })
        }

        pub(super) fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
            let (name, help) = ("process_cpu", "Processor time, user and system");
            let cpu = ConstCounter::new(self.cpu_seconds);
            let seconds = Some(&Unit::Seconds);
            cpu.encode(encoder.encode_descriptor(name, help, seconds, MetricType::Counter)?)?;

            let mut gauge = |name, help, unit: Option<&Unit>, value: f64| {
                let described = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
                ConstGauge::new(value).encode(described)
            };
            let (bytes, start) = (Some(&Unit::Bytes), self.start_seconds);
            gauge("process_start_time", "Start, since the Unix epoch", seconds, start)?;
            gauge("process_resident_memory", "Memory in RAM", bytes, self.resident_bytes)?;
            gauge("process_virtual_memory", "Address space", bytes, self.virtual_bytes)?;
            gauge("process_threads", "Threads", None, self.threads)?;
            gauge("process_open_fds", "Open file descriptors", None, self.open_fds)?;
            let max = self.max_fds;
            max.map_or(Ok(()), |max| gauge("process_max_fds", "Limit of them", None, max))
        }
    }
}
