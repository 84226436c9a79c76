//! One cgroup, that is, one directory in one hierarchy: made, locked, entered, removed.
//!
//! It is `container-steps/NUMBER`, by the number of the launcher. Who made it holds a lock on the
//! directory itself (flock(2)), which the kernel opens when the process ends, however it ends. So
//! an unlocked one has no owner any more, and the next start removes it.

use crate::control_file::{self, open_existing};
use crate::delegation;
use crate::hierarchy::{Hierarchies, Hierarchy, Kind, Version, Wanted};
use crate::limits::Limits;
use crate::removal::{remove, remove_if_empty, tell};
use anyhow::{Context, Result};
use launcher::Advise;
use launcher::locked_directory::{LockedDirectory, without_owner};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{getpid, mkdir, write};
use std::fs::File;
use std::path::{Path, PathBuf};

/// The cgroup above those of all containers. It goes with the last of them.
pub const PARENT: &str = "container-steps";

/// Everybody may look into a cgroup.
const MODE: Mode = Mode::from_bits_truncate(0o755);

/// A cgroup of ours in one hierarchy. It is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) hierarchy: Hierarchy,
    made: Made,
    /// The file by which a process enters.
    entrance: File,
}

// ANCHOR: made
/// A directory that we have made. What is in here is dropped from the top down: first the cgroup
/// goes, then the one above, if it was the last in there, and then the lock.
#[derive(Debug)]
struct Made {
    directory: Directory,
    /// None for a cgroup in a cgroup of ours: it goes with that one.
    _outer: Option<(Parent, LockedDirectory)>,
}

#[derive(Debug)]
struct Directory(Version, PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        remove(self.0, &self.1);
    }
}

/// The cgroup above those of all containers.
#[derive(Debug)]
struct Parent(PathBuf);

impl Drop for Parent {
    fn drop(&mut self) {
        remove_if_empty(&self.0);
    }
}
// ANCHOR_END: made

impl Group {
    // ANCHOR: create
    /// Makes a cgroup that nobody is in, with these controllers.
    pub(crate) fn create(kind: Kind, tree: &Hierarchy, wanted: &[Wanted]) -> Result<Group> {
        let base = delegation::base(kind, tree)?;
        let parent = base.join(PARENT);
        let made = make_and_lock(tree.version, &parent)?;
        tree.version.pass_on(&base, wanted)?;
        tree.version.pass_on(&parent, wanted)?;
        tree.version.inherit_cpus(tree, &parent)?;
        Group::of(tree, made)
    }
    // ANCHOR_END: create

    /// Makes a cgroup in this one.
    pub(crate) fn create_inner(&self, name: &str) -> Result<Group> {
        let path = self.path().join(name);
        mkdir(&path, MODE).with_context(|| format!("cannot make the cgroup {path:?}"))?;
        let directory = Directory(self.hierarchy.version, path);
        Group::of(&self.hierarchy, Made { directory, _outer: None })
    }

    fn of(hierarchy: &Hierarchy, made: Made) -> Result<Group> {
        let (path, file) = (&made.directory.1, hierarchy.version.entrance());
        hierarchy.version.inherit_cpus(hierarchy, path)?;
        let entrance = open_existing(path, file, OFlag::O_WRONLY)
            .with_context(|| format!("cannot open {file} of {path:?}"))?;
        Ok(Group { hierarchy: hierarchy.clone(), made, entrance })
    }

    /// Its directory.
    pub(crate) fn path(&self) -> &Path {
        &self.made.directory.1
    }

    /// Writes the limits that belong to it, and reads them back.
    pub(crate) fn limit(&self, limits: &Limits) -> Result<()> {
        if let Some(cpus) = limits.cpuset_cpus.as_ref().filter(|_| self.hierarchy.has("cpuset")) {
            let file = self.hierarchy.version.cpus();
            let there = control_file::read(self.path(), file);
            let cannot = || format!("cannot read {file} of {:?}", self.path());
            cpus.check_are_in(&there.with_context(cannot)?)?;
        }
        for controller in &self.hierarchy.controllers {
            for setting in self.hierarchy.version.settings(controller, limits) {
                setting.write(self.path())?;
            }
        }
        if self.hierarchy.has("cpu") {
            limits.tell_rounded_cpus();
        }
        Ok(())
    }

    /// Lets the cgroups in this one have controllers. From then on no process may be in this one.
    pub(crate) fn pass_on(&self, wanted: &[Wanted]) -> Result<()> {
        self.hierarchy.version.pass_on(self.path(), wanted)
    }

    /// Moves this process into the cgroup: 0 is whoever writes.
    pub(crate) fn enter(&self) -> Result<()> {
        let entered = write(&self.entrance, b"0").map(drop).advise(|errno| match errno {
            Errno::ENODEV => "somebody has removed it: start again",
            Errno::EINVAL => "a real-time process? See sched(7), real-time group scheduling",
            _ => "see cgroups(7)",
        });
        entered.with_context(|| format!("cannot enter the cgroup {:?}", self.path()))
    }
}

// ANCHOR: make_and_lock
/// Makes a cgroup in `parent` and locks it. The lock on `parent` lasts for that moment only: nobody
/// must take the new directory for one without an owner.
fn make_and_lock(version: Version, parent: &Path) -> Result<Made> {
    loop {
        let above = Parent(parent.to_owned());
        let turn = LockedDirectory::make(parent, MODE)?;
        // The number may be taken: another PID namespace has a launcher of the same number.
        let names = (0..).map(|other| match other {
            0 => getpid().to_string(),
            _ => format!("{}-{other}", getpid()),
        });
        for name in names {
            let (name, path) = (Path::new(&name), parent.join(&name));
            match mkdirat(&turn, name, MODE) {
                Ok(()) => {
                    let directory = Directory(version, path);
                    let lock = LockedDirectory::try_take(&turn, name)?.taken();
                    let lock = lock.with_context(|| format!("{:?} is gone", directory.1))?;
                    return Ok(Made { directory, _outer: Some((above, lock)) });
                }
                Err(Errno::EEXIST) => {}
                Err(Errno::ENOENT) => break, // the last container in `parent` has removed it
                failed => failed.with_context(|| format!("cannot make the cgroup {path:?}"))?,
            }
        }
    }
}
// ANCHOR_END: make_and_lock

// ANCHOR: sweep
/// Removes the cgroups whose launcher has died without a chance to do it. What goes wrong is told,
/// and keeps nobody from starting.
pub(crate) fn sweep(host: &Hierarchies) {
    for tree in &host.all {
        // Where we may make no cgroup, there is none of ours.
        let Ok(base) = delegation::base(host.kind, tree) else { continue };
        if let Err(error) = sweep_in(tree.version, &base.join(PARENT)) {
            tell(&error.context("cannot remove the cgroups of launchers that have died"));
        }
    }
}

fn sweep_in(version: Version, parent: &Path) -> Result<()> {
    let Some(turn) = LockedDirectory::take(AT_FDCWD, parent)? else { return Ok(()) };
    let _removed_if_empty = Parent(parent.to_owned());
    for dead in without_owner(&turn, |_| true)? {
        match dead {
            Ok(dead) => remove(version, &parent.join(dead.path())),
            Err(error) => tell(&error),
        }
    }
    Ok(())
}
// ANCHOR_END: sweep
