//! The cgroup in which ours is made, and the controllers in it.
//!
//! Root makes it at the top of the tree. Anybody else needs a cgroup that was *delegated*: whose
//! directory belongs to the user. Only v2 is safe to delegate.

use crate::cgroup_v1;
use crate::control_file;
use crate::hierarchy::{Hierarchy, Kind, Version, Wanted};
use anyhow::{Context, Result, bail};
use launcher::Advise;
use launcher::command_line::note;
use nix::errno::Errno;
use nix::sys::stat::Mode;
use nix::unistd::{AccessFlags, access, mkdir};
use std::path::{Path, PathBuf};

/// The command that gives a user a cgroup of its own.
const DELEGATE: &str = "systemd-run --user --scope -p Delegate=yes COMMAND";

/// Where the processes of a delegated cgroup go, to make room for children with controllers.
const LEAF: &str = "container-steps-callers";

// ANCHOR: base
/// The directory in which the cgroups of our containers are to be made: the topmost if we may
/// write there, else the caller's own.
pub(crate) fn base(kind: Kind, hierarchy: &Hierarchy) -> Result<PathBuf> {
    let top = &hierarchy.mount_point;
    let refused = match access(top, AccessFlags::W_OK) {
        Ok(()) => return Ok(top.clone()),
        Err(errno) => errno,
    };
    if refused == Errno::EROFS {
        bail!(
            "cannot make a cgroup in {top:?}: {refused} (in a container? Run the outer one with \
             --privileged)"
        );
    }
    if hierarchy.version == Version::V1 {
        return Err(cgroup_v1::not_delegated(kind, top, refused));
    }
    let own = hierarchy.own_cgroup()?;
    let own = match own.parent() {
        Some(parent) if own.ends_with(LEAF) => parent.to_owned(),
        _ => own,
    };
    access(&own, AccessFlags::W_OK)
        .advise(|_| format!("it was not delegated to you: {DELEGATE}"))
        .with_context(|| format!("cannot make a cgroup in {own:?}"))?;
    Ok(own)
}
// ANCHOR_END: base

// ANCHOR: enable
/// Switches controllers on for the children of `directory`, a cgroup of v2.
///
/// A controller is in a cgroup only if the parent passes it on. And a cgroup that passes
/// controllers on may hold no processes itself (but for the root of the whole tree), or they would
/// compete with its children: EBUSY. So processes have to move into a leaf first.
pub(crate) fn enable(directory: &Path, wanted: &[Wanted]) -> Result<()> {
    let available = read(directory, "cgroup.controllers")?;
    let mut change = String::new();
    for Wanted { name, is_required } in wanted {
        if available.split_whitespace().any(|it| it == *name) {
            change += &format!(" +{name}");
        } else if *is_required {
            bail!(
                "the controller {name:?} was not passed on to the cgroup {directory:?} (which has \
                 {:?}; see Delegate= in systemd.resource-control(5))",
                available.trim()
            );
        }
    }
    // Among processes that fork all the time, it may take more than one round.
    for _ in 0..100 {
        let written = control_file::write(directory, "cgroup.subtree_control", &change);
        if written == Err(Errno::EBUSY) {
            move_to_leaf(directory)?;
            continue;
        }
        let written = written.advise(|errno| match errno {
            Errno::EINVAL => "are there real-time processes? See ps -eL -o pid,cls,comm | grep RR",
            Errno::EACCES => "a part of it was delegated, and this file was not",
            _ => "see cgroups(7)",
        });
        return written
            .with_context(|| format!("cannot pass on{change} to the children of {directory:?}"));
    }
    bail!("cannot empty the cgroup {directory:?}: its processes fork too fast")
}
// ANCHOR_END: enable

// ANCHOR: move_to_leaf
/// Moves every process of a cgroup into a child of it, the caller's shell and us included.
fn move_to_leaf(directory: &Path) -> Result<()> {
    let leaf = directory.join(LEAF);
    match mkdir(&leaf, Mode::from_bits_truncate(0o755)) {
        Ok(()) => note(format_args!(
            "the processes of your cgroup were moved into {}, to make room for containers",
            leaf.display()
        )),
        Err(Errno::EEXIST) => {}
        failed => failed.with_context(|| format!("cannot make the cgroup {leaf:?}"))?,
    }
    for pid in read(directory, "cgroup.procs")?.lines() {
        match control_file::write(&leaf, "cgroup.procs", pid) {
            Err(Errno::ESRCH) => {} // it has ended
            moved if pid == "0" => moved
                .advise(|_| "it holds processes of another PID namespace")
                .with_context(|| format!("cannot empty the cgroup {directory:?}"))?,
            moved => moved.with_context(|| format!("cannot move process {pid} into {leaf:?}"))?,
        }
    }
    Ok(())
}
// ANCHOR_END: move_to_leaf

fn read(directory: &Path, name: &str) -> Result<String> {
    control_file::read(directory, name)
        .with_context(|| format!("cannot read {name} of the cgroup {directory:?}"))
}
