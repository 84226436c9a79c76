//! What a container added, changed and deleted, read from its upper directory: `--changes`.

use anyhow::{Context, Result};
use image::lower::{Lower, is_whiteout};
use image::xattrs::Xattrs;
use launcher::command_line::{errno_in, note};
use launcher::lookup::{self, by_descriptor, is_directory};
use launcher::printable;
use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::FileStat;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// As many bytes of paths as are listed: a container can make more files than fit into memory.
const MAX_PATHS: usize = 64 << 20;

/// What a path costs beside its bytes: room for it in lists of ours.
const OVERHEAD: usize = 32;

/// Prints one line for each change, as docker diff does.
pub(crate) fn print(upper: impl AsFd, lower: &[PathBuf], xattrs: Xattrs) -> Result<()> {
    let root = by_descriptor(upper).join(".");
    let lower = Lower::new(lower, xattrs);
    let mut walk = Walk { root, lower, found: Vec::new(), room: MAX_PATHS, is_cut: false };
    walk.collect(Path::new(""))?;
    if walk.is_cut {
        note(format_args!(
            "the list of changes is not complete: a path of a file is longer than the kernel takes \
             one, or there are too many files"
        ));
    }
    let mut text = String::new();
    for (kind, path) in walk.found {
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

/// The way through the upper directory.
struct Walk<'a> {
    root: PathBuf,
    lower: Lower<'a>,
    found: Vec<(char, PathBuf)>,
    /// How many bytes of paths may still come.
    room: usize,
    /// Something was left out.
    is_cut: bool,
}

impl Walk<'_> {
    // ANCHOR: collect
    /// Every file in the upper directory is a change: added, if the lower layers have none of that
    /// name, or changed, or a whiteout. Nobody writes to it any more.
    fn collect(&mut self, directory: &Path) -> Result<()> {
        for name in self.names_in(directory)? {
            match self.compare(directory.join(name)) {
                Err(error) if is_too_long(&error) => self.is_cut = true,
                compared => compared?,
            }
        }
        Ok(())
    }

    fn compare(&mut self, path: PathBuf) -> Result<()> {
        let Some(room) = self.room.checked_sub(path.as_os_str().len() + OVERHEAD) else {
            self.is_cut = true;
            return Ok(());
        };
        let upper =
            lookup::stat(AT_FDCWD, &self.root.join(&path)).with_context(|| cannot_read(&path))?;
        let before = self.lower.look_up(&path)?;
        match upper {
            Some(upper) if !is_whiteout(&upper) => {
                let so_far = self.found.len();
                self.room = room;
                self.found.push((if before.is_some() { 'C' } else { 'A' }, path.clone()));
                if is_directory(&upper) {
                    self.collect(&path)?;
                }
                if self.found.len() == so_far + 1 && is_a_place_to_mount(&path, &upper, before) {
                    self.found.truncate(so_far);
                }
            }
            _ if before.is_some() => {
                self.room = room;
                self.found.push(('D', path));
            }
            _ => {} // made and deleted again
        }
        Ok(())
    }
    // ANCHOR_END: collect

    // ANCHOR: names_in
    /// The names in a directory of the upper one, and of those that it hides, in their order.
    fn names_in(&mut self, directory: &Path) -> Result<Vec<OsString>> {
        let place = self.root.join(directory);
        let cannot = || cannot_read(directory);
        let most = self.room / OVERHEAD + 1;
        let entries = fs::read_dir(&place).with_context(cannot)?.take(most);
        let mut names = entries
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<io::Result<Vec<_>>>()
            .with_context(cannot)?;
        if self.lower.is_opaque(&place)? {
            // It replaces a directory that was deleted, with everything in it.
            names.extend(self.lower.names(directory)?);
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }
    // ANCHOR_END: names_in
}

fn cannot_read(path: &Path) -> String {
    format!("cannot read the upper directory's {:?}", Path::new("/").join(path))
}

/// Whether a path was longer than the kernel takes one (PATH_MAX): by small steps a container gets
/// further.
fn is_too_long(error: &anyhow::Error) -> bool {
    errno_in(error) == Some(Errno::ENAMETOOLONG)
}

// ANCHOR: is_a_place_to_mount
/// What the earlier steps mount on, and make if it is missing.
const MOUNT_POINTS: [&str; 6] =
    ["dev", "proc", "sys", "etc/hostname", "etc/hosts", "etc/resolv.conf"];

/// Whether an entry is there only because something had to be mounted on it, or below it: that is
/// the launcher's doing, not the container's. (Docker makes these in a layer of their own.)
fn is_a_place_to_mount(path: &Path, upper: &FileStat, before: Option<FileStat>) -> bool {
    let has_mount_points = path == Path::new("etc");
    match before {
        None => {
            let is_empty = is_directory(upper) || upper.st_size == 0;
            is_empty && (has_mount_points || MOUNT_POINTS.iter().any(|it| path == Path::new(it)))
        }
        Some(before) => {
            let looks = |it: &FileStat| (it.st_mode, it.st_uid, it.st_gid);
            has_mount_points && looks(upper) == looks(&before)
        }
    }
}
// ANCHOR_END: is_a_place_to_mount
