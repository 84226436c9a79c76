//! A hard link: two names of a layer for one file.

use super::Unpacker;
use super::archive::Entry;
use super::node::stat;
use super::paths::relative;
use crate::lower::is_whiteout;
use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::unistd::linkat;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;

impl Unpacker {
    /// A second name for a file of the same layer. That file may be a symbolic link, which is then
    /// the one that gets the second name, and is not followed.
    pub(super) fn make_hard_link(
        &mut self,
        directory: &OwnedFd,
        name: &OsStr,
        entry: &Entry,
    ) -> Result<()> {
        let target = relative(entry.target()?)?;
        let cannot = || format!("cannot link it to {target:?} of the same layer");
        let (Some(parent), Some(target_name)) = (target.parent(), target.file_name()) else {
            return Err(Errno::EISDIR).with_context(cannot);
        };
        let from = self.open(parent).with_context(cannot)?;
        let of_target = match stat(&from, target_name)? {
            Some(found) if !is_whiteout(&found) => found,
            // A second name for a device that was left out.
            _ if self.left_out.devices > 0 => return self.leave_out_device(directory, name),
            _ => return Err(Errno::ENOENT).with_context(cannot),
        };
        if stat(directory, name)?.is_some_and(|found| found.st_ino == of_target.st_ino) {
            return Ok(()); // it is there already
        }
        self.make(directory, name, |directory| {
            linkat(&from, target_name, directory, name, AtFlags::empty())
        })
        .with_context(cannot)
    }
}
