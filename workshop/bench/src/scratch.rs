//! Where the measuring leaves its traces.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use launcher::command_line::note;

use super::programs::{Programs, stage};

/// Where the measuring leaves its traces, all of which are removed at its end.
pub struct Scratch {
    directory: ScratchDirectory,
    /// A name that no cgroup of another has.
    pub cgroup: String,
}

impl Scratch {
    /// Makes the directory, on disk: /tmp may be in memory. The name carries our PID, so that two
    /// benchmarks do not meet.
    pub(super) fn make_first() -> Result<Scratch> {
        let name = format!("container-steps-bench-{}", std::process::id());
        let parent = env::var_os("TMPDIR").map_or_else(|| "/var/tmp".into(), PathBuf::from);
        Ok(Scratch { directory: ScratchDirectory::new(parent.join(&name))?, cgroup: name })
    }

    /// Makes a directory for one measurement; dropped, it is removed.
    ///
    /// # Errors
    /// Those of mkdir(2).
    pub fn make(&self, purpose: &str) -> Result<ScratchDirectory> {
        ScratchDirectory::new(self.directory.path().join(purpose))
    }

    /// v7, with a cache of its own for layers. (Root's cache is in /var/cache, whatever the
    /// environment says: there the directory is covered by ours.)
    pub fn overlay(&self, programs: &Programs) -> Command {
        let mut overlay = stage(&programs.overlay);
        overlay.env("XDG_CACHE_HOME", self.directory.path());
        overlay
    }

    pub(super) fn layers(&self) -> PathBuf {
        self.directory.path().join("container-steps/layers")
    }

    /// Forgets the layers that v7 has unpacked.
    ///
    /// # Errors
    /// Those of removing them.
    pub fn empty_layers(&self) -> Result<()> {
        for layer in fs::read_dir(self.layers())? {
            fs::remove_dir_all(layer?.path())?;
        }
        Ok(())
    }
}

/// A directory that is gone when the value is.
pub struct ScratchDirectory(PathBuf);

impl ScratchDirectory {
    fn new(path: PathBuf) -> Result<Self> {
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(ScratchDirectory(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ScratchDirectory {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            note(format_args!("{} stays behind: {error}", self.0.display()));
        }
    }
}
