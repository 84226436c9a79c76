//! Files: busybox and the cache, how / is mounted, overlayfs, cgroups, programs that are called.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use launcher::command_line::one_line;
use launcher::mountinfo::{Mount, mounts_of};
use launcher::{Caller, become_root};
use nix::mount::{MsFlags, mount, umount};
use nix::sched::CloneFlags;
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{AccessFlags, access, geteuid};
use v2_mountns::{private_mounts, unshare};

use super::finding::{
    CGROUP_PAGE, CGROUP_V1, COMMAND_TROUBLE, Finding, IMAGE_TROUBLE, MOUNTS, ROOTLESS_TROUBLE,
    SETUP,
};
use super::machine::read;
use crate::child::attempt;

/// Names that the verdicts refer to.
pub(super) const ROOTFS: &str = "rootfs";
pub(super) const CACHE: &str = "cache";
pub(super) const OVERLAY: &str = "overlayfs";
pub(super) const CGROUPS: &str = "cgroups";
pub(super) const NFT: &str = "nft";

pub(super) fn probe_all() -> Vec<Finding> {
    vec![
        busybox_rootfs(),
        cache(),
        propagation(&mounts_of("self").unwrap_or_default()),
        overlay(),
        cgroups(),
        program(NFT, "nftables", "containers with a way outside (step 5, as root)"),
        program("strace", "strace", "cargo workshop trace"),
    ]
}

/// Made as by the first start of a step, busybox included.
fn busybox_rootfs() -> Finding {
    let made = attempt(|| rootfs::prepare(&Caller::of_this_process(), None).map(drop));
    let place = Caller::of_this_process()
        .rootfs()
        .map(|path| path.display().to_string())
        .unwrap_or_default();
    Finding::of_attempt(ROOTFS, &format!("busybox, in {place}"), made).page(SETUP)
}

fn cache() -> Finding {
    let flags = Caller::of_this_process()
        .cache()
        .map_err(|error| one_line(&error))
        .and_then(|path| Ok((statvfs(&path).map_err(|errno| errno.to_string())?.flags(), path)));
    let (flags, path) = match flags {
        Ok(found) => found,
        Err(error) => return Finding::bad(CACHE, error).page(SETUP),
    };
    let path = path.display();
    let elsewhere = "another place: XDG_CACHE_HOME for an ordinary user, or --rootfs DIR";
    if flags.contains(FsFlags::ST_NOEXEC) {
        return Finding::bad(CACHE, format!("{path} is mounted noexec"))
            .because("no program in it can be executed")
            .cure(elsewhere)
            .page(COMMAND_TROUBLE);
    }
    if flags.contains(FsFlags::ST_RDONLY) {
        return Finding::bad(CACHE, format!("{path} is read-only")).cure(elsewhere);
    }
    if flags.contains(FsFlags::ST_NODEV) {
        return Finding::good(
            CACHE,
            format!("{path} (nodev: the steps mount a /dev of their own)"),
        );
    }
    Finding::good(CACHE, path.to_string())
}

/// Whether the mount on / is in a peer group.
fn propagation(mounts: &[Mount]) -> Finding {
    let name = "propagation";
    let root = mounts.iter().rfind(|mount| mount.mount_point == Path::new("/"));
    match root {
        Some(mount) if mount.is_shared() => {
            Finding::good(name, "/ is shared, as systemd makes it; step 2 shows why that matters")
        }
        Some(_) => Finding::note(name, "/ is private")
            .because("no systemd has made it shared, so a mount that leaks does not show here")
            .cure("nothing; the exercises make a host with shared mounts")
            .page(MOUNTS),
        None => Finding::note(name, "/ is no mount point")
            .because("you are in a chroot")
            .cure("enter the directory with bwrap or systemd-nspawn instead")
            .page(ROOTLESS_TROUBLE),
    }
}

/// Step 7's file system, with its writable layer in the cache, as a step will do it.
fn overlay() -> Finding {
    let is_root = geteuid().is_root();
    let works = if is_root { "works" } else { "works without root (userxattr)" };
    let tried =
        Caller::of_this_process().cache().map_err(|error| one_line(&error)).and_then(|cache| {
            let directory = cache.join(format!("doctor-{}", std::process::id()));
            let tried = attempt(|| try_overlay(&directory, !is_root));
            // The attempt has removed it, unless it failed half-way.
            match fs::remove_dir_all(&directory) {
                Err(error) if directory.exists() => {
                    Err(format!("cannot remove {directory:?}: {error}"))
                }
                _ => tried,
            }
        });
    let is_refused = tried.as_ref().is_err_and(|text| text.contains("cannot mount an overlay"));
    let finding = Finding::of_attempt(OVERLAY, works, tried).page(IMAGE_TROUBLE);
    if is_refused {
        let cause = "an upper layer cannot lie on overlayfs, NFS, or some FUSE file systems";
        return finding.because(cause).cure("another place for the cache: XDG_CACHE_HOME");
    }
    finding
}

fn try_overlay(directory: &Path, in_user_namespace: bool) -> Result<()> {
    become_root(Caller::of_this_process())?;
    unshare(CloneFlags::CLONE_NEWNS)?;
    private_mounts()?;
    for name in ["lower", "upper", "work", "merged"] {
        let path = directory.join(name);
        fs::create_dir_all(&path).with_context(|| format!("cannot make {path:?}"))?;
    }
    env::set_current_dir(directory).with_context(|| format!("cannot enter {directory:?}"))?;
    fs::write("lower/file", "below").context("cannot write into the lower layer")?;
    let options = "lowerdir=lower,upperdir=upper,workdir=work";
    let options =
        if in_user_namespace { format!("{options},userxattr") } else { options.to_owned() };
    let flags = MsFlags::MS_NODEV | MsFlags::MS_NOSUID;
    mount(Some("overlay"), "merged", Some("overlay"), flags, Some(options.as_str()))
        .with_context(|| format!("cannot mount an overlay in {directory:?}"))?;
    let changed = fs::remove_file("merged/file").context("cannot remove a file of a lower layer");
    umount("merged").context("cannot unmount the overlay")?;
    changed?;
    env::set_current_dir("/").context("cannot enter /")?;
    fs::remove_dir_all(directory).with_context(|| format!("cannot remove {directory:?}"))
}

/// Which kind, and whether we may make one. access(2) asks the kernel without making any.
fn cgroups() -> Finding {
    let is_v2 =
        |path: &str| statfs(path).is_ok_and(|found| found.filesystem_type() == CGROUP2_SUPER_MAGIC);
    let own = read("/proc/self/cgroup");
    let own = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    let own = own.trim_start_matches('/');
    let (kind, place) = if is_v2("/sys/fs/cgroup") {
        let root = Path::new("/sys/fs/cgroup");
        ("v2", if geteuid().is_root() { root.to_owned() } else { root.join(own) })
    } else if is_v2("/sys/fs/cgroup/unified") {
        ("hybrid: v1 with an empty v2", PathBuf::from("/sys/fs/cgroup/memory"))
    } else {
        ("v1", PathBuf::from("/sys/fs/cgroup/memory"))
    };
    let page = if kind == "v2" { CGROUP_PAGE } else { CGROUP_V1 };
    let may_write = access(&place, AccessFlags::W_OK);
    if may_write.is_ok() {
        return Finding::good(CGROUPS, format!("{kind}; you may make some"));
    }
    let finding = Finding::note(CGROUPS, format!("{kind}; you may make none")).page(page);
    match (kind, geteuid().is_root()) {
        ("v2", false) => finding
            .because("a part of the tree must be handed over to you: delegation")
            .cure("start a shell with: systemd-run --user --scope -p Delegate=yes $SHELL"),
        (_, false) => finding
            .because("cgroup v1 cannot be handed over to a user")
            .cure("take root for the limits of step 6: cargo root -p v6-cgroups"),
        (_, true) => finding
            .because("cgroups are not mounted, or read-only as in a container")
            .cure("for Docker: --privileged"),
    }
}

/// A program that something calls.
fn program(name: &'static str, package: &str, who: &str) -> Finding {
    match launcher::program::find(name) {
        Ok(path) => Finding::good(name, path.display().to_string()),
        Err(_) => Finding::note(name, "not installed")
            .because(format!("needed for: {who}"))
            .cure(format!("install the package {package}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::State;

    #[test]
    fn propagation_is_an_optional_field() {
        let found = |line: &str| propagation(&launcher::mountinfo::parse(line.as_bytes()));
        let line = |field: &str| format!("21 1 0:19 / / rw,relatime {field}- ext4 /dev/sda1 rw");
        assert_eq!(found(&line("shared:1 ")).state, State::Good);
        assert_eq!(found(&line("")).state, State::Note);
        assert!(found("22 21 0:19 / /proc rw - proc proc rw").seen.contains("no mount"));
    }

    #[test]
    fn a_program_that_is_missing_is_told() {
        assert_eq!(program("sh", "dash", "all").state, State::Good);
        assert_eq!(program("no-such-program", "none", "nobody").state, State::Note);
    }
}
