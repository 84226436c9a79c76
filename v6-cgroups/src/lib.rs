//! Step 6: a process with its own share of memory, CPU and process numbers (cgroups(7)).
//!
//! The new idea is in this file: a [`Cgroup`] is a directory, a limit is a file in it, and a
//! process enters by writing its number to a third file. The rest is what hosts differ in:
//!
//! | module | what it does |
//! |---|---|
//! | [`limits`] | the options, and which file takes which |
//! | [`hierarchy`] | where the cgroup file systems are: cgroup v2, v1, or both |
//! | `delegation` | the cgroup in which ours is made, and the controllers in it |
//! | `group` | one directory: made, locked, removed; what a dead launcher left is swept |
//! | `nested` | a cgroup with others in it, for v8 |
//! | `usage` | what was used, and whether the kernel killed for memory |
//! | `control_file` | reads and writes one file of a cgroup |

mod control_file;
mod delegation;
mod group;
pub mod hierarchy;
pub mod limits;
mod nested;
mod usage;

pub use group::PARENT;
pub use limits::Limits;
pub use nested::enter_that_of;

use crate::group::Group;
use crate::hierarchy::{Hierarchies, Kind, Version};
use anyhow::{Context, Result};
use launcher::AsRoot;
use nix::mount::MsFlags;
use nix::unistd::symlinkat;
use v2_mountns::{CloneFlags, NewRoot, unshare};

/// The cgroup of one container: one directory in each hierarchy that its limits need. It owns
/// them, and removes them when it is dropped.
#[derive(Debug)]
pub struct Cgroup {
    is_unified: bool,
    groups: Vec<Group>,
    limits: Limits,
}

impl Cgroup {
    // ANCHOR: create
    /// Makes a cgroup with these limits. Nobody is in it yet. Without limits none is made.
    ///
    /// # Errors
    /// If the host has no such controller, or the caller may make no cgroup; if the kernel does
    /// not take a limit.
    pub fn create(_as_root: &AsRoot, limits: &Limits) -> Result<Cgroup> {
        let mut cgroup = Cgroup { is_unified: false, groups: Vec::new(), limits: limits.clone() };
        let controllers = limits.controllers();
        if controllers.is_empty() {
            return Ok(cgroup);
        }
        let host = Hierarchies::find()?;
        group::sweep(&host)?;
        cgroup.is_unified = host.kind == Kind::Unified;
        for (hierarchy, controllers) in host.with(&controllers)? {
            cgroup.groups.push(Group::create(host.kind, hierarchy, &controllers)?);
        }
        for group in &cgroup.groups {
            limits.write(group)?;
        }
        Ok(cgroup)
    }
    // ANCHOR_END: create

    // ANCHOR: enter
    /// Moves this process into the cgroup; its future children will be born there. Then a cgroup
    /// namespace hides what is above: its root is the cgroup that the caller is in at that moment
    /// (cgroup_namespaces(7)), so this is the order.
    ///
    /// # Errors
    /// Those of a write to cgroup.procs (v1: tasks), and of unshare(2).
    pub fn enter(&self) -> Result<()> {
        for group in &self.groups {
            group.enter()?;
        }
        unshare(CloneFlags::CLONE_NEWCGROUP)
    }
    // ANCHOR_END: enter

    // ANCHOR: mount_into
    /// Shows the container its own cgroup, read-only, in /sys/fs/cgroup of the new root.
    ///
    /// Because of the cgroup namespace, a new mount of the file system has our cgroup as its root.
    ///
    /// # Errors
    /// If the place in the rootfs is a symbolic link, or the kernel refuses the mount.
    pub fn mount_into(&self, root: &NewRoot) -> Result<()> {
        const PLACE: &str = "sys/fs/cgroup";
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        if self.groups.is_empty() {
            return Ok(());
        }
        let read_only = flags | MsFlags::MS_RDONLY;
        if let (true, [_]) = (self.is_unified, &self.groups[..]) {
            return root.mount_new(PLACE, "cgroup2", read_only, "").map(drop);
        }
        // One directory for each hierarchy, as on the host.
        let directory = root.mount_new(PLACE, "tmpfs", flags, "mode=755,size=64k")?;
        for group in &self.groups {
            let (kind, options) = match group.version {
                Version::V2 => ("cgroup2", String::new()),
                Version::V1 => ("cgroup", group.controllers.join(",")),
            };
            directory
                .mount_below(&group.hierarchy, kind, read_only, &options)
                .with_context(|| format!("cannot fill /{PLACE}"))?;
            // On many hosts cpu and cpuacct are one hierarchy, "cpu,cpuacct", with two links.
            for name in group.controllers.iter().filter(|name| **name != group.hierarchy) {
                symlinkat(group.hierarchy.as_str(), &directory, name.as_str())
                    .with_context(|| format!("cannot make the link /{PLACE}/{name}"))?;
            }
        }
        directory.make_read_only().context("cannot make /sys/fs/cgroup read-only")
    }
    // ANCHOR_END: mount_into
}
