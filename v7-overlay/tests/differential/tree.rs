//! A tree of files, as it is compared.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

use crate::xattrs::xattrs;

/// What a container of ours has mounted, and the directories of that.
const MOUNTED: [&str; 5] = ["proc", "dev", "sys", "etc", PROGRAM];

/// The program that waits in a container of ours.
pub const PROGRAM: &str = "busybox.differential";

/// The time of what was made or changed while the test ran.
pub const NOW: &str = "now";

/// What is said of a file: `mode`, `size` and so on.
pub type Facts = BTreeMap<String, String>;

/// Every file of a tree.
pub type Tree = BTreeMap<String, Facts>;

/// Reads a tree. Times since `start` are [`NOW`].
pub fn read(root: &Path, start: SystemTime) -> Tree {
    let mut tree = Tree::new();
    // The first name of each file.
    let mut names = BTreeMap::new();
    let mut to_visit = vec![PathBuf::new()];
    while let Some(name) = to_visit.pop() {
        let path = root.join(&name);
        let text = name.as_os_str().as_bytes().escape_ascii().to_string();
        let found = match fs::symlink_metadata(root.join(".").join(&name)) {
            Err(error) => {
                let what = ("type".to_owned(), format!("a name without a file ({error})"));
                tree.insert(text, Facts::from([what]));
                continue;
            }
            Ok(found) => found,
        };
        if found.is_dir() {
            let below =
                fs::read_dir(&path).unwrap().map(|entry| name.join(entry.unwrap().file_name()));
            to_visit.extend(below.filter(|name| !MOUNTED.iter().any(|it| name == Path::new(it))));
        }
        if !found.is_dir() {
            match names.entry((found.dev(), found.ino())) {
                btree_map::Entry::Occupied(mut first) if text < *first.get() => {
                    first.insert(text.clone());
                }
                first => drop(first.or_insert(text.clone())),
            }
        }
        let is_root = text.is_empty();
        let mut facts = facts(&path, &found, start);
        if is_root {
            facts.remove("mtime"); // a container's mount points are made in it
        } else if !found.is_dir() {
            facts.insert("links".into(), format!("{} {}", found.dev(), found.ino()));
        }
        tree.insert(text, facts);
    }
    for facts in tree.values_mut() {
        if let Some(links) = facts.get_mut("links") {
            let (dev, ino) = links.split_once(' ').unwrap();
            *links = names[&(dev.parse().unwrap(), ino.parse().unwrap())].clone();
        }
    }
    tree
}

fn facts(path: &Path, found: &Metadata, start: SystemTime) -> Facts {
    let mut facts = Facts::new();
    let mut add = |name: &str, value: String| drop(facts.insert(name.into(), value));
    add("type", kind(found).into());
    if !found.is_symlink() {
        add("mode", format!("{:o}", found.mode() & 0o7777));
    }
    add("uid", found.uid().to_string());
    add("gid", found.gid().to_string());
    let now = start - Duration::from_secs(5);
    let is_now =
        found.modified().is_ok_and(|time| time > now && time < now + Duration::from_secs(4000));
    add("mtime", if is_now { NOW.into() } else { found.mtime().to_string() });
    if found.is_file() {
        let content = fs::read(path).unwrap();
        add("size", content.len().to_string());
        add(
            "content",
            Sha256::digest(&content)[..8].iter().map(|it| format!("{it:02x}")).collect(),
        );
    }
    if found.is_symlink() {
        let target = fs::read_link(path).unwrap();
        add("target", target.as_os_str().as_bytes().escape_ascii().to_string());
    }
    let kind = found.file_type();
    if kind.is_char_device() || kind.is_block_device() {
        let device = found.rdev();
        add("device", format!("{}:{}", libc::major(device), libc::minor(device)));
    }
    for (name, value) in xattrs(path) {
        if !name.contains(".overlay.") {
            add(&format!("xattr {name}"), value.escape_ascii().to_string());
        }
    }
    facts
}

fn kind(found: &Metadata) -> &'static str {
    let kind = found.file_type();
    match () {
        () if kind.is_dir() => "directory",
        () if kind.is_file() => "file",
        () if kind.is_symlink() => "link",
        () if kind.is_fifo() => "fifo",
        () if kind.is_char_device() => "char",
        () if kind.is_block_device() => "block",
        () => "socket",
    }
}
