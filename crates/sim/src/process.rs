//! CPU seconds and memory of a process, this one or another. Reads /proc, so it is for Linux; elsewhere all is zero.
//! Refuses to fail: figures of a process that is gone are zero.

use base::Bytes;
use std::fs;

/// What a process has used up so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Used {
    /// CPU seconds of all its threads, in user and system mode.
    pub cpu_s: f64,
    /// The memory that it has now.
    pub memory: Bytes,
    /// The most memory that it had.
    pub peak: Bytes,
}

/// What this process has used up. Never fails.
pub fn own() -> Used {
    of(std::process::id())
}

/// What a process has used up. Never fails.
pub fn of(pid: u32) -> Used {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kib = |word: &str| {
        let line = status.lines().find(|line| line.starts_with(word));
        let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        Bytes::kib(number.unwrap_or(0))
    };
    Used { cpu_s: cpu_s(pid).unwrap_or(0.0), memory: kib("VmRSS:"), peak: kib("VmHWM:") }
}

fn cpu_s(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit(") ").next()?.split(' ').collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / rustix::param::clock_ticks_per_second() as f64)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_a_process_that_is_gone_has_none() {
        let used = own();
        assert!(used.memory > Bytes(0) && used.peak >= used.memory, "{used:?}");
        assert_eq!(of(u32::MAX), Used::default());
    }
}
