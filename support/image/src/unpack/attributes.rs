//! Owner, mode, time and extended attributes of a file: what the archive says.

use super::archive::Entry;
use super::header::number;
use super::pax::Records;
use crate::attributes::NOT_TAKEN;
use anyhow::{Context, Result, ensure};
use nix::libc::mode_t;
use nix::sys::stat::Mode;
use nix::sys::time::TimeSpec;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Owner, mode, time and extended attributes of an entry.
#[derive(Debug)]
pub(super) struct Attributes {
    pub(super) owner: u32,
    pub(super) group: u32,
    pub(super) mode: Mode,
    pub(super) time: TimeSpec,
    pub(super) xattrs: BTreeMap<OsString, Vec<u8>>,
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

/// The number of a user or group. The highest one means none (chown(2)).
fn id(number: i64, what: &str) -> Result<u32> {
    let id = u32::try_from(number).ok().filter(|id| *id != u32::MAX);
    id.with_context(|| format!("its {what} is {number}, which is no number of a user or group"))
}

/// When the file was changed. Only a PAX header has a fraction.
fn time(entry: &Entry) -> Result<TimeSpec> {
    for unused in ["atime", "ctime"] {
        let text = entry.records().text(unused);
        ensure!(text.is_none_or(|text| parse_time(text).is_some()), "its {unused} is no number");
    }
    let time = match entry.records().text("mtime") {
        Some(text) => parse_time(text),
        None => number(&entry.header().as_old().mtime).map(|seconds| TimeSpec::new(seconds, 0)),
    };
    time.context("its time is no number")
}

/// The attributes that are taken. Of several of one name the last one counts, and says with an
/// empty value that there is none.
fn xattrs(records: &Records) -> BTreeMap<OsString, Vec<u8>> {
    let is_taken =
        |name: &&[u8]| !NOT_TAKEN.iter().any(|prefix| name.starts_with(prefix.as_bytes()));
    let xattr = |(key, value): (&[u8], &[u8])| {
        let name = key.strip_prefix(b"SCHILY.xattr.").filter(is_taken)?;
        Some((OsStr::from_bytes(name).to_owned(), value.to_vec()))
    };
    let mut xattrs: BTreeMap<_, _> = records.iter().filter_map(xattr).collect();
    xattrs.retain(|_, value| !value.is_empty());
    xattrs
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
