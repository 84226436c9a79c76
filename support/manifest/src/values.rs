//! How a single value of a manifest is read, and when it is refused.

use crate::base64;
use crate::fault::Fault;
use crate::names;
use crate::node::Node;
use crate::place::shortened;
use crate::pod::{LEAST_MEMORY, Medium, Protocol, RestartPolicy};
use crate::quantity;
use image::reference::Reference;
use launcher::command_line::one_line;
use std::net::IpAddr;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// A text that may be anything.
pub(crate) fn text(node: &Node) -> Result<String, Fault> {
    Ok(node.text()?.to_owned())
}

/// A text that is not empty.
pub(crate) fn filled(node: &Node) -> Result<String, Fault> {
    match node.text()? {
        "" => Err(node.wrong("it is empty")),
        text => Ok(text.to_owned()),
    }
}

/// `true` or `false`.
pub(crate) fn boolean(node: &Node) -> Result<bool, Fault> {
    node.boolean()
}

/// What containers, volumes and hosts are called.
pub(crate) fn label(node: &Node) -> Result<String, Fault> {
    checked(node, names::label)
}

/// What pods are called.
pub(crate) fn subdomain(node: &Node) -> Result<String, Fault> {
    checked(node, names::subdomain)
}

/// What stands before the letters that make a name of it.
pub(crate) fn prefix_of_name(node: &Node) -> Result<String, Fault> {
    let prefix = node.text()?.trim_end_matches(['-', '.']);
    names::subdomain(prefix).map_err(|what| node.wrong(what))?;
    Ok(prefix.to_owned())
}

/// The name of an environment variable.
pub(crate) fn variable_name(node: &Node) -> Result<String, Fault> {
    checked(node, names::variable)
}

fn checked(node: &Node, check: fn(&str) -> Result<(), String>) -> Result<String, Fault> {
    let text = node.text()?;
    check(text).map_err(|what| node.wrong(what))?;
    Ok(text.to_owned())
}

/// Where an image is to be found.
pub(crate) fn reference(node: &Node) -> Result<Reference, Fault> {
    node.text()?.parse().map_err(|error| node.wrong(one_line(&error)))
}

/// What a port is called.
pub(crate) fn port_name(node: &Node) -> Result<String, Fault> {
    checked(node, names::service)
}

/// What a port speaks.
pub(crate) fn protocol(node: &Node) -> Result<Protocol, Fault> {
    match one_of(node, &["TCP", "UDP", "SCTP"])? {
        "UDP" => Ok(Protocol::Udp),
        "SCTP" => Ok(Protocol::Sctp),
        _ => Ok(Protocol::Tcp),
    }
}

/// An address of the host; none if it is empty.
pub(crate) fn address(node: &Node) -> Result<Option<IpAddr>, Fault> {
    match node.text()? {
        "" => Ok(None),
        text => text
            .parse()
            .map(Some)
            .map_err(|_| node.wrong(format_args!("{:?} is no IP address", shortened(text)))),
    }
}

/// What to do when a container ends.
pub(crate) fn restart_policy(node: &Node) -> Result<RestartPolicy, Fault> {
    match one_of(node, &["Always", "OnFailure", "Never"])? {
        "OnFailure" => Ok(RestartPolicy::OnFailure),
        "Never" => Ok(RestartPolicy::Never),
        _ => Ok(RestartPolicy::Always),
    }
}

/// One of these words.
pub(crate) fn one_of(node: &Node, words: &[&'static str]) -> Result<&'static str, Fault> {
    let text = node.text()?;
    words.iter().find(|word| **word == text).copied().ok_or_else(|| {
        let words = words.join(", ");
        node.wrong(format_args!("{:?} is none of {words}", shortened(text)))
    })
}

/// Whether it is `false`.
pub(crate) fn is_false(node: &Node) -> Result<bool, Fault> {
    Ok(!node.boolean()?)
}

/// Whether it is `true`.
pub(crate) fn is_true(node: &Node) -> Result<bool, Fault> {
    node.boolean()
}

/// The key of a ConfigMap or Secret, which is the name of a file, too.
pub(crate) fn config_key(node: &Node) -> Result<String, Fault> {
    checked(node, names::config_key)
}

/// Bytes, written as base64.
pub(crate) fn bytes(node: &Node) -> Result<Vec<u8>, Fault> {
    base64::decode(node.text()?).ok_or_else(|| {
        node.wrong("it is no base64 (of a Secret, stringData takes a text as it is)")
    })
}

/// Any integer.
pub(crate) fn integer(node: &Node) -> Result<i64, Fault> {
    node.integer(i64::MIN, i64::MAX)
}

/// Any list.
pub(crate) fn list(node: &Node) -> Result<(), Fault> {
    node.list().map(|_| ())
}

/// Any mapping.
pub(crate) fn mapping(node: &Node) -> Result<(), Fault> {
    node.mapping().map(|_| ())
}

/// Any texts, by any names.
pub(crate) fn texts_by_name(node: &Node) -> Result<(), Fault> {
    node.mapping()?.iter().try_for_each(|(_, value)| value.text().map(|_| ()))
}

/// Annotations: texts by qualified names.
pub(crate) fn annotations(node: &Node) -> Result<(), Fault> {
    let qualified = |key: &Node| names::qualified(key.text()?).map_err(|what| key.wrong(what));
    node.mapping()?.iter().try_for_each(|(key, _)| qualified(key))?;
    texts_by_name(node)
}

/// Labels: short texts by qualified names.
pub(crate) fn labels(node: &Node) -> Result<(), Fault> {
    annotations(node)?;
    node.mapping()?.iter().try_for_each(|(_, value)| {
        names::label_value(value.text()?).map_err(|what| value.wrong(what))
    })
}

/// Whole seconds.
pub(crate) fn seconds(node: &Node) -> Result<Duration, Fault> {
    let seconds = node.integer(0, i64::from(u32::MAX))?;
    Ok(Duration::from_secs(seconds.unsigned_abs()))
}

/// The number of a port.
pub(crate) fn port(node: &Node) -> Result<u16, Fault> {
    let number = node.integer(1, 65535)?;
    u16::try_from(number).map_err(|_| node.wrong("it is no port"))
}

/// The number of a port, or 0, which is how Kubernetes says "none".
pub(crate) fn port_or_none(node: &Node) -> Result<Option<u16>, Fault> {
    let number = node.integer(0, 65535)?;
    let number = u16::try_from(number).map_err(|_| node.wrong("it is no port"))?;
    Ok(Some(number).filter(|port| *port != 0))
}

/// The number of a user.
pub(crate) fn user(node: &Node) -> Result<u32, Fault> {
    let number = node.integer(0, i64::from(i32::MAX))?;
    u32::try_from(number).map_err(|_| node.wrong("it is no user"))
}

/// Bytes; none if it is zero.
pub(crate) fn memory(node: &Node) -> Result<Option<u64>, Fault> {
    let thousandths = thousandths(node)?;
    let bytes = u64::try_from(thousandths.div_ceil(1000)).unwrap_or(u64::MAX);
    Ok(Some(bytes).filter(|bytes| *bytes > 0))
}

/// Bytes of memory; none if it is zero, which means no limit.
pub(crate) fn memory_limit(node: &Node) -> Result<Option<u64>, Fault> {
    match memory(node)? {
        Some(1..LEAST_MEMORY) => {
            Err(node.wrong("6Mi is the least: no program starts with much less"))
        }
        bytes => Ok(bytes),
    }
}

/// Where an emptyDir lies.
pub(crate) fn medium(node: &Node) -> Result<Medium, Fault> {
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
pub(crate) fn cpus(node: &Node) -> Result<Option<f64>, Fault> {
    let thousandths = thousandths(node)?;
    // Exact for any number of CPUs that there can be.
    let cpus = thousandths as f64 / 1000.0;
    Ok(Some(cpus).filter(|_| thousandths > 0))
}

fn thousandths(node: &Node) -> Result<u128, Fault> {
    quantity::in_thousandths(&node.text_or_number()?).map_err(|what| node.wrong(what))
}

/// A path of the host.
pub(crate) fn host_path(node: &Node) -> Result<PathBuf, Fault> {
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
pub(crate) fn mount_path(node: &Node) -> Result<PathBuf, Fault> {
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
