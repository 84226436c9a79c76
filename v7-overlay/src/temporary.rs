//! An upper directory on disk that goes at the end: for kernels whose tmpfs cannot be one.
//!
//! In a user namespace overlayfs needs `user.*` attributes, and tmpfs has had those since Linux 6.6
//! only. Below an older kernel, the writes of an ordinary user's container go to the cache. There
//! somebody has to remove them: we do at the end, and the next start does it for those who were
//! killed. A lock tells the living from the dead.

use anyhow::{Context, Result};
use image::cache::{make_closed, remove_dead};
use launcher::locked_directory::LockedDirectory;
use launcher::remove_tree;
use nix::sys::utsname::uname;
use std::fs;
use std::path::Path;

/// The first version of Linux whose tmpfs has `user.*` attributes.
const FIRST: (u32, u32) = (6, 6);

/// Whether this kernel's tmpfs has `user.*` attributes.
pub(crate) fn tmpfs_has_user_attributes() -> bool {
    uname().is_ok_and(|name| {
        let release = name.release().to_string_lossy();
        version(&release).is_some_and(|version| version >= FIRST)
    })
}

/// The first two numbers of a version, such as `6.1.0-56-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// A directory that goes with this value.
#[derive(Debug)]
pub(crate) struct Temporary {
    locked: LockedDirectory,
}

impl Temporary {
    /// Makes a new directory below `parent`, locked as long as the value lives. What processes have
    /// left there that are dead is removed.
    pub(crate) fn create(parent: &Path) -> Result<Temporary> {
        make_closed(parent)?;
        remove_dead(parent, |_| true)?;
        Ok(Temporary { locked: LockedDirectory::make_in(parent)? })
    }

    pub(crate) fn path(&self) -> &Path {
        self.locked.path()
    }

    /// Removes all that is in it.
    pub(crate) fn empty(&self) -> Result<()> {
        let cannot = || format!("cannot empty {:?}", self.path());
        for entry in fs::read_dir(self.path()).with_context(cannot)? {
            remove_tree(&entry.with_context(cannot)?.path())?;
        }
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What stays is no harm: the next container removes it.
        let _ = remove_tree(self.path());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(version("6.1.0-56-cloud-amd64"), Some((6, 1)));
        assert_eq!(version("6.18.44"), Some((6, 18)));
        assert_eq!(version("6.6-rc1"), Some((6, 6)));
        assert_eq!(version("nonsense"), None);
        assert!(version("6.18.0") >= Some(FIRST) && version("5.15.0-91-generic") < Some(FIRST));
    }
}
