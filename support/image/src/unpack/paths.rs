//! The paths in an archive.

use anyhow::{Context, Result, bail, ensure};
use launcher::lookup::by_descriptor;
use std::ffi::OsStr;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// The mark of a directory that shows nothing of lower layers.
const OPAQUE: &str = ".wh..wh..opq";

/// Deeper than this is no directory, from the machine's root on.
const MAX_DEPTH: usize = 256;

/// The path of an entry below the root of its layer. A leading `/` means that root.
pub(super) fn relative(path: &Path) -> Result<PathBuf> {
    let mut relative = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => relative.push(name),
            Component::ParentDir => bail!("{path:?} goes through .."),
            _ => {}
        }
    }
    ensure!(relative.iter().count() <= MAX_DEPTH, "it is deeper than {MAX_DEPTH} directories");
    Ok(relative)
}

/// Refuses a path through `.wh.NAME`, which stands for a file that is gone.
pub(super) fn check_whiteouts(path: &Path) -> Result<()> {
    let is_whiteout = |name: &OsStr| name.as_bytes().starts_with(b".wh.");
    let in_whiteout = path.parent().is_some_and(|parent| parent.iter().any(is_whiteout));
    ensure!(!in_whiteout, "{path:?} goes through a deleted file");
    Ok(())
}

/// Whether a path leads through `.wh..wh.plnk` or `.wh..wh.aufs`, where aufs, the oldest of the
/// union file systems, kept notes for itself. (`.wh..wh.opq` is for everybody.)
pub(super) fn is_of_aufs(path: &Path) -> bool {
    let is_note = |name: &OsStr| name.as_bytes().starts_with(b".wh..wh.");
    path.iter().any(|name| is_note(name) && name != OPAQUE)
}

/// Links can make a tree as deep as they like, and whoever removes it needs a descriptor for each
/// level.
pub(super) fn check_depth(directory: &OwnedFd) -> Result<()> {
    let place = fs::read_link(by_descriptor(directory)).context("its directory is too deep")?;
    ensure!(place.components().count() <= MAX_DEPTH, "it is deeper than {MAX_DEPTH} directories");
    Ok(())
}
