//! Forwarding: whether a link's packets may go on to another link (ip_sysctl.rst of the kernel).
//!
//! The switch that everybody knows, net.ipv4.ip_forward, sets that of *every* link, and writing 0
//! to it clears every one. So it is read here and never written: each link has a switch of its own,
//! and we need the bridge's and those of the ways out.

use anyhow::{Context, Result, bail};
use netlink::Netlink;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;

// ANCHOR: switches
/// Whether `link` is there and does not forward.
///
/// # Errors
/// Those of reading the file.
pub(crate) fn is_off(link: &str) -> Result<bool> {
    let path = path_of(link);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim() == "0"),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot read {path:?}")),
    }
}

/// Lets the link with this number forward, if it is still there.
///
/// # Errors
/// Those of rtnetlink(7); EROFS in a container that shows /proc/sys read-only.
pub(crate) fn switch_on(host: &Netlink, index: u32) -> Result<()> {
    set(host, index, "1")
}

/// Sets it back to not forwarding, unless somebody has switched it on for the whole host meanwhile:
/// then it is no longer ours to switch off.
///
/// # Errors
/// As for [`switch_on`].
pub(crate) fn switch_off(host: &Netlink, index: u32) -> Result<()> {
    let whole_host = fs::read_to_string("/proc/sys/net/ipv4/ip_forward");
    if whole_host.context("cannot read ip_forward")?.trim() != "0" {
        return Ok(());
    }
    set(host, index, "0")
}

fn set(host: &Netlink, index: u32, value: &str) -> Result<()> {
    let link = host.link_of_index(index).context("cannot look for a link")?;
    let Some(link) = link else { return Ok(()) };
    let path = path_of(&link.name); // what it is called now
    match write(path.clone(), value) {
        // The link is gone, and its switch with it.
        Err(_) if path.try_exists().is_ok_and(|exists| !exists) => Ok(()),
        written => written,
    }
}

/// Keeps IPv6 off a link of ours. The bridge would take a default route from any container that
/// sends router advertisements (CVE-2020-10749 was that).
///
/// # Errors
/// As for [`switch_on`].
pub(crate) fn disable_ipv6(link: &str) -> Result<()> {
    let path = PathBuf::from("/proc/sys/net/ipv6/conf").join(link).join("disable_ipv6");
    match fs::read_to_string(&path) {
        Ok(text) if text.trim() == "1" => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()), // a kernel without IPv6
        _ => write(path, "1"),
    }
}
// ANCHOR_END: switches

fn path_of(link: &str) -> PathBuf {
    PathBuf::from("/proc/sys/net/ipv4/conf").join(link).join("forwarding")
}

fn write(path: PathBuf, text: &str) -> Result<()> {
    let written = File::options()
        .write(true)
        .open(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    match written {
        Err(error) if is_read_only(&error) => bail!(
            "cannot write {text} to {path:?}: EROFS: Read-only file system (in a container? Start \
             that one with --privileged, or ours with --net none)"
        ),
        result => result.with_context(|| format!("cannot write {text} to {path:?}")),
    }
}

fn is_read_only(error: &io::Error) -> bool {
    error.kind() == ErrorKind::ReadOnlyFilesystem
}
