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
use super::times::Filling;
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
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

impl Unpacker<'_> {
    // ANCHOR: white_out
    /// Deletes `name` of lower layers in `parent`.
    pub(super) fn white_out(&mut self, parent: &Path, name: &OsStr) -> Result<()> {
        match name.as_encoded_bytes() {
            b"" | b"." | b".." => bail!("it deletes {name:?}, which is no name"),
            b".wh..opq" => {
                self.open_parent(parent)?;
                return self.make_opaque(parent);
            }
            _ => {}
        }
        let directory = match self.open_parent(parent) {
            // A file of this layer stands in place of the directory, and hides all of it.
            Err(error) if errno_in(&error) == Some(Errno::ENOTDIR) => return Ok(()),
            opened => opened?,
        };
        match stat(&directory, name)? {
            // In a directory that lower layers do not have, overlayfs would list the whiteout.
            None if !self.is_below(&directory, name)? => Ok(()),
            None => make_whiteout(&directory, name),
            Some(found) if is_directory(&found) => self.make_opaque(&parent.join(name)),
            Some(_) => Ok(()), // a file of this layer hides the one below it anyway
        }
    }
    // ANCHOR_END: white_out

    /// A device that is not made. It hides what stood under its name, and what lower layers have.
    pub(super) fn leave_out_device(&mut self, directory: &OwnedFd, name: &OsStr) -> Result<()> {
        self.left_out.devices += 1;
        match stat(directory, name)? {
            Some(found) if is_whiteout(&found) => return Ok(()),
            Some(_) => self.remove(directory, name)?,
            None => {}
        }
        let place = self.place_of(directory)?.join(name);
        match &self.lower {
            Some(lower) if lower.look_up(&place)?.is_some() => make_whiteout(directory, name),
            Some(_) => Ok(()),
            None => {
                self.needs.hides(&place);
                Ok(())
            }
        }
    }

    /// Whether lower layers have this, as far as one knows.
    fn is_below(&mut self, directory: &OwnedFd, name: &OsStr) -> Result<bool> {
        let place = self.place_of(directory)?;
        self.needs.deletes_in(&place);
        match &self.lower {
            Some(lower) => Ok(lower.look_up(&place.join(name))?.is_some()),
            None => Ok(true),
        }
    }

    /// Lets a directory show nothing of lower layers.
    pub(super) fn make_opaque(&mut self, path: &Path) -> Result<()> {
        let directory = self.open(path).context("cannot open it")?;
        self.has_opaque = true;
        self.rights
            .xattrs
            .set_opaque(&by_descriptor(&directory).join("."))
            .with_context(|| format!("cannot make {path:?} opaque"))
    }

    /// In an opaque directory a whiteout has nothing to hide, and overlayfs, which reads such a
    /// directory directly, would list it.
    pub(super) fn remove_whiteouts_in_opaque(&mut self) -> Result<()> {
        let root = self.open(Path::new(""))?;
        self.remove_whiteouts(&root, OsStr::new("."), false)
    }

    /// Goes through a directory; `in_opaque`: one above it is opaque.
    fn remove_whiteouts(&self, above: &OwnedFd, name: &OsStr, in_opaque: bool) -> Result<()> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let cannot = || format!("cannot read {name:?}");
        let directory = openat(above, name, flags, Mode::empty()).with_context(cannot)?;
        let place = by_descriptor(&directory);
        let is_opaque = in_opaque || self.rights.xattrs.is_opaque(&place.join("."))?;
        let mut has_whiteouts = false;
        for entry in fs::read_dir(&place).with_context(cannot)? {
            let entry = entry.with_context(cannot)?;
            let kind = entry.file_type().with_context(cannot)?;
            if kind.is_dir() {
                self.remove_whiteouts(&directory, &entry.file_name(), is_opaque)?;
            }
            has_whiteouts |= kind.is_char_device();
        }
        match is_opaque && has_whiteouts {
            true => remove_whiteouts_of(directory).with_context(cannot),
            false => Ok(()),
        }
    }
}

/// mknod(2) allows this one device to everybody.
fn make_whiteout(directory: &OwnedFd, name: &OsStr) -> Result<()> {
    mknodat(directory, name, SFlag::S_IFCHR, Mode::empty(), 0).context("cannot make a whiteout")
}

fn remove_whiteouts_of(directory: OwnedFd) -> Result<()> {
    let place = by_descriptor(&directory);
    let directory = Filling::begin(directory)?;
    for entry in fs::read_dir(place)? {
        let name = entry?.file_name();
        if stat(&directory, &name)?.is_some_and(|found| is_whiteout(&found)) {
            unlinkat(&directory, name.as_os_str(), UnlinkatFlags::NoRemoveDir)
                .context("cannot remove a whiteout")?;
        }
    }
    directory.end()
}
