//! cgroup v1, alone or beside v2 ("hybrid"): all that is different there. Skip this file on first
//! reading; every current distribution has v2.
//!
//! Each controller has a tree of its own, or shares one with a few others. So a container is in one
//! cgroup of each tree, and sees a directory for each.

use crate::control_file::{read, write};
use crate::counter::{Counter, Counters};
use crate::hierarchy::{Hierarchy, Kind, Version};
use crate::limits::{CPU_PERIOD, Limits, cpu_quota};
use crate::setting::Setting;
use anyhow::{Context, Error, Result, anyhow, bail};
use nix::errno::Errno;
use nix::mount::MsFlags;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, symlinkat};
use std::iter;
use std::path::Path;
use std::time::Duration;
use v2_mountns::NewRoot;

// ANCHOR: files
/// The file by which a process with one thread enters, when it writes "0".
///
/// To move a whole process (cgroup.procs), the kernel first lets no process of the machine fork,
/// and waits until every processor knows: milliseconds, if nobody has moved for a while. v1 also
/// moves single threads (tasks). One that moves itself makes nobody wait.
pub(crate) const ENTRANCE: &str = "tasks";

/// What is to be written to the files of one controller.
pub(crate) fn settings(controller: &str, limits: &Limits) -> Vec<Setting> {
    match (controller, limits) {
        // The second number is memory and swap together. It may not be less than the first, so it
        // comes behind it. Without one it has no limit.
        ("memory", Limits { memory: Some(bytes), memory_swap, .. }) => {
            let total = limits.swap_beside(*bytes).map(|swap| bytes.saturating_add(swap));
            let swap = total.map(|total| {
                Setting::of_swap("memory.memsw.limit_in_bytes", total, memory_swap.is_some())
            });
            iter::once(Setting::new("memory.limit_in_bytes", bytes)).chain(swap).collect()
        }
        ("cpu", Limits { cpus: Some(cpus), .. }) => vec![
            Setting::new("cpu.cfs_period_us", CPU_PERIOD),
            Setting::new("cpu.cfs_quota_us", cpu_quota(*cpus)),
        ],
        ("cpuset", Limits { cpuset_cpus: Some(cpus), .. }) => {
            vec![Setting::new("cpuset.cpus", cpus)]
        }
        ("pids", Limits { pids_limit: Some(pids), .. }) => vec![Setting::new("pids.max", pids)],
        _ => Vec::new(),
    }
}

/// Where the kernel tells which CPUs a cgroup can have.
pub(crate) const CPUS: &str = "cpuset.effective_cpus";

/// Where the kernel tells what was used.
pub(crate) const COUNTERS: Counters = Counters {
    oom_kills: Counter::on_a_line("memory", "memory.oom_control", "oom_kill"),
    peak_memory: Counter::alone("memory", "memory.max_usage_in_bytes"),
    cpu_time: Counter::alone("cpuacct", "cpuacct.usage"),
    throttled: Counter::on_a_line("cpu", "cpu.stat", "throttled_time"),
    peak_processes: Counter::alone("pids", "pids.peak"),
    time: Duration::from_nanos,
};
// ANCHOR_END: files

// ANCHOR: inherit
/// Gives a cgroup the CPUs of the one above it, and the nodes of memory, if it has none yet: a new
/// one of v1 has none, and then nobody can enter it (ENOSPC; cpuset(7)). In v2 none means all.
pub(crate) fn inherit_cpus(hierarchy: &Hierarchy, cgroup: &Path) -> Result<()> {
    let Some(above) = cgroup.parent().filter(|_| hierarchy.has("cpuset")) else { return Ok(()) };
    for (file, effective) in [("cpuset.cpus", CPUS), ("cpuset.mems", "cpuset.effective_mems")] {
        let inherited = read(cgroup, file).and_then(|own| match own.trim() {
            "" => write(cgroup, file, read(above, effective)?.trim()),
            _ => Ok(()),
        });
        inherited.with_context(|| format!("cannot fill {file} of the cgroup {cgroup:?}"))?;
    }
    Ok(())
}
// ANCHOR_END: inherit

// ANCHOR: kill_all
/// Kills every process in a cgroup, one by one. There is no word for "empty now": those that end
/// are in it until the last moment.
pub(crate) fn kill_all(path: &Path) -> Result<()> {
    let pids = match read(path, "cgroup.procs") {
        Err(Errno::ENOENT) => return Ok(()), // the cgroup has gone
        pids => pids.with_context(|| format!("cannot read cgroup.procs of {path:?}"))?,
    };
    let mut failures = Vec::new();
    for pid in pids.lines().filter_map(|pid| pid.parse().ok()).filter(|pid| *pid > 0) {
        match kill(Pid::from_raw(pid), Signal::SIGKILL) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(errno) => failures.push(format!("{pid}: {errno}")),
        }
    }
    if failures.is_empty() {
        return Ok(());
    }
    bail!("cannot kill all processes in the cgroup {path:?}: {}", failures.join(", "))
}
// ANCHOR_END: kill_all

/// Why an ordinary user gets no cgroup.
pub(crate) fn not_delegated(kind: Kind, top: &Path, refused: Errno) -> Error {
    anyhow!(
        "cannot make a cgroup in {top:?}: {refused} (this host has {kind}. Only v2 can be \
         delegated to an ordinary user: run this as root, or boot with cgroup v2)"
    )
}

// ANCHOR: mount_trees
/// Mounts each hierarchy in a directory of its own below `place` of the new root, as on the host.
/// All of it is read-only.
pub(crate) fn mount_trees<'a>(
    root: &NewRoot,
    place: &str,
    hierarchies: impl Iterator<Item = &'a Hierarchy>,
) -> Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let directory = root.mount_new(place, "tmpfs", flags, "mode=755,size=64k")?;
    for hierarchy in hierarchies {
        let (kind, options) = match hierarchy.version {
            Version::V2 => ("cgroup2", String::new()),
            Version::V1 => ("cgroup", hierarchy.controllers.join(",")),
        };
        let own_name = hierarchy.name();
        directory
            .mount_below(&own_name, kind, flags | MsFlags::MS_RDONLY, &options)
            .with_context(|| format!("cannot fill /{place}"))?;
        // On many hosts cpu and cpuacct are one hierarchy, "cpu,cpuacct", with two links.
        for name in hierarchy.controllers.iter().filter(|name| **name != own_name) {
            symlinkat(own_name.as_str(), &directory, name.as_str())
                .with_context(|| format!("cannot make the link /{place}/{name}"))?;
        }
    }
    directory.make_read_only().with_context(|| format!("cannot make /{place} read-only"))
}
// ANCHOR_END: mount_trees
