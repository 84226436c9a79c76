//! A directory in the cache that is made once, by one process, and is there complete or not at all.

use anyhow::{Context, Result};
use launcher::locked_directory::{LockedDirectory, without_owner};
use launcher::{Advise, remove_tree};
use nix::sys::stat::Mode;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

/// How an unfinished directory is called, behind its name.
const UNFINISHED: &str = "unfinished";

pub(super) fn is_unfinished(path: &Path) -> bool {
    path.extension() == Some(OsStr::new(UNFINISHED))
}

/// Makes the directory `name` with what `make` puts into it; or waits for another process that
/// does so, and returns `None`. One that is there and not complete is removed before.
pub(super) fn make_once<T>(
    cache: &Path,
    name: &str,
    is_complete: fn(&Path) -> Result<bool>,
    make: impl FnOnce(&Path) -> Result<T>,
) -> Result<Option<T>> {
    let finished = cache.join(name);
    let unfinished = cache.join(format!("{name}.{UNFINISHED}"));
    let Some(lock) = lock_new(&unfinished, || is_complete(&finished))? else { return Ok(None) };
    let made = make(&unfinished).and_then(|made| {
        remove_tree(&finished)?; // what somebody has left of it
        fs::rename(&unfinished, &finished)
            .with_context(|| format!("cannot rename {unfinished:?}"))?;
        Ok(made)
    });
    if made.is_err() {
        remove_tree(&unfinished)?;
    }
    drop(lock);
    made.map(Some)
}

/// Makes and locks a directory, empty; `None` if another process has finished it.
fn lock_new(
    unfinished: &Path,
    is_finished: impl Fn() -> Result<bool>,
) -> Result<Option<LockedDirectory>> {
    let cannot = || format!("cannot make {unfinished:?}");
    loop {
        let lock = LockedDirectory::make(unfinished, Mode::S_IRWXU)?;
        // While we waited its owner may have finished it, or failed.
        if is_finished()? {
            remove_tree(unfinished)?;
            return Ok(None);
        }
        if fs::read_dir(unfinished).with_context(cannot)?.next().is_none() {
            return Ok(Some(lock));
        }
        remove_tree(unfinished)?; // a dead process's: begin anew
    }
}

/// Makes the directory of the layers. Nobody else may enter the cache: a layer has set-user-ID
/// programs in it, of whatever age.
pub fn make_closed(cache: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(cache);
    made.and_then(|()| fs::set_permissions(cache, Permissions::from_mode(0o700)))
        .advise(
            |_| "another place for an ordinary user: XDG_CACHE_HOME, and XDG_DATA_HOME for images",
        )
        .with_context(|| format!("cannot make {cache:?}"))
}

/// Removes what processes that were killed have left: directories `of_interest` without an owner.
///
/// # Errors
/// If the directory cannot be read, or what is dead cannot be removed.
pub fn remove_dead(parent: &Path, of_interest: impl Fn(&Path) -> bool) -> Result<()> {
    let opened = File::open(parent).with_context(|| format!("cannot read {parent:?}"))?;
    // What cannot be opened is not ours, and stops nobody.
    for dead in without_owner(&opened, of_interest)?.flatten() {
        remove_tree(&parent.join(dead.path()))?;
    }
    Ok(())
}
