//! What a layer deletes from those below it: from an archive's names to the marks of overlayfs.
//!
//! | | in the archive | in a layer of overlayfs |
//! |---|---|---|
//! | one file | an empty file `.wh.NAME` | a character device 0:0 called NAME |
//! | all of a directory | `.wh..wh..opq` in it | an attribute `overlay.opaque` of it |
//!
//! Both speak of lower layers only: what the same layer has of that name is shown, in whatever
//! order the entries come. (image-spec, layer.md.)

use super::Unpacker;
use super::node::stat;
use crate::lower::is_whiteout;
use anyhow::{Context, Result, bail};
use launcher::command_line::errno_in;
use launcher::lookup::{by_descriptor, is_directory};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, SFlag, mknodat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::ffi::OsStr;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;

impl Unpacker {
    // ANCHOR: white_out
    /// Deletes `name` of lower layers in `parent`.
    pub(super) fn white_out(&mut self, parent: &Path, name: &OsStr) -> Result<()> {
        match name.as_encoded_bytes() {
            b"" | b"." | b".." => bail!("it deletes {name:?}, which is no name"),
            b".wh..opq" => {
                self.open_parent(parent)?;
                return self.make_opaque(parent);
            }
            // Notes that the oldest union file system kept for itself (aufs).
            name if name.starts_with(b".wh.") => return Ok(()),
            _ => {}
        }
        let path = parent.join(name);
        let directory = match self.open_parent(parent) {
            // A file of this layer stands in place of the directory, and hides all of it.
            Err(error) if errno_in(&error) == Some(Errno::ENOTDIR) => return Ok(()),
            opened => opened?,
        };
        if !self.hidden.contains(&path) {
            self.allowance.remember(&path)?;
            self.hidden.insert(path.clone());
        }
        match stat(&directory, name)? {
            None => make_whiteout(&directory, name),
            Some(found) if is_directory(&found) => self.make_opaque(&path),
            Some(_) => Ok(()), // a file of this layer hides the one below it anyway
        }
    }
    // ANCHOR_END: white_out

    /// Lets a directory show nothing of lower layers.
    pub(super) fn make_opaque(&mut self, path: &Path) -> Result<()> {
        let directory = self.open(path).context("cannot open it")?;
        if !self.opaque.contains(path) {
            self.allowance.remember(path)?;
            self.opaque.insert(path.to_owned());
        }
        self.rights
            .xattrs
            .set_opaque(&by_descriptor(&directory).join("."))
            .with_context(|| format!("cannot make {path:?} opaque"))
    }

    /// In an opaque directory a whiteout has nothing to hide, and overlayfs, which reads such a
    /// directory directly, would list it.
    pub(super) fn remove_whiteouts_in_opaque(&mut self) -> Result<()> {
        for path in std::mem::take(&mut self.opaque) {
            if let Ok(directory) = self.open(&path) {
                let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
                let directory = openat(&directory, ".", flags, Mode::empty())
                    .with_context(|| format!("cannot open {path:?}"))?;
                remove_whiteouts(&directory)?;
            }
        }
        Ok(())
    }
}

/// mknod(2) allows this one device to everybody.
fn make_whiteout(directory: &OwnedFd, name: &OsStr) -> Result<()> {
    mknodat(directory, name, SFlag::S_IFCHR, Mode::empty(), 0).context("cannot make a whiteout")
}

fn remove_whiteouts(directory: &OwnedFd) -> Result<()> {
    for entry in fs::read_dir(by_descriptor(directory)).context("cannot read a directory")? {
        let name = entry.context("cannot read a directory")?.file_name();
        let Some(found) = stat(directory, &name)? else { continue };
        if is_whiteout(&found) {
            unlinkat(directory, name.as_os_str(), UnlinkatFlags::NoRemoveDir)
                .context("cannot remove a whiteout")?;
        } else if is_directory(&found) {
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            match openat(directory, name.as_os_str(), flags, Mode::empty()) {
                Err(Errno::ENOENT) => {}
                opened => {
                    remove_whiteouts(&opened.with_context(|| format!("cannot open {name:?}"))?)?
                }
            }
        }
    }
    Ok(())
}
