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
        match linux::sample() {
            Ok(sample) => linux::encode(&sample, encoder),
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
    use prometheus_client::metrics::MetricType::{self, Counter, Gauge};
    use prometheus_client::{
        encoding::{DescriptorEncoder, EncodeMetric as _},
        metrics::{counter::ConstCounter, gauge::ConstGauge},
        registry::Unit,
    };

    type Sample = Vec<(&'static str, &'static str, Option<Unit>, MetricType, f64)>;

    #[expect(clippy::cast_precision_loss, reason = "numbers far below 2^53")]
    pub(super) fn sample() -> ProcResult<Sample> {
        let process = Process::myself()?;
        let stat = process.stat()?;
        let seconds = |ticks: u64| ticks as f64 / procfs::ticks_per_second() as f64;
        let started = procfs::boot_time_secs()? as f64 + seconds(stat.starttime);
        let cpu = seconds(stat.utime + stat.stime);
        let (resident, size) = ((stat.rss * procfs::page_size()) as f64, stat.vsize as f64);
        let (threads, fds) = (stat.num_threads as f64, process.fd_count()? as f64);
        let (in_seconds, in_bytes) = (|| Some(Unit::Seconds), || Some(Unit::Bytes));
        let mut sample = vec![
            ("process_cpu", "Processor time, user and system", in_seconds(), Counter, cpu),
            ("process_start_time", "Start, since the Unix epoch", in_seconds(), Gauge, started),
            ("process_resident_memory", "Memory in RAM", in_bytes(), Gauge, resident),
            ("process_virtual_memory", "Address space", in_bytes(), Gauge, size),
            ("process_threads", "Threads", None, Gauge, threads),
            ("process_open_fds", "Open file descriptors", None, Gauge, fds),
        ];
        if let LimitValue::Value(limit) = process.limits()?.max_open_files.soft_limit {
            sample.push(("process_max_fds", "Limit of them", None, Gauge, limit as f64));
        }
        Ok(sample)
    }

    pub(super) fn encode(sample: &Sample, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        sample.iter().try_for_each(|(name, help, unit, kind, value)| {
            let described = encoder.encode_descriptor(name, help, unit.as_ref(), *kind)?;
            match kind {
                Counter => ConstCounter::new(*value).encode(described),
                _ => ConstGauge::new(*value).encode(described),
            }
        })
    }
}
