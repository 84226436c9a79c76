//! What a container added, changed and deleted, read from its upper directory: `--changes`.

use crate::lookup::{Lower, is_whiteout};
use crate::xattrs::Xattrs;
use anyhow::{Context, Result};
use std::fs::{self, Metadata};
use std::io::{self, Write as _};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use v1_chroot::printable;

/// Prints one line for each change, as docker diff does.
pub(crate) fn print(upper: impl AsFd, lower: &[PathBuf], xattrs: Xattrs) -> Result<()> {
    let root = PathBuf::from(format!("/proc/self/fd/{}/.", upper.as_fd().as_raw_fd()));
    let mut found = Vec::new();
    collect(&root, Path::new(""), &Lower::new(lower, xattrs), &mut found)?;
    let mut text = String::new();
    for (kind, path) in found {
        let path = printable(path.as_os_str().as_bytes());
        text.push_str(&format!("{kind} /{path}\n"));
    }
    match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        // Whoever reads (head, say) has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot print the changes")
        }
        _ => Ok(()),
    }
}

// ANCHOR: collect
/// Every file in the upper directory is a change: added, if the lower layers have none of that
/// name, or changed, or a whiteout. Nobody writes to it any more.
fn collect(
    root: &Path,
    directory: &Path,
    lower: &Lower,
    found: &mut Vec<(char, PathBuf)>,
) -> Result<()> {
    let place = root.join(directory);
    let cannot = || format!("cannot read the upper directory's /{}", directory.display());
    let entries = fs::read_dir(&place).with_context(cannot)?;
    let mut names = entries
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<io::Result<Vec<_>>>()
        .with_context(cannot)?;
    if lower.is_opaque(&place)? {
        // It replaces a directory that was deleted, with everything in it.
        names.extend(lower.names(directory)?);
    }
    names.sort_unstable();
    names.dedup();
    for name in names {
        let path = directory.join(name);
        let upper = match fs::symlink_metadata(root.join(&path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            result => Some(result.with_context(cannot)?),
        };
        let before = lower.look_up(&path)?;
        match upper {
            Some(upper) if !is_whiteout(&upper) => {
                let so_far = found.len();
                found.push((if before.is_some() { 'C' } else { 'A' }, path.clone()));
                if upper.is_dir() {
                    collect(root, &path, lower, found)?;
                }
                if found.len() == so_far + 1 && is_a_place_to_mount(&path, &upper, before) {
                    found.truncate(so_far);
                }
            }
            _ if before.is_some() => found.push(('D', path)),
            _ => {} // made and deleted again
        }
    }
    Ok(())
}
// ANCHOR_END: collect

/// What the earlier steps mount on, and make if it is missing.
const MOUNT_POINTS: [&str; 6] =
    ["dev", "proc", "sys", "etc/hostname", "etc/hosts", "etc/resolv.conf"];

/// Whether an entry is there only because something had to be mounted on it, or below it: that is
/// the launcher's doing, not the container's. (Docker makes these in a layer of their own.)
fn is_a_place_to_mount(path: &Path, upper: &Metadata, before: Option<Metadata>) -> bool {
    let has_mount_points = path == Path::new("etc");
    match before {
        None => {
            let is_empty = upper.is_dir() || upper.len() == 0;
            is_empty && (has_mount_points || MOUNT_POINTS.iter().any(|it| path == Path::new(it)))
        }
        Some(before) => {
            let looks = |it: &Metadata| (it.mode(), it.uid(), it.gid());
            has_mount_points && looks(upper) == looks(&before)
        }
    }
}
