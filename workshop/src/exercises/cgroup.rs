//! The cgroup of a check. It is the machine's, as all are: so it takes root, and is removed.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use launcher::command_line::note;
use v6_cgroups::hierarchy::{Hierarchies, Version, Wanted};

use crate::host::PREFIX;

/// An empty cgroup whose members can be counted and limited: the controller pids. Its files are
/// called the same in cgroup v1 and v2.
pub(super) struct CheckCgroup(PathBuf);

impl CheckCgroup {
    pub(super) fn make() -> Result<CheckCgroup> {
        let host = Hierarchies::find()?;
        let wanted = [Wanted { name: "pids", is_required: true }];
        let found = host.with(&wanted)?;
        let (hierarchy, _) = found.first().context("this machine has no controller pids")?;
        let path = hierarchy.mount_point.join(format!("{PREFIX}{}", std::process::id()));
        if hierarchy.version == Version::V2 {
            // A controller is in a cgroup only if its parent passes it on (cgroups(7)).
            let switch = hierarchy.mount_point.join("cgroup.subtree_control");
            fs::write(&switch, "+pids").with_context(|| format!("cannot write {switch:?}"))?;
        }
        fs::create_dir(&path).with_context(|| format!("cannot make the cgroup {path:?}"))?;
        Ok(CheckCgroup(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for CheckCgroup {
    fn drop(&mut self) {
        // Whoever was in it has been killed with the host, and needs a moment to end.
        for _ in 0..200 {
            for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
                // Only directories can be removed, and they are the program's.
                let _ = fs::remove_dir(entry.path());
            }
            match fs::remove_dir(&self.0) {
                Err(error) if error.kind() == ErrorKind::ResourceBusy => {}
                Err(error) => return note(format_args!("left behind: {:?}: {error}", self.0)),
                Ok(()) => return,
            }
            sleep(Duration::from_millis(10));
        }
        note(format_args!("left behind: the cgroup {}: it is busy", self.0.display()));
    }
}
