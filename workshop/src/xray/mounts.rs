//! The root directory of a process, and its mounts (proc_pid_mountinfo(5)).

use std::iter;

use anyhow::{Context, Result};
use launcher::printable;

use super::process::Directory;
use super::shortened::shortened;
use crate::mounts::unescape;

/// Overlay's options name all layers.
const MOST_OF_SOURCE: usize = 100;

/// One line of mountinfo.
struct Mount {
    /// As the process sees it: below its root.
    point: String,
    /// The device, or what stands for one.
    source: String,
    /// Which directory of the file system is seen at the mount point.
    directory: String,
    file_system: String,
    options: String,
    /// Of overlayfs: `lowerdir=` and `upperdir=`.
    layers: Vec<String>,
}

/// What the process has as `/`.
pub(super) fn root(process: &Directory) -> Result<Vec<String>> {
    let link = process.link("root").with_context(|| process.reading("root"))?;
    let mounts = read(process)?;
    // Of two mounts in one place the later is on top.
    let on_top = mounts.iter().rfind(|mount| mount.point == "/");
    let link = printable(link.as_encoded_bytes());
    let what = match (link.as_str(), on_top) {
        ("/", Some(mount)) => mount.of_what(),
        ("/", None) => "/".to_owned(),
        // Without a mount of its own it is a directory among the mounts of others.
        (path, _) => format!("{path} (chroot)"),
    };
    let layers = on_top.into_iter().flat_map(|mount| mount.layers.iter().cloned());
    Ok(iter::once(what).chain(layers).collect())
}

/// All its mounts but the root. Those of the host are only counted: everybody has them.
pub(super) fn list(process: &Directory, of_host: bool) -> Result<Vec<String>> {
    let mounts = read(process)?;
    if of_host {
        return Ok(vec![format!("the host's ({} below its root)", mounts.len())]);
    }
    let mounts: Vec<_> = mounts.iter().filter(|mount| mount.point != "/").collect();
    let widest = mounts.iter().map(|mount| mount.point.chars().count()).max().unwrap_or_default();
    let lines = mounts.iter().map(|mount| format!("{:widest$}  {}", mount.point, mount.of_what()));
    let lines: Vec<_> = lines.collect();
    Ok(if lines.is_empty() { vec!["none but the root".to_owned()] } else { lines })
}

fn read(process: &Directory) -> Result<Vec<Mount>> {
    let table = process.text("mountinfo").with_context(|| process.reading("mountinfo"))?;
    Ok(table.lines().filter_map(Mount::parse).collect())
}

impl Mount {
    /// Number, parent, device, directory, mount point, options, marks, `-`, type, source, options
    /// of the file system.
    fn parse(line: &str) -> Option<Mount> {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3).map(path);
        let (directory, point, mut options) = (mount.next()?, mount.next()?, mount.next()?);
        // shared:N, master:N: mounts that are made here come up elsewhere, or the other way.
        for mark in mount.filter_map(|mark| Some(mark.split_once(':')?.0.to_owned())) {
            options = format!("{options},{mark}");
        }
        let mut file_system = file_system.split(' ').map(path);
        let (kind, source) = (file_system.next()?, file_system.next()?);
        let more = file_system.next().filter(|_| kind == "overlay").unwrap_or_default();
        let is_layer = |it: &&str| it.starts_with("lowerdir") || it.starts_with("upperdir");
        let layers = more.split(',').filter(is_layer).map(|it| shortened(it, MOST_OF_SOURCE));
        let layers = layers.collect();
        Some(Mount { point, source, directory, file_system: kind, options, layers })
    }

    /// What is mounted, as findmnt(8) says it: `SOURCE[DIRECTORY]`, type, options.
    fn of_what(&self) -> String {
        let directory = match self.directory.as_str() {
            "/" => String::new(),
            directory => format!("[{directory}]"),
        };
        let source = shortened(&format!("{}{directory}", self.source), MOST_OF_SOURCE);
        format!("{source}  {}  {}", self.file_system, self.options)
    }
}

fn path(field: &str) -> String {
    printable(unescape(field).as_os_str().as_encoded_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_line_with_an_evil_name() {
        let line =
            "36 35 98:0 /a\\040b /mnt\\012/\x1b[2J rw,nosuid master:1 shared:2 - ext3 /dev/x rw";
        let mount = Mount::parse(line).unwrap();
        assert_eq!(mount.point, "/mnt\\n/\\u{1b}[2J");
        assert_eq!(mount.of_what(), "/dev/x[/a b]  ext3  rw,nosuid,master,shared");
    }
}
