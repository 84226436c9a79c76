//! Step 6: a process with its own share of memory, CPU and process numbers (cgroups(7)).
//!
//! The new idea is in this file: a [`Cgroup`] is a directory, a limit is a file in it, and a
//! process enters by writing its number to a third file. The rest is what hosts differ in:
//!
//! | module | what it does |
//! |---|---|
//! | [`limits`] | the options |
//! | [`cpu_list`] | one of them: which CPUs |
//! | `cgroup_v2` | the files of a cgroup: which take limits, which tell what was used |
//! | `cgroup_v1` | the same where cgroup v1 is (skip on first reading) |
//! | `version` | the one place where the two part |
//! | [`hierarchy`] | where the cgroup file systems are: cgroup v2, v1, or both |
//! | `delegation` | the cgroup in which ours is made, and the controllers in it |
//! | `group` | one directory: made and locked; what a dead launcher left is swept |
//! | `removal` | the end of a directory, whatever is in it |
//! | `usage` | what was used, and whether the kernel killed for memory |
//! | [`enter_that_of`] | into the cgroup of another process, for v8 |
//! | `setting`, `counter` | one limit, one number that the kernel counts |
//! | `control_file` | reads and writes one file of a cgroup |

mod cgroup_v1;
mod cgroup_v2;
mod control_file;
mod counter;
pub mod cpu_list;
mod delegation;
mod entering;
mod group;
pub mod hierarchy;
pub mod limits;
mod removal;
mod setting;
mod usage;
mod version;

pub use entering::enter_that_of;
pub use group::PARENT;
pub use limits::Limits;

use crate::group::Group;
use crate::hierarchy::{Hierarchies, Kind};
use crate::limits::controllers_of;
use anyhow::Result;
use launcher::AsRoot;
use nix::mount::MsFlags;
use std::iter;
use v2_mountns::{CloneFlags, NewRoot, unshare};

/// Where the container sees its cgroup, in the new root.
const PLACE: &str = "sys/fs/cgroup";

/// The cgroup of one container: one directory, or with cgroup v1 one in each hierarchy that its
/// limits need. It owns them, and removes them when it is dropped.
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
    pub fn create(as_root: &AsRoot, limits: &Limits) -> Result<Cgroup> {
        Cgroup::create_outer(as_root, limits, &[])
    }

    /// Makes a cgroup for several containers (v8): `limits` hold for all of them together, and the
    /// cgroup of each can have the limits in `inner`.
    ///
    /// # Errors
    /// As [`Cgroup::create`].
    pub fn create_outer(_as_root: &AsRoot, limits: &Limits, inner: &[Limits]) -> Result<Cgroup> {
        limits.check()?;
        let mut cgroup = Cgroup { is_unified: false, groups: Vec::new(), limits: limits.clone() };
        let controllers = controllers_of(iter::once(limits).chain(inner));
        if controllers.is_empty() {
            return Ok(cgroup);
        }
        let host = Hierarchies::find()?;
        group::sweep(&host);
        cgroup.is_unified = host.kind == Kind::Unified;
        for (hierarchy, controllers) in host.with(&controllers)? {
            let group = Group::create(host.kind, hierarchy, &controllers)?;
            if !inner.is_empty() {
                group.pass_on(&controllers)?;
            }
            group.limit(limits)?;
            cgroup.groups.push(group);
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
        match &self.groups[..] {
            [] => Ok(()),
            [_] if self.is_unified => {
                let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
                root.mount_new(PLACE, "cgroup2", flags | MsFlags::MS_RDONLY, "").map(drop)
            }
            groups => cgroup_v1::mount_trees(root, PLACE, groups.iter().map(|it| &it.hierarchy)),
        }
    }
    // ANCHOR_END: mount_into

    /// Tells whether the kernel killed for memory, and with `--stats` what was used.
    ///
    /// # Errors
    /// If the files of the cgroup cannot be read.
    pub fn report(&self) -> Result<()> {
        usage::report(&self.groups, &self.limits)
    }

    /// Whether the kernel killed for memory, and in which limit.
    ///
    /// # Errors
    /// If the files of the cgroup cannot be read.
    pub fn out_of_memory(&self) -> Result<Option<String>> {
        usage::out_of_memory(&self.groups, &self.limits)
    }

    /// Makes a cgroup in this one, in each of its hierarchies: for one container of several (v8).
    ///
    /// # Errors
    /// If the kernel does not take a limit.
    pub fn create_inner(&self, name: &str, limits: &Limits) -> Result<Cgroup> {
        let groups = self.groups.iter().map(|group| group.create_inner(name));
        let groups = groups.collect::<Result<Vec<_>>>()?;
        groups.iter().try_for_each(|group| group.limit(limits))?;
        Ok(Cgroup { is_unified: self.is_unified, groups, limits: limits.clone() })
    }
}
