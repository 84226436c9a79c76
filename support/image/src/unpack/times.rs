//! When directories were changed: set when all of a layer is there, since filling a directory
//! changes its time.

use super::limits::Allowance;
use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// The times of the directories of a layer.
#[derive(Debug, Default)]
pub(super) struct Times(BTreeMap<PathBuf, TimeSpec>);

impl Times {
    /// Remembers a time. Of several for one directory the last one counts.
    pub(super) fn remember(
        &mut self,
        path: &Path,
        time: TimeSpec,
        allowance: &Allowance,
    ) -> Result<()> {
        if let Some(known) = self.0.get_mut(path) {
            *known = time;
            return Ok(());
        }
        allowance.remember(path)?;
        self.0.insert(path.to_owned(), time);
        Ok(())
    }

    /// Sets them all.
    pub(super) fn set(self, open: impl Fn(&Path) -> nix::Result<OwnedFd>) -> Result<()> {
        for (path, time) in self.0 {
            let directory = match open(&path) {
                // A later entry has put something else in its place.
                Err(Errno::ENOENT | Errno::ENOTDIR) => continue,
                result => result.with_context(|| format!("cannot open {path:?}"))?,
            };
            utimensat(&directory, ".", &time, &time, UtimensatFlags::NoFollowSymlink)
                .with_context(|| format!("cannot set the time of {path:?}"))?;
        }
        Ok(())
    }
}
