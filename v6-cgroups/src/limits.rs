//! The options, as Docker has them, and the files that they are written to.

use crate::control_file;
use crate::group::Group;
use crate::hierarchy::{Version, Wanted};
use anyhow::{Result, bail};
use launcher::command_line::note;
use launcher::parse_size;
use nix::errno::Errno;
use nix::unistd::{SysconfVar, sysconf};
use std::fs;

/// `--memory`, `--cpus`, `--pids-limit` and `--stats`, for the command lines from here on.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Limits {
    /// Most memory that the container may use, such as 64m (at least 6m)
    #[arg(short, long, value_name = "BYTES[k|m|g]", value_parser = parse_memory)]
    #[arg(allow_hyphen_values = true)]
    pub memory: Option<u64>,

    /// Most CPU time that it may use, in CPUs, such as 0.5
    #[arg(long, value_name = "N.N", value_parser = parse_cpus, allow_hyphen_values = true)]
    pub cpus: Option<f64>,

    /// Most processes that it may have at a time (threads count as well)
    #[arg(long, value_name = "N", value_parser = parse_pids, allow_hyphen_values = true)]
    pub pids_limit: Option<u64>,

    /// At the end, tell what it has used
    #[arg(long)]
    pub stats: bool,
}

/// Docker's least limit, in bytes. With less than some hundred KiB no program starts at all.
pub const LEAST_MEMORY: u64 = 6 << 20;

/// The period in which a share of CPU time is given out, in microseconds: the kernel's default.
const CPU_PERIOD: f64 = 100_000.0;

/// What Docker means by zero and by negative numbers.
const NO_LIMIT: &str = "in Docker that is no limit; here, leave the option out";

/// Reads a size that is enough for a program.
fn parse_memory(text: &str) -> Result<u64, String> {
    let (is_negative, size) = match text.trim_start().strip_prefix('-') {
        Some(size) => (true, size),
        None => (false, text),
    };
    let bytes = parse_size(size)?;
    if is_negative || bytes == 0 {
        return Err(NO_LIMIT.into());
    }
    if bytes < LEAST_MEMORY {
        return Err("6m is the least, as in Docker: no program starts with much less".into());
    }
    Ok(bytes)
}

/// Reads a number of CPUs, from 0.01 to all of this machine.
fn parse_cpus(text: &str) -> Result<f64, String> {
    let cpus: f64 = text.parse().map_err(|_| "it is not a number".to_owned())?;
    if cpus <= 0.0 {
        return Err(NO_LIMIT.into());
    }
    let all = sysconf(SysconfVar::_NPROCESSORS_ONLN).ok().flatten().unwrap_or(1);
    if !(0.01..=all as f64).contains(&cpus) {
        return Err(format!("it is not between 0.01 and {all}, the CPUs of this machine"));
    }
    Ok(cpus)
}

/// Reads a number of processes.
fn parse_pids(text: &str) -> Result<u64, String> {
    match text.parse::<i64>() {
        Ok(..=0) => Err(NO_LIMIT.into()),
        Ok(pids) => Ok(pids.cast_unsigned()),
        Err(_) => Err("it is not a number".into()),
    }
}

/// One file and what is to stand in it.
struct Setting {
    file: &'static str,
    value: String,
    /// Old kernels, and some without swap, have no such file.
    may_be_missing: bool,
}

impl Limits {
    /// The controllers that these limits need; with `--stats` also those that count.
    pub(crate) fn controllers(&self) -> Vec<Wanted> {
        let all = [
            ("memory", self.memory.is_some()),
            ("cpu", self.cpus.is_some()),
            ("cpuacct", false), // in v1, who counts CPU time
            ("pids", self.pids_limit.is_some()),
        ];
        let wanted = all.map(|(name, is_required)| Wanted { name, is_required });
        wanted.into_iter().filter(|wanted| wanted.is_required || self.stats).collect()
    }

    // ANCHOR: settings
    /// What is to be written to the files of one controller.
    fn settings(&self, controller: &str, version: Version) -> Vec<Setting> {
        let set = |file, value| Setting { file, value, may_be_missing: false };
        let swap = |file, value| Setting { file, value, may_be_missing: true };
        match (controller, version, self) {
            // A limit that did not count swap would only make the container slow.
            ("memory", Version::V2, Limits { memory: Some(bytes), .. }) => {
                vec![set("memory.max", bytes.to_string()), swap("memory.swap.max", "0".to_owned())]
            }
            // In v1 the second number is memory and swap together.
            ("memory", Version::V1, Limits { memory: Some(bytes), .. }) => vec![
                set("memory.limit_in_bytes", bytes.to_string()),
                swap("memory.memsw.limit_in_bytes", bytes.to_string()),
            ],
            // So many microseconds of CPU time in each period.
            ("cpu", Version::V2, Limits { cpus: Some(cpus), .. }) => {
                vec![set("cpu.max", format!("{} {CPU_PERIOD}", (cpus * CPU_PERIOD).round()))]
            }
            ("cpu", Version::V1, Limits { cpus: Some(cpus), .. }) => vec![
                set("cpu.cfs_period_us", CPU_PERIOD.to_string()),
                set("cpu.cfs_quota_us", (cpus * CPU_PERIOD).round().to_string()),
            ],
            ("pids", _, Limits { pids_limit: Some(pids), .. }) => {
                vec![set("pids.max", pids.to_string())]
            }
            _ => Vec::new(),
        }
    }
    // ANCHOR_END: settings

    /// Writes the limits that belong to one of our cgroups, and reads them back.
    pub(crate) fn write(&self, group: &Group) -> Result<()> {
        for controller in &group.controllers {
            for setting in self.settings(controller, group.version) {
                write(group, &setting)?;
            }
        }
        match self.cpus {
            Some(cpus) if group.has("cpu") => {
                let taken = (cpus * CPU_PERIOD).round() / CPU_PERIOD;
                if (taken - cpus).abs() > 1e-9 {
                    note(format_args!(
                        "--cpus {cpus} is rounded to {taken}: the kernel counts in microseconds"
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

// ANCHOR: write
/// Writes one limit, and reads it back: the kernel may have made another number of it.
fn write(group: &Group, Setting { file, value, may_be_missing }: &Setting) -> Result<()> {
    let path = group.path.join(file);
    let failed = |errno: Errno| {
        let advice = match errno {
            Errno::ENOENT => "this kernel has no such file: it lacks that controller, or a part",
            Errno::EINVAL => "it is too large, or larger than a cgroup above allows",
            _ => "see cgroups(7)",
        };
        anyhow::anyhow!("cannot write {value:?} to {path:?}: {errno} ({advice})")
    };
    match control_file::write(&group.path, file, value) {
        Err(Errno::ENOENT) if *may_be_missing => {
            if has_swap() {
                note(format_args!(
                    "this kernel does not limit swap by cgroup: beyond the limit, the container \
                     is swapped out (boot with swapaccount=1)"
                ));
            }
            return Ok(());
        }
        result => result.map_err(failed)?,
    }
    let taken = control_file::read(&group.path, file).map_err(failed)?;
    match compare(value, taken.trim()) {
        Taken::Exactly => Ok(()),
        Taken::Rounded if *may_be_missing => Ok(()), // the limit beside it has told of that
        Taken::Rounded => {
            note(format_args!(
                "the limit in {file} is {}, not {value}: the kernel counts in pages",
                taken.trim()
            ));
            Ok(())
        }
        Taken::Not => bail!(
            "cannot set {path:?} to {value:?}: it reads {:?} afterwards (more than the kernel can \
             count?)",
            taken.trim()
        ),
    }
}
// ANCHOR_END: write

#[derive(Debug, PartialEq, Eq)]
enum Taken {
    Exactly,
    Rounded,
    Not,
}

/// Compares what was written with what is read: down to less than a page of memory is rounded.
fn compare(written: &str, read: &str) -> Taken {
    if written == read {
        return Taken::Exactly;
    }
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().unwrap_or(4096).cast_unsigned();
    match (written.parse::<u64>(), read.parse::<u64>()) {
        (Ok(written), Ok(read)) if read < written && written - read < page => Taken::Rounded,
        _ => Taken::Not,
    }
}

/// Whether this host swaps: a line below the title.
fn has_swap() -> bool {
    fs::read_to_string("/proc/swaps").is_ok_and(|swaps| swaps.lines().count() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sizes_as_docker_does() {
        for (text, bytes) in [
            ("67108864", 67_108_864),
            ("67108864b", 67_108_864),
            ("65536k", 64 << 20),
            ("64m", 64 << 20),
            ("64M", 64 << 20),
            ("64MiB", 64 << 20),
            ("64 m", 64 << 20),
            ("1.5g", 3 << 29),
            ("1t", 1 << 40),
            ("6m", 6 << 20),
        ] {
            assert_eq!(parse_memory(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, fault) in [
            ("", "not a number"),
            ("m", "not a number"),
            ("12x", "\"x\" is no unit"),
            ("1.2.3m", "not a number"),
            ("0", "leave the option out"),
            ("-1", "leave the option out"),
            ("-0.5g", "leave the option out"),
            (" -1", "leave the option out"),
            ("--1", "not a number"),
            ("0.1", "leave the option out"),
            ("1", "6m is the least"),
            ("6291455", "6m is the least"),
        ] {
            let told = parse_memory(text);
            assert!(told.as_ref().is_err_and(|told| told.contains(fault)), "{text}: {told:?}");
        }
        for (text, fault) in [
            ("0", "leave the option out"),
            ("-1", "leave the option out"),
            ("1e9", "not between 0.01 and"),
            ("nan", "not between"),
            ("inf", "not between"),
            ("0.001", "not between"),
            ("1x", "not a number"),
        ] {
            let told = parse_cpus(text);
            assert!(told.as_ref().is_err_and(|told| told.contains(fault)), "{text}: {told:?}");
        }
        for (text, fault) in
            [("0", "leave the option out"), ("-1", "leave"), ("3.5", "not a number")]
        {
            let told = parse_pids(text);
            assert!(told.as_ref().is_err_and(|told| told.contains(fault)), "{text}: {told:?}");
        }
    }

    #[test]
    fn a_limit_is_taken_or_rounded_to_a_page_or_not_taken() {
        assert_eq!(compare("64", "64"), Taken::Exactly);
        assert_eq!(compare("67108865", "67108864"), Taken::Rounded);
        assert_eq!(compare("67108864", "33554432"), Taken::Not);
        assert_eq!(compare("67108864", "max"), Taken::Not);
        assert_eq!(compare("50000 100000", "max 100000"), Taken::Not);
    }
}
