//! Runs a program to its end and says what it took, the programs that it starts included: time, CPU seconds, peak
//! memory; also of a server beside it, and what went over loopback meanwhile. Reads /proc, so it is for Linux.

use anyhow::{Context, Result, bail};
use base::{Bytes, Clock as _, SystemClock};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use std::fmt;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

/// What one piece of work took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measured {
    /// From start to end, in seconds.
    pub wall_s: f64,
    /// CPU time of the program and those that it has started, in seconds.
    pub cpu_s: f64,
    /// CPU time of the server meanwhile, in seconds; 0 where there is none.
    pub server_cpu_s: f64,
    /// The most memory that the program and those that it has started had, each by itself, together.
    pub peak: Bytes,
    /// The most memory that the server had meanwhile; 0 where there is none.
    pub server_peak: Bytes,
    /// What went over loopback, in both directions, whoever sent it.
    pub loopback: Bytes,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Measured { wall_s, cpu_s, server_cpu_s, peak, server_peak, loopback } = self;
        write!(f, "{wall_s:7.2} s, CPU {cpu_s:6.2} + {server_cpu_s:5.2} s, peak {peak} + {server_peak}, ")?;
        write!(f, "loopback {loopback}")
    }
}

/// Runs `command`, with the server `server` beside it where there is one.
pub fn run(command: &mut Command, server: Option<u32>) -> Result<Measured> {
    if let Some(server) = server {
        reset_peak(server)?;
    }
    let server_cpu_before = server.map(cpu_of).transpose()?.unwrap_or_default();
    let loopback_before = loopback()?;
    let began_at = SystemClock.now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().context("starting the program")?;
    let pid = child.id();
    let mut peak = Bytes(0);
    while !has_ended(pid)? {
        peak = peak.max(peak_of_all(pid));
        std::thread::sleep(Duration::from_millis(5));
    }
    let wall_s = SystemClock.now().since(began_at).as_ms() as f64 / 1e3;
    // It has ended and was not waited for yet: its CPU time is still to be read.
    let cpu_s = cpu_of(pid)?;
    let status = child.wait()?;
    if !status.success() {
        bail!("{command:?} failed: {status}");
    }
    let server_cpu_s = server.map(cpu_of).transpose()?.unwrap_or_default() - server_cpu_before;
    let server_peak = server.and_then(peak_of).unwrap_or_default();
    let loopback = Bytes(loopback()?.saturating_sub(loopback_before));
    Ok(Measured { wall_s, cpu_s, server_cpu_s, peak, server_peak, loopback })
}

/// What several programs took that ran at once.
#[derive(Debug)]
pub struct Together {
    /// Each of them, in their order.
    pub each: Vec<Measured>,
    /// The server beside them, until the last had ended.
    pub server: Measured,
}

/// Runs `commands` at once, with the server `server` beside them.
pub fn together(commands: &mut [Command], server: u32) -> Result<Together> {
    reset_peak(server)?;
    let (server_cpu_before, began_at) = (cpu_of(server)?, SystemClock.now());
    let each = std::thread::scope(|scope| {
        let running: Vec<_> = commands.iter_mut().map(|command| scope.spawn(|| run(command, None))).collect();
        let ended = running.into_iter().map(|one| one.join().expect("measuring does not panic"));
        ended.collect::<Result<Vec<Measured>>>()
    })?;
    let wall_s = SystemClock.now().since(began_at).as_ms() as f64 / 1e3;
    let (cpu_s, peak) = (cpu_of(server)? - server_cpu_before, peak_of(server).context("reading the server's peak")?);
    Ok(Together { each, server: Measured { wall_s, cpu_s, peak, ..Measured::default() } })
}

/// The middle of these, of an even number that between the two in the middle; not a number when there are none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => values[len / 2],
        len => f64::midpoint(values[len / 2 - 1], values[len / 2]),
    }
}

fn has_ended(pid: u32) -> Result<bool> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("a process has a number")?;
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    Ok(waitid(WaitId::Pid(pid), options)?.is_some())
}

/// CPU seconds of a process, its threads, and the processes that it has waited for, in user and system mode.
fn cpu_of(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("reading /proc")?;
    let after_name = stat.rsplit(") ").next().context("a process has a name")?;
    let fields: Vec<&str> = after_name.split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).context("a time in ticks");
    let per_second = rustix::param::clock_ticks_per_second() as f64;
    Ok((ticks(11)? + ticks(12)? + ticks(13)? + ticks(14)?) / per_second)
}

/// The peaks of a process and of all that it has started and that still run.
fn peak_of_all(pid: u32) -> Bytes {
    let of_thread = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("children")).ok();
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().filter_map(Result::ok);
    let children: String = threads.filter_map(of_thread).collect();
    let beneath = children.split_whitespace().filter_map(|child| child.parse().ok()).map(peak_of_all);
    Bytes(peak_of(pid).unwrap_or_default().0 + beneath.map(|peak| peak.0).sum::<u64>())
}

/// Bytes that loopback has carried since the machine began.
fn loopback() -> Result<u64> {
    let text = fs::read_to_string("/proc/net/dev").context("reading /proc")?;
    let line = text.lines().find_map(|line| line.trim().strip_prefix("lo:")).context("a machine has loopback")?;
    Ok(line.split_whitespace().next().and_then(|bytes| bytes.parse().ok()).unwrap_or_default())
}

fn peak_of(pid: u32) -> Option<Bytes> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(Bytes::kib(kib))
}

fn reset_peak(pid: u32) -> Result<()> {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").context("forgetting the server's peak memory")
}
