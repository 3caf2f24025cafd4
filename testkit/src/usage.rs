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

/// The kernel's part of a connection, which is taken from the same limit, in bytes.
const KERNEL: u64 = 4096;

/// Asserts that a process with so many connections and so many bytes of its own stays below the limit in its manifest.
///
/// # Panics
/// When it does not, or there is no limit in MiB.
pub fn assert_below_limit(manifest: &str, connections: usize, memory: u64) {
    let (_, limits) = manifest.split_once(" limits:").expect("limits");
    let (_, limit) = limits.split_once(" memory: ").expect("a limit of memory");
    let (mebibytes, _) = limit.split_once("Mi\n").expect("in MiB");
    let limit = mebibytes.parse::<u64>().expect("a number") << 20;
    let with_kernel = memory + connections as u64 * KERNEL;
    assert!(with_kernel < limit, "{with_kernel} bytes, of which {memory} are anonymous");
}
