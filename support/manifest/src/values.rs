//! How a single value of a manifest is read, and when it is refused.

use crate::names;
use crate::node::Node;
use crate::pod::{LEAST_MEMORY, Medium, RestartPolicy};
use crate::quantity;
use anyhow::Result;
use image::reference::Reference;
use launcher::command_line::one_line;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// A text that may be anything.
pub(crate) fn text(node: &Node) -> Result<String> {
    Ok(node.text()?.to_owned())
}

/// A text that is not empty.
pub(crate) fn filled(node: &Node) -> Result<String> {
    match node.text()? {
        "" => Err(node.wrong("it is empty")),
        text => Ok(text.to_owned()),
    }
}

/// A list of texts.
pub(crate) fn texts(node: &Node) -> Result<Vec<String>> {
    node.list()?.iter().map(text).collect()
}

/// `true` or `false`.
pub(crate) fn boolean(node: &Node) -> Result<bool> {
    node.boolean()
}

/// What containers, volumes and hosts are called.
pub(crate) fn label(node: &Node) -> Result<String> {
    checked(node, names::label)
}

/// What pods are called.
pub(crate) fn subdomain(node: &Node) -> Result<String> {
    checked(node, names::subdomain)
}

/// The name of an environment variable.
pub(crate) fn variable_name(node: &Node) -> Result<String> {
    checked(node, names::variable)
}

fn checked(node: &Node, check: fn(&str) -> Result<(), String>) -> Result<String> {
    let text = node.text()?;
    check(text).map_err(|what| node.wrong(what))?;
    Ok(text.to_owned())
}

/// Where an image is to be found.
pub(crate) fn reference(node: &Node) -> Result<Reference> {
    node.text()?.parse().map_err(|error| node.wrong(one_line(&error)))
}

/// What to do when a container ends.
pub(crate) fn restart_policy(node: &Node) -> Result<RestartPolicy> {
    match node.text()? {
        "Always" => Ok(RestartPolicy::Always),
        "OnFailure" => Ok(RestartPolicy::OnFailure),
        "Never" => Ok(RestartPolicy::Never),
        other => Err(node.wrong(format_args!("{other:?} is none of Always, OnFailure and Never"))),
    }
}

/// Whole seconds.
pub(crate) fn seconds(node: &Node) -> Result<Duration> {
    let seconds = node.integer(0, i64::from(u32::MAX))?;
    Ok(Duration::from_secs(seconds.unsigned_abs()))
}

/// The number of a port.
pub(crate) fn port(node: &Node) -> Result<u16> {
    let number = node.integer(1, 65535)?;
    u16::try_from(number).map_err(|_| node.wrong("it is no port"))
}

/// The number of a port, or 0, which is how Kubernetes says "none".
pub(crate) fn port_or_none(node: &Node) -> Result<Option<u16>> {
    let number = node.integer(0, 65535)?;
    let number = u16::try_from(number).map_err(|_| node.wrong("it is no port"))?;
    Ok(Some(number).filter(|port| *port != 0))
}

/// The number of a user.
pub(crate) fn user(node: &Node) -> Result<u32> {
    let number = node.integer(0, i64::from(i32::MAX))?;
    u32::try_from(number).map_err(|_| node.wrong("it is no user"))
}

/// Bytes; none if it is zero, which means no limit.
pub(crate) fn bytes(node: &Node) -> Result<Option<u64>> {
    let thousandths = thousandths(node)?;
    let bytes = u64::try_from(thousandths.div_ceil(1000)).unwrap_or(u64::MAX);
    Ok(Some(bytes).filter(|bytes| *bytes > 0))
}

/// Bytes of memory, as [`bytes`].
pub(crate) fn memory(node: &Node) -> Result<Option<u64>> {
    match bytes(node)? {
        Some(bytes) if bytes < LEAST_MEMORY => {
            Err(node.wrong("6Mi is the least: no program starts with much less"))
        }
        bytes => Ok(bytes),
    }
}

/// Where an emptyDir lies.
pub(crate) fn medium(node: &Node) -> Result<Medium> {
    match node.text()? {
        "" => Ok(Medium::Disk),
        "Memory" => Ok(Medium::Memory),
        other if other.starts_with("HugePages") => {
            Err(node.wrong("huge pages are set aside by a cluster, and not here: take Memory"))
        }
        other => Err(node.wrong(format_args!("{other:?} is neither empty nor Memory"))),
    }
}

/// CPUs; none if it is zero, which means no limit.
pub(crate) fn cpus(node: &Node) -> Result<Option<f64>> {
    let thousandths = thousandths(node)?;
    // Exact for any number of CPUs that there can be.
    let cpus = thousandths as f64 / 1000.0;
    Ok(Some(cpus).filter(|_| thousandths > 0))
}

fn thousandths(node: &Node) -> Result<u128> {
    quantity::in_thousandths(node.text_or_number()?).map_err(|what| node.wrong(what))
}

/// A path of the host.
pub(crate) fn host_path(node: &Node) -> Result<PathBuf> {
    let path = PathBuf::from(filled(node)?);
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(node.wrong(format_args!("{path:?} goes through ..")));
    }
    if !path.is_absolute() {
        return Err(node.wrong(format_args!("{path:?} does not start with /")));
    }
    Ok(path)
}

/// A place in a container.
pub(crate) fn mount_path(node: &Node) -> Result<PathBuf> {
    let path = filled(node)?;
    if path.contains(':') {
        return Err(node.wrong("it must not contain a :"));
    }
    let path = Path::new("/").join(path);
    if path.components().any(|part| part == Component::ParentDir) || path == Path::new("/") {
        return Err(node.wrong("it must be below /, and not go through .."));
    }
    Ok(path)
}
