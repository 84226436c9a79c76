//! The root directory of a process, and its mounts.

use std::ffi::OsStr;
use std::iter;
use std::path::Path;

use anyhow::{Context, Result};
use launcher::mountinfo::{self, Mount};
use launcher::printable;

use super::process::Directory;
use super::shortened::shortened;

/// Overlay's options name all layers.
const MOST_OF_SOURCE: usize = 100;

/// What the process has as `/`.
pub(super) fn root(process: &Directory) -> Result<Vec<String>> {
    let link = process.link("root").with_context(|| process.reading("root"))?;
    let mounts = read(process)?;
    // Of two mounts in one place the later is on top.
    let on_top = mounts.iter().rfind(|mount| is_root(mount));
    let link = printable(link.as_encoded_bytes());
    let seen = match (link.as_str(), on_top) {
        ("/", Some(mount)) => what(mount),
        ("/", None) => "/".to_owned(),
        // Without a mount of its own it is a directory among the mounts of others.
        (path, _) => format!("{path} (chroot)"),
    };
    let layers = on_top.into_iter().flat_map(layers);
    Ok(iter::once(seen).chain(layers).collect())
}

/// All its mounts but the root. Those of the host are only counted: everybody has them.
pub(super) fn list(process: &Directory, of_host: bool) -> Result<Vec<String>> {
    let mounts = read(process)?;
    if of_host {
        return Ok(vec![format!("the host's ({} below its root)", mounts.len())]);
    }
    let mounts = mounts.iter().filter(|mount| !is_root(mount));
    let mounts: Vec<_> = mounts.map(|mount| (shown(&mount.mount_point), what(mount))).collect();
    let widest = mounts.iter().map(|(point, _)| point.chars().count()).max().unwrap_or_default();
    let lines: Vec<_> =
        mounts.iter().map(|(point, what)| format!("{point:widest$}  {what}")).collect();
    Ok(if lines.is_empty() { vec!["none but the root".to_owned()] } else { lines })
}

fn is_root(mount: &Mount) -> bool {
    mount.mount_point == Path::new("/")
}

fn read(process: &Directory) -> Result<Vec<Mount>> {
    let table = process.read("mountinfo").with_context(|| process.reading("mountinfo"))?;
    Ok(mountinfo::parse(&table))
}

/// What is mounted, as findmnt(8) says it: `SOURCE[DIRECTORY]`, type, options.
fn what(mount: &Mount) -> String {
    let directory = match shown(&mount.root).as_str() {
        "/" => String::new(),
        directory => format!("[{directory}]"),
    };
    let source = shortened(&format!("{}{directory}", shown(&mount.source)), MOST_OF_SOURCE);
    let marks = mount.optional_fields.iter().filter_map(|mark| Some(mark.split_once(':')?.0));
    let options =
        mount.options.iter().map(String::as_str).chain(marks).collect::<Vec<_>>().join(",");
    format!("{source}  {}  {options}", shown(&mount.file_system))
}

/// Of overlayfs: `lowerdir=` and `upperdir=`.
fn layers(mount: &Mount) -> Vec<String> {
    if mount.file_system != "overlay" {
        return Vec::new();
    }
    let options = mount.super_options.iter().map(shown);
    let is_layer = |it: &String| it.starts_with("lowerdir") || it.starts_with("upperdir");
    options.filter(is_layer).map(|it| shortened(&it, MOST_OF_SOURCE)).collect()
}

/// Fit for a terminal: others have named it.
fn shown(name: impl AsRef<OsStr>) -> String {
    printable(name.as_ref().as_encoded_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_line_with_an_evil_name() {
        let line =
            "36 35 98:0 /a\\040b /mnt\\012/\x1b[2J rw,nosuid master:1 shared:2 - ext3 /dev/x rw";
        let mount = mountinfo::parse(line.as_bytes()).remove(0);
        assert_eq!(shown(&mount.mount_point), "/mnt\\n/\\u{1b}[2J");
        assert_eq!(what(&mount), "/dev/x[/a b]  ext3  rw,nosuid,master,shared");
    }
}
