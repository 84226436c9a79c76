//! What a layer needs of those below it, repeated in the layer.

use super::Unpacker;
use crate::attributes::copy_attributes;
use anyhow::{Context, Result};
use launcher::lookup::by_descriptor;
use nix::errno::Errno;
use nix::sys::stat::{FileStat, Mode, SFlag, mknodat};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::Path;

impl Unpacker<'_> {
    /// Gives a directory or a link the attributes that it has in a lower layer.
    pub(super) fn repeat_attributes(
        &mut self,
        lower: &Path,
        directory: &OwnedFd,
        name: &OsStr,
    ) -> Result<()> {
        copy_attributes(lower, &by_descriptor(directory).join(name), &self.rights)
    }

    /// Makes a file that a lower layer has, for another name of it.
    pub(super) fn repeat_file(
        &mut self,
        lower: &Path,
        found: &FileStat,
        directory: &OwnedFd,
        name: &OsStr,
    ) -> Result<()> {
        let place = by_descriptor(directory).join(name);
        match SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT {
            SFlag::S_IFLNK => {
                let target = fs::read_link(lower).context("cannot read a link of below")?;
                symlink(target, &place).context("cannot make a link of below again")?;
            }
            SFlag::S_IFREG => {
                self.allowance.take(found.st_size.cast_unsigned())?;
                let mut from = File::open(lower).context("cannot open a file of below")?;
                let mut to =
                    File::create_new(&place).context("cannot make a file of below again")?;
                io::copy(&mut from, &mut to).context("cannot copy a file of below")?;
            }
            SFlag::S_IFDIR => return Err(Errno::EISDIR).context("below, it is a directory"),
            node => mknodat(directory, name, node, Mode::S_IRUSR, found.st_rdev)
                .context("cannot make a node of below again")?,
        }
        self.repeat_attributes(lower, directory, name)
    }
}
