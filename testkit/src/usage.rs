//! What a process takes of its machine, as Linux counts it.

use std::{fs, time::Duration};

/// What all threads that a process has now have run (`proc_pid_schedstat(5)`, in nanoseconds).
pub fn processor_time(process: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("a running process");
    let nanoseconds = threads.map(|thread| {
        let file = thread.expect("a thread").path().join("schedstat");
        let text = fs::read_to_string(file).unwrap_or_default(); // it may have ended
        text.split(' ').next().and_then(|time| time.parse::<u64>().ok()).unwrap_or_default()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// Memory of a process in bytes, by its name in `proc_pid_status(5)`: `VmRSS`, `VmHWM` (the most there was), `RssAnon`.
pub fn memory(process: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("a running process");
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kilobytes = value.and_then(|value| value.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes.expect("a figure of memory") * 1024
}
