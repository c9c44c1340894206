//! What a process costs, as the kernel counts it.

use std::time::Duration;

/// How many ticks of the kernel's clock are a second, on every Linux that there is.
const TICKS: u64 = 100;
const PAGE: u64 = 4096;

/// How much time a process had on the processors.
pub(crate) fn cpu(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name of the command may have spaces in it, and ends with the last bracket.
    let after = stat.rsplit(')').next().unwrap_or_default();
    let mut ticks = after
        .split_whitespace()
        .skip(11)
        .map(|it| it.parse::<u64>().unwrap_or(0));
    let (user, system) = (ticks.next().unwrap_or(0), ticks.next().unwrap_or(0));
    Duration::from_millis((user + system) * 1000 / TICKS)
}

/// How many bytes of a process are in memory.
pub(crate) fn resident(process: u32) -> u64 {
    let statm = std::fs::read_to_string(format!("/proc/{process}/statm")).unwrap_or_default();
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|it| it.parse::<u64>().ok());
    pages.unwrap_or(0) * PAGE
}

/// How many bytes of a process were in memory at most.
pub(crate) fn highest(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|it| it.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) << 10
}
