//! Owner, mode, time and extended attributes of a file: what the archive says, and how it is set.

use super::Unpacker;
use super::archive::{Entry, number};
use super::pax::Records;
use crate::rights::Owners;
use crate::system_calls::set_xattr;
use anyhow::{Context, Result};
use launcher::Advise;
use launcher::lookup::by_descriptor;
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::libc::mode_t;
use nix::sys::stat::{FchmodatFlags, Mode, UtimensatFlags, fchmodat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchownat};
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

/// Attributes that say something about the machine where the layer was made, or that would change
/// what overlayfs does with it.
const NOT_TAKEN: [&str; 4] =
    ["trusted.overlay.", "user.overlay.", "security.selinux", "system.nfs4_acl"];

/// Owner, mode, time and extended attributes of an entry.
#[derive(Debug)]
pub(super) struct Attributes {
    pub(super) owner: u32,
    pub(super) group: u32,
    pub(super) mode: Mode,
    pub(super) time: TimeSpec,
    pub(super) xattrs: Vec<(OsString, Vec<u8>)>,
}

impl Attributes {
    pub(super) fn of(entry: &Entry) -> Result<Attributes> {
        let header = entry.header().as_old();
        let mode = number(&header.mode).context("its mode is no number")?;
        Ok(Attributes {
            owner: id(entry.number("uid", &header.uid)?, "owner")?,
            group: id(entry.number("gid", &header.gid)?, "group")?,
            mode: Mode::from_bits_truncate((mode & 0o7777) as mode_t), // no more than 12 bits
            time: time(entry)?,
            xattrs: xattrs(entry.records()),
        })
    }
}

impl Unpacker {
    /// Sets them on what has been made under `name` and is no link.
    pub(super) fn set_attributes(
        &mut self,
        directory: &OwnedFd,
        name: &OsStr,
        attributes: &Attributes,
    ) -> Result<()> {
        // Owner first: chown(2) clears the set-id bits and the file's capabilities.
        self.set_owner(directory, name, attributes)?;
        // It is what we have just made: no link that could be followed.
        fchmodat(directory, name, attributes.mode, FchmodatFlags::FollowSymlink)
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

    fn set_owner(&mut self, at: &OwnedFd, name: &OsStr, attributes: &Attributes) -> Result<()> {
        let (owner, group) = (attributes.owner, attributes.group);
        let give = |owner, group| {
            let (owner, group) = (Some(Uid::from_raw(owner)), Some(Gid::from_raw(group)));
            fchownat(at, name, owner, group, AtFlags::AT_SYMLINK_NOFOLLOW)
        };
        let given = match self.rights.owners {
            Owners::All => give(owner, group),
            Owners::Root => {
                // It was made by root just now, and there is nobody else.
                self.left_out.owners += usize::from((owner, group) != (0, 0));
                return Ok(());
            }
            Owners::Mapped(_) => match give(owner, group) {
                // The user namespace does not know one of them, or both.
                Err(Errno::EINVAL) => {
                    self.left_out.owners += 1;
                    give(owner, 0).or_else(|_| give(0, group)).or_else(|_| give(0, 0))
                }
                given => given,
            },
        };
        given.context("cannot set its owner")
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

/// The number of a user or group. The highest one means none (chown(2)).
fn id(number: i64, what: &str) -> Result<u32> {
    let id = u32::try_from(number).ok().filter(|id| *id != u32::MAX);
    id.with_context(|| format!("its {what} is {number}, which is no number of a user or group"))
}

/// When the file was changed. Only a PAX header has a fraction.
fn time(entry: &Entry) -> Result<TimeSpec> {
    let time = match entry.records().text("mtime") {
        Some(text) => parse_time(text),
        None => number(&entry.header().as_old().mtime).map(|seconds| TimeSpec::new(seconds, 0)),
    };
    time.context("its time is no number")
}

/// The attributes that are taken. Of several of one name the last one is set last.
fn xattrs(records: &Records) -> Vec<(OsString, Vec<u8>)> {
    let is_taken =
        |name: &&[u8]| !NOT_TAKEN.iter().any(|prefix| name.starts_with(prefix.as_bytes()));
    let xattr = |(key, value): (&[u8], &[u8])| {
        let name = key.strip_prefix(b"SCHILY.xattr.").filter(is_taken)?;
        Some((OsStr::from_bytes(name).to_owned(), value.to_vec()))
    };
    records.iter().filter_map(xattr).collect()
}

/// Reads seconds with a fraction, such as `-1.5`: that is half a second after -2.
fn parse_time(text: &[u8]) -> Option<TimeSpec> {
    let text = str::from_utf8(text).ok()?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = format!("{fraction:0<9}");
    let nanoseconds: i64 = digits.get(..9)?.parse().ok()?;
    let whole: i64 = seconds.parse().ok()?;
    Some(match seconds.starts_with('-') && nanoseconds > 0 {
        true => TimeSpec::new(whole.checked_sub(1)?, 1_000_000_000 - nanoseconds),
        false => TimeSpec::new(whole, nanoseconds),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times_with_a_fraction() {
        let parse = |text: &str| parse_time(text.as_bytes());
        assert_eq!(parse("12"), Some(TimeSpec::new(12, 0)));
        assert_eq!(parse("12.5"), Some(TimeSpec::new(12, 500_000_000)));
        assert_eq!(parse("12.0000000019"), Some(TimeSpec::new(12, 1)));
        assert_eq!(parse("-1.5"), Some(TimeSpec::new(-2, 500_000_000)));
        assert_eq!(parse("-0.25"), Some(TimeSpec::new(-1, 750_000_000)));
        assert_eq!(parse(""), None);
        assert_eq!(parse("1.x"), None);
        assert_eq!(parse("1.-5"), None);
    }
}
