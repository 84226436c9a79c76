//! Owner, mode, time and extended attributes of a file: what the archive says, and how it is set.

use super::Unpacker;
use crate::rights::Owners;
use crate::system_calls::set_xattr;
use anyhow::{Context, Result, anyhow, ensure};
use launcher::lookup::by_descriptor;
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{FchmodatFlags, Mode, UtimensatFlags, fchmodat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchownat};
use std::ffi::{OsStr, OsString};
use std::io::Read;
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
    pub(super) fn of<R: Read>(entry: &mut tar::Entry<R>) -> Result<Attributes> {
        let mut attributes = Attributes::of_header(entry.header())?;
        let Some(extensions) = entry.pax_extensions().context("its PAX header is damaged")? else {
            return Ok(attributes);
        };
        for extension in extensions {
            let extension = extension.context("its PAX header is damaged")?;
            let (key, value) = (extension.key_bytes(), extension.value_bytes());
            if key == b"mtime" {
                attributes.time = parse_time(value).context("its time is no number")?;
            } else if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                let is_taken = !NOT_TAKEN.iter().any(|prefix| name.starts_with(prefix.as_bytes()));
                if is_taken {
                    attributes.xattrs.push((OsStr::from_bytes(name).to_owned(), value.to_vec()));
                }
            }
            ensure!(!key.starts_with(b"GNU.sparse."), "it is sparse in PAX format, not GNU's");
        }
        Ok(attributes)
    }

    fn of_header(header: &tar::Header) -> Result<Attributes> {
        let id = |id: std::io::Result<u64>, what| {
            let id = id.with_context(|| format!("its {what} is no number"))?;
            u32::try_from(id).map_err(|_| anyhow!("its {what} is {id}, which is too large"))
        };
        let mode = header.mode().context("its mode is no number")?;
        let seconds = header.mtime().context("its time is no number")?;
        Ok(Attributes {
            owner: id(header.uid(), "owner")?,
            group: id(header.gid(), "group")?,
            mode: Mode::from_bits_truncate(mode & 0o7777),
            time: TimeSpec::new(seconds.cast_signed(), 0),
            xattrs: Vec::new(),
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
        set_xattrs_and_time(directory, name, attributes)
    }

    /// The same for a symbolic link, which has no mode.
    pub(super) fn set_attributes_of_link(
        &mut self,
        directory: &OwnedFd,
        name: &OsStr,
        attributes: &Attributes,
    ) -> Result<()> {
        self.set_owner(directory, name, attributes)?;
        set_xattrs_and_time(directory, name, attributes)
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
}

fn set_xattrs_and_time(at: &OwnedFd, name: &OsStr, attributes: &Attributes) -> Result<()> {
    for (attribute, value) in &attributes.xattrs {
        set_xattr(&by_descriptor(at).join(name), attribute, value)
            .with_context(|| format!("cannot set its attribute {attribute:?}"))?;
    }
    let time = &attributes.time;
    utimensat(at, name, time, time, UtimensatFlags::NoFollowSymlink).context("cannot set its time")
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
