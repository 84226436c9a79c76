//! What stands under a name in a directory.

use anyhow::{Context, Result, ensure};
use launcher::lookup;
use nix::sys::stat::{FileStat, makedev};
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use tar::EntryType;

/// What is there; `None` if nothing is.
pub(super) fn stat(directory: &OwnedFd, name: &OsStr) -> Result<Option<FileStat>> {
    lookup::stat(directory, Path::new(name)).with_context(|| format!("cannot look at {name:?}"))
}

/// The number of the device that an entry of an archive is about.
pub(super) fn device_number(header: &tar::Header, kind: EntryType) -> Result<u64> {
    let part = |result: io::Result<Option<u32>>| {
        result.context("it has no device number")?.context("it has no device number")
    };
    let (major, minor) = (part(header.device_major())?, part(header.device_minor())?);
    let is_whiteout = kind == EntryType::Char && (major, minor) == (0, 0);
    ensure!(!is_whiteout, "it is the device 0:0, which overlayfs takes for a deleted file");
    Ok(makedev(major.into(), minor.into()))
}
