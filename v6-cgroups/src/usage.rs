//! What a container has used, read when it has ended and before its cgroup goes.

use crate::Cgroup;
use crate::control_file::{self, number_in};
use crate::hierarchy::Version;
use anyhow::{Result, anyhow};
use launcher::command_line::note;
use nix::errno::Errno;
use std::fmt::Write;
use std::time::Duration;

impl Cgroup {
    // ANCHOR: report
    /// Tells whether the kernel killed for memory, and with `--stats` what was used.
    ///
    /// # Errors
    /// If the files of the cgroup cannot be read.
    pub fn report(&self) -> Result<()> {
        if let Some(text) = self.out_of_memory()? {
            note(format_args!("{text}"));
        }
        if self.limits.stats {
            note(format_args!("{}", self.statistics()?));
        }
        Ok(())
    }

    /// Whether the kernel killed for memory, and in which limit.
    ///
    /// # Errors
    /// If the files of the cgroup cannot be read.
    pub fn out_of_memory(&self) -> Result<Option<String>> {
        let kills = match self.version_of("memory") {
            Some(Version::V2) => self.count("memory", "memory.events", "oom_kill")?,
            Some(Version::V1) => self.count("memory", "memory.oom_control", "oom_kill")?,
            None => None,
        };
        Ok(kills.filter(|kills| *kills > 0).map(|kills| {
            let limit = self.limits.memory.map_or("no limit here".to_owned(), |bytes| {
                format!("limit {}", in_mebibytes(bytes))
            });
            let s = if kills == 1 { "" } else { "s" };
            format!("killed: out of memory ({limit}, {kills} oom kill{s})")
        }))
    }
    // ANCHOR_END: report

    fn statistics(&self) -> Result<String> {
        let memory = match self.version_of("memory") {
            Some(Version::V2) => self.number("memory", "memory.peak")?,
            Some(Version::V1) => self.number("memory", "memory.max_usage_in_bytes")?,
            None => None,
        };
        let cpu = self.cpu_time()?;
        let throttled = match self.version_of("cpu") {
            Some(Version::V2) => {
                let time = self.count("cpu", "cpu.stat", "throttled_usec")?;
                time.map(Duration::from_micros)
            }
            Some(Version::V1) => {
                let time = self.count("cpu", "cpu.stat", "throttled_time")?;
                time.map(Duration::from_nanos)
            }
            None => None,
        };
        let pids = self.number("pids", "pids.peak")?;
        let unknown = || "unknown".to_owned();
        let seconds = |time: Option<Duration>| {
            time.map_or_else(unknown, |time| format!("{:.3} s", time.as_secs_f64()))
        };
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "peak memory {}, CPU time {}, throttled {}, peak processes {}",
            memory.map_or_else(unknown, in_mebibytes),
            seconds(cpu),
            seconds(throttled),
            pids.map_or_else(unknown, |pids| pids.to_string()),
        );
        Ok(text)
    }

    /// In v2 every cgroup counts CPU time, with or without the controller.
    fn cpu_time(&self) -> Result<Option<Duration>> {
        if self.version_of("cpuacct") == Some(Version::V1) {
            return Ok(self.number("cpuacct", "cpuacct.usage")?.map(Duration::from_nanos));
        }
        let group = self.groups.iter().find(|group| group.version == Version::V2);
        let text = group.map(|group| control_file::read(&group.path, "cpu.stat")).transpose();
        let text = text.map_err(|errno| anyhow!("cannot read cpu.stat: {errno}"))?;
        let time = text.and_then(|text| number_in(&text, "usage_usec"));
        Ok(time.map(Duration::from_micros))
    }

    fn version_of(&self, controller: &str) -> Option<Version> {
        self.groups.iter().find(|group| group.has(controller)).map(|group| group.version)
    }

    /// The text of a file of one controller; none if this kernel has no such file.
    fn text(&self, controller: &str, file: &str) -> Result<Option<String>> {
        let Some(group) = self.groups.iter().find(|group| group.has(controller)) else {
            return Ok(None);
        };
        match control_file::read(&group.path, file) {
            Ok(text) => Ok(Some(text)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(anyhow!("cannot read {:?}: {errno}", group.path.join(file))),
        }
    }

    fn number(&self, controller: &str, file: &str) -> Result<Option<u64>> {
        Ok(self.text(controller, file)?.and_then(|text| text.trim().parse().ok()))
    }

    fn count(&self, controller: &str, file: &str, name: &str) -> Result<Option<u64>> {
        Ok(self.text(controller, file)?.and_then(|text| number_in(&text, name)))
    }
}

fn in_mebibytes(bytes: u64) -> String {
    const MEBIBYTE: f64 = 1_048_576.0;
    if bytes.is_multiple_of(1 << 20) {
        return format!("{} MiB", bytes >> 20);
    }
    format!("{:.1} MiB", bytes as f64 / MEBIBYTE)
}
