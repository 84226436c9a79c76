//! What kind of cgroup host the machine is. A throw-away host has the machine's cgroups.

use launcher::mountinfo::{Mount, mounts_of};
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};

/// Where everybody looks for cgroups.
const USUAL_PLACE: &str = "/sys/fs/cgroup";

/// How the machine mounts its cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgroupHost {
    /// Version 2 only, at the usual place.
    Unified,
    /// The controllers on version 1, and version 2 beside them.
    Hybrid,
    /// Version 1 only.
    V1,
    /// No cgroups.
    None,
}

impl CgroupHost {
    /// That of the machine the tests run on.
    pub fn of_machine() -> CgroupHost {
        // The names of directories say nothing, the file system's magic number does (man 2 statfs).
        let usual = statfs(USUAL_PLACE).map(|it| it.filesystem_type());
        let mounts = mounts_of("self").expect("read the mounts");
        CgroupHost::of(usual == Ok(CGROUP2_SUPER_MAGIC), &mounts)
    }

    fn of(is_version_2_at_usual_place: bool, mounts: &[Mount]) -> CgroupHost {
        let has = |kind| mounts.iter().any(|mount| mount.file_system == kind);
        match (has("cgroup"), has("cgroup2")) {
            (_, true) if is_version_2_at_usual_place => CgroupHost::Unified,
            (true, true) => CgroupHost::Hybrid,
            (true, false) => CgroupHost::V1,
            (false, true) => CgroupHost::Unified,
            (false, false) => CgroupHost::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use launcher::mountinfo::parse;

    const V1: &str = "30 24 0:26 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n";
    const V2: &str = "31 24 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

    #[test]
    fn the_mounts_tell_the_kind() {
        let of = |is_version_2, lines: &[&str]| {
            CgroupHost::of(is_version_2, &parse(lines.concat().as_bytes()))
        };
        assert_eq!(of(false, &[V1]), CgroupHost::V1);
        assert_eq!(of(false, &[V1, V2]), CgroupHost::Hybrid);
        assert_eq!(of(true, &[V1, V2]), CgroupHost::Unified);
        assert_eq!(of(true, &[V2]), CgroupHost::Unified);
        assert_eq!(of(false, &[]), CgroupHost::None);
    }
}
