//! A container of each step, up to execve(2): tried, with the steps' own functions.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use launcher::rootless::lacks_ids;
use launcher::{Caller, become_root, become_root_with_subordinate_ids, exec};
use nix::mount::{MsFlags, mount};
use nix::sched::CloneFlags;
use nix::unistd::{geteuid, sethostname};
use v1_chroot::enter_rootfs;
use v2_mountns::{NewRoot, private_mounts, unshare};
use v3_pidns::fork_into_pid_namespace;

use super::finding::{Finding, MOUNT_TROUBLE, MOUNTS, ROOTLESS, ROOTLESS_TROUBLE};
use crate::child::attempt;

/// Names that the verdicts refer to.
pub(super) const USER: &str = "user namespace";
pub(super) const CHROOT: &str = "a root directory";
pub(super) const MOUNT: &str = "mounts";
pub(super) const PID: &str = "process numbers";
pub(super) const UTS: &str = "hostname";
pub(super) const NET: &str = "network";
pub(super) const IPC: &str = "shared memory";
pub(super) const CGROUP: &str = "cgroup namespace";

pub(super) fn probe_all() -> Vec<Finding> {
    let new =
        |kind| attempt(move || become_root(Caller::of_this_process()).and_then(|_| unshare(kind)));
    let of = Finding::of_attempt;
    vec![
        user(),
        more_ids(),
        in_rootfs(CHROOT, "chroot works", change_root).page(ROOTLESS_TROUBLE),
        in_rootfs(MOUNT, "a mount namespace, /proc, /dev, pivot_root work", |rootfs| {
            pivot(rootfs, false)
        })
        .page(MOUNTS),
        in_rootfs(PID, "a PID namespace with a /proc of its own works", |rootfs| {
            pivot(rootfs, true)
        })
        .page(MOUNT_TROUBLE),
        of(UTS, "a UTS namespace and a new name work", attempt(rename)).page(ROOTLESS_TROUBLE),
        of(NET, "a network namespace works", new(CloneFlags::CLONE_NEWNET)),
        of(IPC, "an IPC namespace works", new(CloneFlags::CLONE_NEWIPC)),
        of(CGROUP, "a cgroup namespace works", new(CloneFlags::CLONE_NEWCGROUP)),
    ]
}

/// Tries something with the rootfs, if there is one; that there is none is another probe's finding.
fn in_rootfs(name: &'static str, works: &str, work: impl FnOnce(&Path) -> Result<()>) -> Finding {
    match Caller::of_this_process().rootfs() {
        Ok(rootfs) if rootfs.join("bin/busybox").is_file() => {
            Finding::of_attempt(name, works, attempt(|| work(&rootfs)))
        }
        _ => Finding::note(name, "not tried, since there is no rootfs").cure("see rootfs, above"),
    }
}

/// What the files of an image need, if they belong to many.
fn more_ids() -> Finding {
    let name = "more ids than one";
    if geteuid().is_root() {
        return Finding::good(name, "not needed: you are root");
    }
    let tried = attempt(|| {
        become_root_with_subordinate_ids(Caller::of_this_process())?;
        lacks_ids().map_or(Ok(()), |why| Err(anyhow!(why)))
    });
    match tried {
        Ok(()) => Finding::good(name, "a range of them: the files of an image keep their owners"),
        Err(why) => Finding::note(name, "none, so the files of an image all belong to root")
            .because(why)
            .page(ROOTLESS),
    }
}

/// Making one proves nothing: AppArmor lets one make it and takes the capabilities away. So the
/// maps are written and something is mounted.
fn user() -> Finding {
    if geteuid().is_root() && attempt(|| unshare(CloneFlags::CLONE_NEWNS)).is_ok() {
        return Finding::good(USER, "not needed: you are root");
    }
    let tried = attempt(|| {
        become_root(Caller::of_this_process())?;
        unshare(CloneFlags::CLONE_NEWNS)?;
        private_mounts()?;
        mount_in_memory("/tmp")
    });
    Finding::of_attempt(USER, "makes you root, and root may mount", tried).page(ROOTLESS)
}

/// Mounts an empty file system, in a mount namespace of one's own.
pub(super) fn mount_in_memory(path: &str) -> Result<()> {
    mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::empty(), None::<&str>)
        .with_context(|| format!("cannot mount tmpfs on {path}"))
}

/// Step 1.
fn change_root(rootfs: &Path) -> Result<()> {
    become_root(Caller::of_this_process())?;
    enter_rootfs(rootfs)?;
    exec(&["true".into()]).map(|_| ())
}

/// Step 2, or step 3 if it is to be `in_pid_namespace`.
fn pivot(rootfs: &Path, in_pid_namespace: bool) -> Result<()> {
    become_root(Caller::of_this_process())?;
    if in_pid_namespace {
        fork_into_pid_namespace()?;
    }
    unshare(CloneFlags::CLONE_NEWNS)?;
    private_mounts()?;
    let root = NewRoot::bind(rootfs)?;
    root.mount_proc()?;
    root.mount_dev()?;
    root.pivot()?;
    exec(&["true".into()]).map(|_| ())
}

/// Step 4.
fn rename() -> Result<()> {
    become_root(Caller::of_this_process())?;
    unshare(CloneFlags::CLONE_NEWUTS)?;
    sethostname("doctor").context("cannot set the hostname")
}
