//! Where a host touches the machine: one empty directory.

use std::env;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use launcher::command_line::note;

/// How the names begin of what is made on the machine for a host: this directory, in the temporary
/// one, and a cgroup if there is one. The number of the process that makes them follows.
pub(crate) const PREFIX: &str = "workshop-check-";

/// An empty directory of the machine, on which the host mounts its files.
pub struct MountPoint(PathBuf);

impl MountPoint {
    /// Makes it, for this process's next host.
    ///
    /// # Errors
    /// Those of mkdir(2).
    pub fn make() -> Result<MountPoint> {
        let path = env::temp_dir().join(format!("{PREFIX}{}", std::process::id()));
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot make {path:?}"))?;
        Ok(MountPoint(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for MountPoint {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.0) {
            note(format_args!("left behind: {}: {error}", self.0.display()));
        }
    }
}
