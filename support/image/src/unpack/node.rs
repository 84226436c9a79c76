//! What stands under a name in a directory.

use super::header::number;
use anyhow::{Context, Result, ensure};
use launcher::lookup;
use nix::sys::stat::{FileStat, makedev};
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::path::Path;
use tar::EntryType;

/// What is there; `None` if nothing is.
pub(super) fn stat(directory: impl AsFd, name: &OsStr) -> Result<Option<FileStat>> {
    lookup::stat(directory, Path::new(name)).with_context(|| format!("cannot look at {name:?}"))
}

/// The number of the device that an entry of an archive is about.
pub(super) fn device_number(header: &tar::Header, kind: EntryType) -> Result<u64> {
    // In ustar and in GNU's format at the same place; the oldest format has no such fields.
    let bytes = header.as_bytes();
    let (major, minor) = match bytes[257..].starts_with(b"ustar") {
        true => (&bytes[329..337], &bytes[337..345]),
        false => (&[][..], &[][..]),
    };
    let part = |field: &[u8]| number(field).and_then(|number| u32::try_from(number).ok());
    let part = |field| part(field).context("it has no device number").map(u64::from);
    let (major, minor) = (part(major)?, part(minor)?);
    let is_whiteout = kind == EntryType::Char && (major, minor) == (0, 0);
    ensure!(!is_whiteout, "it is the device 0:0, which overlayfs takes for a deleted file");
    Ok(makedev(major, minor))
}
