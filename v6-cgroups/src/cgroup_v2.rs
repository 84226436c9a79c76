//! cgroup v2: what its files are called, and how all processes in a cgroup are killed.

use crate::control_file::{number_in, open_existing};
use crate::counter::{Counter, Counters};
use crate::limits::{CPU_PERIOD, Limits, cpu_quota};
use crate::setting::Setting;
use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::write;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

// ANCHOR: files
/// The file by which a process enters, when it writes "0".
pub(crate) const ENTRANCE: &str = "cgroup.procs";

/// What is to be written to the files of one controller.
pub(crate) fn settings(controller: &str, limits: &Limits) -> Vec<Setting> {
    match (controller, limits) {
        // A limit that did not count swap would only make the container slow. The kernel counts
        // it alone, --memory-swap counts both.
        ("memory", Limits { memory: Some(bytes), memory_swap, .. }) => {
            let swap = limits.swap_beside(*bytes).map_or("max".into(), |swap| swap.to_string());
            let asked = memory_swap.is_some();
            vec![
                Setting::new("memory.max", bytes),
                Setting::of_swap("memory.swap.max", swap, asked),
            ]
        }
        // So many microseconds of CPU time in each period.
        ("cpu", Limits { cpus: Some(cpus), .. }) => {
            vec![Setting::new("cpu.max", format!("{} {CPU_PERIOD}", cpu_quota(*cpus)))]
        }
        ("cpuset", Limits { cpuset_cpus: Some(cpus), .. }) => {
            vec![Setting::new("cpuset.cpus", cpus)]
        }
        ("pids", Limits { pids_limit: Some(pids), .. }) => vec![Setting::new("pids.max", pids)],
        _ => Vec::new(),
    }
}

/// Where the kernel tells which CPUs a cgroup can have.
pub(crate) const CPUS: &str = "cpuset.cpus.effective";

/// Where the kernel tells what was used.
pub(crate) const COUNTERS: Counters = Counters {
    oom_kills: Counter::on_a_line("memory", "memory.events", "oom_kill"),
    peak_memory: Counter::alone("memory", "memory.peak"),
    // Every cgroup counts CPU time, with or without the controller.
    cpu_time: Counter { controller: None, file: "cpu.stat", name: Some("usage_usec") },
    throttled: Counter::on_a_line("cpu", "cpu.stat", "throttled_usec"),
    peak_processes: Counter::alone("pids", "pids.peak"),
    time: Duration::from_micros,
};
// ANCHOR_END: files

// ANCHOR: kill_all
/// Kills every process in a cgroup and in those below it, and waits for their end.
pub(crate) fn kill_all(path: &Path, deadline: Instant) -> Result<()> {
    let events = match open_existing(path, "cgroup.events", OFlag::O_RDONLY) {
        Err(Errno::ENOENT) => return Ok(()), // the cgroup has gone
        events => events.with_context(|| format!("cannot open cgroup.events of {path:?}"))?,
    };
    if !is_populated(&events)? {
        return Ok(());
    }
    let file = open_existing(path, "cgroup.kill", OFlag::O_WRONLY);
    file.and_then(|file| write(&file, b"1"))
        .with_context(|| format!("cannot kill the processes in the cgroup {path:?}"))?;
    while is_populated(&events)? && Instant::now() < deadline {
        // The kernel reports a change in this file as POLLPRI.
        let mut changed = [PollFd::new(events.as_fd(), PollFlags::POLLPRI)];
        poll(&mut changed, PollTimeout::from(100_u8)).context("cannot poll cgroup.events")?;
    }
    Ok(())
}
// ANCHOR_END: kill_all

fn is_populated(events: &File) -> Result<bool> {
    let mut text = [0; 256];
    let length = events.read_at(&mut text, 0).context("cannot read cgroup.events")?;
    let text = String::from_utf8_lossy(&text[..length]); // no more than there is room for
    Ok(number_in(&text, "populated") == Some(1))
}
