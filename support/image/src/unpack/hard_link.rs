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

impl Unpacker<'_> {
    /// A second name for a file. That file may be a symbolic link, which is then the one that gets
    /// the second name, and is not followed.
    ///
    /// If it is in a lower layer, it is made once more in this one: overlayfs does the same with a
    /// file that gets another name.
    pub(super) fn make_hard_link(
        &mut self,
        directory: &OwnedFd,
        name: &OsStr,
        entry: &Entry,
    ) -> Result<()> {
        let target = relative(entry.target()?)?;
        let cannot = || format!("cannot link it to {target:?}");
        let (Some(parent), Some(target_name)) = (target.parent(), target.file_name()) else {
            return Err(Errno::EISDIR).with_context(cannot);
        };
        let from = match self.open(parent) {
            Err(Errno::ENOENT | Errno::ENOTDIR) if self.lower.is_none() => {
                self.needs.links_to(&target);
                return Ok(()); // unpacked over the lower layers, it is made
            }
            Err(Errno::ENOENT | Errno::ENOTDIR) => self.make_parents(parent)?,
            opened => opened.with_context(cannot)?,
        };
        let of_target = match stat(&from, target_name)? {
            Some(found) if !is_whiteout(&found) => found,
            None if self.lower.is_none() => {
                self.needs.links_to(&target);
                return Ok(());
            }
            found => {
                let below =
                    if found.is_none() { self.find_below(&from, target_name)? } else { None };
                let Some((lower, found)) = below else {
                    if self.left_out.devices > 0 {
                        return self.leave_out_device(directory, name); // of one that was left out
                    }
                    return Err(Errno::ENOENT).with_context(cannot);
                };
                self.repeat_file(&lower, &found, &from, target_name).with_context(cannot)?;
                stat(&from, target_name)?.ok_or(Errno::ENOENT).with_context(cannot)?
            }
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
