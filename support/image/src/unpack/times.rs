//! When directories were changed: what an archive says holds, although filling a directory changes
//! its time.

use anyhow::{Context, Result};
use nix::sys::stat::{UtimensatFlags, fstat, utimensat};
use nix::sys::time::TimeSpec;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A directory in which files are made or removed, and the time that it gets back then.
#[derive(Debug)]
pub(super) struct Filling {
    directory: OwnedFd,
    time: TimeSpec,
}

impl Filling {
    /// Looks at the time of a directory.
    pub(super) fn begin(directory: OwnedFd) -> Result<Filling> {
        let found = fstat(&directory).context("cannot look at its directory")?;
        Ok(Filling { directory, time: TimeSpec::new(found.st_mtime, found.st_mtime_nsec) })
    }

    /// Sets it again.
    pub(super) fn end(self) -> Result<()> {
        let time = &self.time;
        utimensat(&self.directory, ".", time, time, UtimensatFlags::NoFollowSymlink)
            .context("cannot set the time of its directory")
    }
}

impl AsFd for Filling {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}
