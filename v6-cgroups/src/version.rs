//! Where the two generations part: what differs, each has under the same name in its own file.

use crate::counter::Counters;
use crate::hierarchy::{Hierarchy, Version, Wanted};
use crate::limits::Limits;
use crate::setting::Setting;
use crate::{cgroup_v1, cgroup_v2, delegation};
use anyhow::Result;
use std::path::Path;
use std::time::Instant;

// ANCHOR: version
impl Version {
    /// The file by which a process with one thread enters a cgroup, when it writes "0".
    pub(crate) fn entrance(self) -> &'static str {
        match self {
            Version::V2 => cgroup_v2::ENTRANCE,
            Version::V1 => cgroup_v1::ENTRANCE,
        }
    }

    /// Switches controllers on for the cgroups in `directory`. In v1 they are always on.
    pub(crate) fn pass_on(self, directory: &Path, wanted: &[Wanted]) -> Result<()> {
        match self {
            Version::V2 => delegation::enable(directory, wanted),
            Version::V1 => Ok(()),
        }
    }

    /// Makes a new cgroup one that can be entered: in v1 it has no CPU at first.
    pub(crate) fn inherit_cpus(self, hierarchy: &Hierarchy, cgroup: &Path) -> Result<()> {
        match self {
            Version::V2 => Ok(()),
            Version::V1 => cgroup_v1::inherit_cpus(hierarchy, cgroup),
        }
    }

    /// The file that tells which CPUs a cgroup can have.
    pub(crate) fn cpus(self) -> &'static str {
        match self {
            Version::V2 => cgroup_v2::CPUS,
            Version::V1 => cgroup_v1::CPUS,
        }
    }

    /// What is to be written to the files of one controller.
    pub(crate) fn settings(self, controller: &str, limits: &Limits) -> Vec<Setting> {
        match self {
            Version::V2 => cgroup_v2::settings(controller, limits),
            Version::V1 => cgroup_v1::settings(controller, limits),
        }
    }

    /// Where the kernel tells what was used.
    pub(crate) fn counters(self) -> Counters {
        match self {
            Version::V2 => cgroup_v2::COUNTERS,
            Version::V1 => cgroup_v1::COUNTERS,
        }
    }

    /// Kills every process in a cgroup. v2 waits for their end, until the deadline.
    pub(crate) fn kill_all(self, path: &Path, deadline: Instant) -> Result<()> {
        match self {
            Version::V2 => cgroup_v2::kill_all(path, deadline),
            Version::V1 => cgroup_v1::kill_all(path),
        }
    }
}
// ANCHOR_END: version
