//! Where the kernel tells what a cgroup has used.

use crate::control_file::{self, number_in};
use nix::errno::Errno;
use std::path::Path;
use std::time::Duration;

/// One number in one file.
#[derive(Clone, Copy)]
pub(crate) struct Counter {
    /// The controller that counts it; none if every cgroup does.
    pub(crate) controller: Option<&'static str>,
    pub(crate) file: &'static str,
    /// The word before the number, on its line; none if nothing else is in the file.
    pub(crate) name: Option<&'static str>,
}

impl Counter {
    pub(crate) const fn alone(controller: &'static str, file: &'static str) -> Counter {
        Counter { controller: Some(controller), file, name: None }
    }

    pub(crate) const fn on_a_line(
        controller: &'static str,
        file: &'static str,
        name: &'static str,
    ) -> Counter {
        Counter { controller: Some(controller), file, name: Some(name) }
    }

    /// Reads it; none if this kernel has no such number.
    pub(crate) fn read(&self, cgroup: &Path) -> nix::Result<Option<u64>> {
        let text = match control_file::read(cgroup, self.file) {
            Err(Errno::ENOENT) => return Ok(None),
            text => text?,
        };
        Ok(match self.name {
            Some(name) => number_in(&text, name),
            None => text.trim().parse().ok(),
        })
    }
}

/// The numbers that we tell of.
pub(crate) struct Counters {
    /// How many processes the kernel has killed for memory.
    pub(crate) oom_kills: Counter,
    /// In bytes.
    pub(crate) peak_memory: Counter,
    pub(crate) cpu_time: Counter,
    /// How long processes stood still because their CPU time was used up.
    pub(crate) throttled: Counter,
    pub(crate) peak_processes: Counter,
    /// What a number of these two times is.
    pub(crate) time: fn(u64) -> Duration,
}
