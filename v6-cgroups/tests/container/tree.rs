//! The cgroups of the test's host, from outside.

use std::fs;
use std::path::{Path, PathBuf};

/// Where they are mounted.
pub const PLACE: &str = "/sys/fs/cgroup";

/// Whether this host has one tree for all controllers.
pub fn is_unified() -> bool {
    Path::new(PLACE).join("cgroup.controllers").exists()
}

/// Of two names, the one that this kind of host has.
pub fn either<'a>(v2: &'a str, v1: &'a str) -> &'a str {
    if is_unified() { v2 } else { v1 }
}

/// The top of the tree of one controller.
pub fn top(controller: &str) -> PathBuf {
    if is_unified() { PLACE.into() } else { Path::new(PLACE).join(controller) }
}

/// The top of the v2 tree: there is one on both kinds of host.
pub fn top_of_v2() -> PathBuf {
    if is_unified() { PLACE.into() } else { Path::new(PLACE).join("unified") }
}

/// The cgroup of a container in the tree of one controller.
pub fn cgroup(controller: &str, supervisor: u32) -> PathBuf {
    top(controller).join("container-steps").join(supervisor.to_string())
}

/// A file of a cgroup.
#[track_caller]
pub fn read(cgroup: &Path, file: &str) -> String {
    let path = cgroup.join(file);
    let text = fs::read_to_string(&path);
    text.unwrap_or_else(|error| panic!("{}: {error}", path.display())).trim_end().to_owned()
}

/// All cgroups of containers, in all trees.
pub fn all() -> Vec<PathBuf> {
    let trees = if is_unified() {
        vec![PathBuf::from(PLACE)]
    } else {
        fs::read_dir(PLACE).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let parents = trees.iter().map(|tree| tree.join("container-steps"));
    let children = parents.filter_map(|parent| fs::read_dir(parent).ok()).flatten();
    children.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect()
}

/// The number on a line `NAME NUMBER` of a file.
#[track_caller]
pub fn number(cgroup: &Path, file: &str, name: &str) -> u64 {
    let text = read(cgroup, file);
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}
