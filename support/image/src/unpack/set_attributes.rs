//! How owner, mode, time and extended attributes of a file are set.

use super::Unpacker;
use super::attributes::Attributes;
use crate::rights::Owners;
use crate::system_calls::set_xattr;
use anyhow::{Context, Result};
use launcher::Advise;
use launcher::lookup::by_descriptor;
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{FchmodatFlags, Mode, UtimensatFlags, fchmodat, utimensat};
use nix::unistd::{Gid, Uid, fchownat};
use std::ffi::OsStr;
use std::os::fd::OwnedFd;

impl Unpacker<'_> {
    /// Sets them on what has been made under `name` and is no link.
    pub(super) fn set_attributes(
        &mut self,
        directory: &OwnedFd,
        name: &OsStr,
        attributes: &Attributes,
    ) -> Result<()> {
        // Owner first: chown(2) clears the set-id bits and the file's capabilities.
        let is_given = self.set_owner(directory, name, attributes)?;
        let set_id = if is_given { Mode::empty() } else { Mode::S_ISUID | Mode::S_ISGID };
        // It is what we have just made: no link that could be followed.
        fchmodat(directory, name, attributes.mode - set_id, FchmodatFlags::FollowSymlink)
            .context("cannot set its mode")?;
        self.set_xattrs_and_time(directory, name, attributes)
    }

    /// The same for a symbolic link, which has no mode.
    pub(super) fn set_attributes_of_link(
        &mut self,
        directory: &OwnedFd,
        name: &OsStr,
        attributes: &Attributes,
    ) -> Result<()> {
        self.set_owner(directory, name, attributes)?;
        self.set_xattrs_and_time(directory, name, attributes)
    }

    /// False if the file belongs to root now where it belonged to somebody who is not here. Then a
    /// program of it must not make root of those who are.
    fn set_owner(&mut self, at: &OwnedFd, name: &OsStr, attributes: &Attributes) -> Result<bool> {
        let (owner, group) = (attributes.owner, attributes.group);
        let give = |owner, group| {
            let (owner, group) = (Some(Uid::from_raw(owner)), Some(Gid::from_raw(group)));
            fchownat(at, name, owner, group, AtFlags::AT_SYMLINK_NOFOLLOW)
        };
        let given = match self.rights.owners {
            Owners::All | Owners::Mapped => give(owner, group),
            Owners::Root => {
                // It was made by root just now, and there is nobody else.
                self.left_out.owners += usize::from((owner, group) != (0, 0));
                return Ok(true);
            }
        };
        match given {
            // The user namespace does not know one of them, or both.
            Err(Errno::EINVAL) if self.rights.owners == Owners::Mapped => {
                self.left_out.owners += 1;
                let given = give(owner, 0).or_else(|_| give(0, group)).or_else(|_| give(0, 0));
                given.map(|()| false)
            }
            given => given.map(|()| true),
        }
        .context("cannot set its owner")
    }

    fn set_xattrs_and_time(
        &mut self,
        at: &OwnedFd,
        name: &OsStr,
        attributes: &Attributes,
    ) -> Result<()> {
        for (attribute, value) in &attributes.xattrs {
            match set_xattr(&by_descriptor(at).join(name), attribute, value) {
                Err(errno) if cannot_be_here(errno) => self.left_out.attributes += 1,
                set => set
                    .advise(|errno| match errno {
                        Errno::ENOSPC => "no room: df; or it is too long for this file system",
                        _ => "",
                    })
                    .with_context(|| format!("cannot set its attribute {attribute:?}"))?,
            }
        }
        let time = &attributes.time;
        utimensat(at, name, time, time, UtimensatFlags::NoFollowSymlink)
            .context("cannot set its time")
    }
}

/// Whether an attribute is one that this file cannot have, on this file system or by this caller:
/// `trusted.*` and `security.ima` are root's, `user.*` is for files and directories, an access list
/// may name users that are not mapped. The file is of use without it.
///
/// (ENOSPC is none of these: then there is no room for the next file either.)
fn cannot_be_here(errno: Errno) -> bool {
    matches!(errno, Errno::EOPNOTSUPP | Errno::EPERM | Errno::EINVAL | Errno::E2BIG | Errno::ERANGE)
}
