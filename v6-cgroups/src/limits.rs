//! The options, as Docker has them.

use crate::cpu_list::CpuList;
use crate::hierarchy::Wanted;
use anyhow::{Result, bail};
use launcher::command_line::note;
use launcher::parse_size;
use nix::unistd::{SysconfVar, sysconf};

// ANCHOR: options
/// `--memory`, `--cpus`, `--pids-limit` and the like, for the command lines from here on.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Limits {
    /// Most memory, such as 64m (at least 6m)
    #[arg(short, long, value_name = "BYTES[k|m|g]", value_parser = parse_memory)]
    #[arg(allow_hyphen_values = true)]
    pub memory: Option<u64>,

    /// Memory and swap together; -1: no limit
    #[arg(long, value_name = "BYTES[k|m|g]", value_parser = parse_swap, requires = "memory")]
    #[arg(allow_hyphen_values = true)]
    pub memory_swap: Option<Swap>,

    /// Most CPU time, in CPUs, such as 0.5
    #[arg(long, value_name = "N.N", value_parser = parse_cpus, allow_hyphen_values = true)]
    pub cpus: Option<f64>,

    /// CPUs to run on, such as 0-1,3
    #[arg(long, value_name = "LIST", value_parser = CpuList::parse)]
    pub cpuset_cpus: Option<CpuList>,

    /// Most processes at a time (threads count too)
    #[arg(long, value_name = "N", value_parser = parse_pids, allow_hyphen_values = true)]
    pub pids_limit: Option<u64>,

    /// At the end, tell what it has used
    #[arg(long)]
    pub stats: bool,
}
// ANCHOR_END: options

/// What `--memory-swap` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swap {
    /// Memory and swap together, in bytes. (The kernel of cgroup v2 counts swap alone.)
    Total(u64),
    /// As much as the machine has.
    Unlimited,
}

/// Docker's least limit, in bytes. With less than some hundred KiB no program starts at all.
pub const LEAST_MEMORY: u64 = 6 << 20;

/// The period in which a share of CPU time is given out, in microseconds: the kernel's default.
pub(crate) const CPU_PERIOD: f64 = 100_000.0;

/// What Docker means by zero and by negative numbers.
const NO_LIMIT: &str = "in Docker that is no limit; here, leave the option out";

// ANCHOR: checks
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

/// Reads a size of memory and swap together, or -1.
fn parse_swap(text: &str) -> Result<Swap, String> {
    match text {
        "-1" => Ok(Swap::Unlimited),
        "0" => Err("in Docker that is as without it: leave the option out".into()),
        _ => parse_size(text).map(Swap::Total),
    }
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
// ANCHOR_END: checks

impl Limits {
    /// The controllers that these limits need; with `--stats` also those that count.
    fn controllers(&self) -> Vec<Wanted> {
        let all = [
            ("memory", self.memory.is_some()),
            ("cpu", self.cpus.is_some()),
            ("cpuacct", false), // in v1, who counts CPU time
            ("pids", self.pids_limit.is_some()),
        ];
        let wanted = all.map(|(name, is_required)| Wanted { name, is_required });
        let counted = wanted.into_iter().filter(|wanted| wanted.is_required || self.stats);
        // This one counts nothing.
        let cpuset = Wanted { name: "cpuset", is_required: true };
        counted.chain(self.cpuset_cpus.is_some().then_some(cpuset)).collect()
    }

    /// Refuses limits that contradict each other.
    pub(crate) fn check(&self) -> Result<()> {
        if let (Some(memory), Some(Swap::Total(total))) = (self.memory, self.memory_swap)
            && total < memory
        {
            bail!(
                "cannot limit memory and swap together to {total} bytes: --memory alone is \
                 {memory} (--memory-swap counts both, as in Docker; without swap, leave it out)"
            );
        }
        Ok(())
    }

    /// How much may be swapped out, in bytes; none for as much as there is.
    pub(crate) fn swap_beside(&self, memory: u64) -> Option<u64> {
        match self.memory_swap {
            None => Some(0), // such a container would only be slow
            Some(Swap::Total(total)) => Some(total.saturating_sub(memory)),
            Some(Swap::Unlimited) => None,
        }
    }

    /// Says what the kernel makes of `--cpus`, if that is another number.
    pub(crate) fn tell_rounded_cpus(&self) {
        let Some(cpus) = self.cpus else { return };
        let taken = cpu_quota(cpus) / CPU_PERIOD;
        if (taken - cpus).abs() > 1e-9 {
            note(format_args!(
                "--cpus {cpus} is rounded to {taken}: the kernel counts in microseconds"
            ));
        }
    }
}

/// The controllers that all of these limits need, each once.
pub(crate) fn controllers_of<'a>(limits: impl Iterator<Item = &'a Limits>) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    for controller in limits.flat_map(Limits::controllers) {
        if !wanted.contains(&controller) {
            wanted.push(controller);
        }
    }
    wanted
}

/// How much CPU time so many CPUs are in each [`CPU_PERIOD`], in microseconds.
pub(crate) fn cpu_quota(cpus: f64) -> f64 {
    (cpus * CPU_PERIOD).round()
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
        for (text, fault) in
            [("0", "leave the option out"), ("-2", "not a number"), ("9x", "no unit")]
        {
            let told = parse_swap(text);
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
    fn swap_is_what_is_left_of_the_sum() {
        let beside = |memory_swap| {
            let limits = Limits { memory: Some(64), memory_swap, ..Limits::default() };
            (limits.check().is_ok(), limits.swap_beside(64))
        };
        assert_eq!(beside(None), (true, Some(0)));
        assert_eq!(beside(Some(Swap::Total(64))), (true, Some(0)));
        assert_eq!(beside(Some(Swap::Total(100))), (true, Some(36)));
        assert_eq!(beside(Some(Swap::Unlimited)), (true, None));
        assert!(!beside(Some(Swap::Total(63))).0);
    }
}
