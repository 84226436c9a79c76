//! A directory on disk that goes at the end.
//!
//! What is in memory goes by itself. What is on disk somebody has to remove: we do at the end, and
//! the next start does it for those who were killed. A lock tells the living from the dead.

use crate::cache::{make_closed, remove_dead};
use anyhow::{Context, Result};
use launcher::command_line::{note, one_line, tell_left_behind};
use launcher::locked_directory::LockedDirectory;
use launcher::remove_tree;
use std::fs;
use std::path::Path;

/// A directory that goes with this value.
#[derive(Debug)]
pub struct Temporary {
    locked: LockedDirectory,
}

impl Temporary {
    /// Makes a new directory below `parent`, locked as long as the value lives. What processes have
    /// left there that are dead is removed.
    ///
    /// # Errors
    /// Those of mkdtemp(3) and flock(2).
    pub fn create(parent: &Path) -> Result<Temporary> {
        make_closed(parent)?;
        sweep(parent);
        Ok(Temporary { locked: LockedDirectory::make_in(parent)? })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.locked.path()
    }

    /// Removes all that is in it.
    ///
    /// # Errors
    /// Those of [`remove_tree`].
    pub fn empty(&self) -> Result<()> {
        let cannot = || format!("cannot empty {:?}", self.path());
        for entry in fs::read_dir(self.path()).with_context(cannot)? {
            remove_tree(&entry.with_context(cannot)?.path())?;
        }
        Ok(())
    }
}

/// Removes what processes have left below `parent` that are dead. What cannot be removed, such as
/// files of a range of ids that this user has no more, is told, and keeps nobody from starting.
pub fn sweep(parent: &Path) {
    if parent.exists()
        && let Err(error) = remove_dead(parent, |_| true)
    {
        note(format_args!("a dead container has left something: {}", one_line(&error)));
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // The next container removes it: that is no harm, but is not passed over in silence.
        tell_left_behind(remove_tree(self.path()));
    }
}
