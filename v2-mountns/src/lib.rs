//! Step 2: a process with its own mounts (mount_namespaces(7)).
//!
//! The new idea is in this file: a mount namespace whose mounts stay inside, and [`NewRoot`], which
//! becomes `/` by pivot_root(2). Two modules fill it: [`dev`] makes a small `/dev`, [`volume`]
//! brings files and directories of the host in, to a [`place`] that is found or made.

pub mod dev;
pub mod place;
mod system_calls;
pub mod volume;

pub use nix::sched::CloneFlags;
pub use volume::Volume;

use crate::system_calls::{attach, clone_mounts, make_mount};
use anyhow::{Context, Result, anyhow, bail};
use launcher::command_line::note;
use launcher::{close_host_descriptors, lookup};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, ResolveFlag};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{chdir, fchdir, getpid, pivot_root};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

// ANCHOR: unshare
/// unshare(2): gives this process new namespaces of the kinds in `kinds`.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN; ENOSPC if a limit in /proc/sys/user is reached.
pub fn unshare(kinds: CloneFlags) -> Result<()> {
    nix::sched::unshare(kinds).map_err(|errno| {
        let advice = match errno {
            Errno::EPERM => {
                "in a container? It lacks CAP_SYS_ADMIN, or a seccomp filter forbids it: \
                 book/src/setup.md#inside-a-container-or-a-dev-container"
            }
            Errno::ENOSPC => "a limit in /proc/sys/user is reached",
            _ => "see unshare(2)",
        };
        anyhow!("cannot make new namespaces ({kinds:?}): {errno} ({advice})")
    })
}
// ANCHOR_END: unshare

// ANCHOR: private_mounts
/// Cuts every mount of this namespace off from its copy in the host's.
///
/// A new mount namespace is a copy of the old one, but systemd makes all mounts *shared*, and the
/// copy of a shared mount is in its peer group: what is mounted below one appears below all. So
/// this comes before any other mount.
///
/// # Errors
/// EINVAL if `/` is no mount point, as in a chroot.
pub fn private_mounts() -> Result<()> {
    let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, flags, None::<&str>).map_err(|errno| {
        anyhow!("cannot make the mounts private: {errno} (inside a chroot? Enter by pivot_root)")
    })
}
// ANCHOR_END: private_mounts

/// The directory that will be `/`, as a mount of its own. What is mounted in it must be mounted
/// before [`NewRoot::pivot`], while the host's files can still be reached.
#[derive(Debug)]
pub struct NewRoot {
    directory: OwnedFd,
}

impl NewRoot {
    // ANCHOR: bind
    /// Binds `rootfs` onto itself: pivot_root(2) wants a mount point. (It need not be another file
    /// system, as one often reads.)
    ///
    /// # Errors
    /// Those of open_tree(2) and move_mount(2).
    pub fn bind(rootfs: &Path) -> Result<NewRoot> {
        let directory = clone_mounts(AT_FDCWD, rootfs)
            .with_context(|| format!("cannot clone the mount of {rootfs:?}"))?;
        attach(&directory, AT_FDCWD, rootfs)
            .with_context(|| format!("cannot bind {rootfs:?} onto itself"))?;
        Ok(NewRoot { directory })
    }
    // ANCHOR_END: bind

    // ANCHOR: mount_proc
    /// Mounts /proc, which shows the processes of the PID namespace of whoever mounts it.
    ///
    /// Without root, a new /proc is only for who also made the PID namespace that it shows. So v2,
    /// which has none of its own, binds the host's /proc there, and shows the same.
    ///
    /// # Errors
    /// If /proc of the rootfs is a symbolic link, or the kernel refuses the mount.
    pub fn mount_proc(&self) -> Result<()> {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        let Err(errno) = self.mount_new("proc", "proc", flags, "")? else {
            return Ok(());
        };
        let is_in_own_pid_namespace = getpid().as_raw() == 1;
        if errno != Errno::EPERM || is_in_own_pid_namespace {
            bail!(
                "cannot mount proc on /proc: {errno} (in a container? Where parts of the outer \
                 /proc are masked, the kernel allows no new one: run the outer container with \
                 --security-opt systempaths=unconfined)"
            );
        }
        note(format_args!(
            "without root and without its own PID namespace, /proc is the host's, bound"
        ));
        let host = clone_mounts(AT_FDCWD, Path::new("/proc")).context("cannot clone /proc")?;
        attach(&host, self.mount_point("proc")?, Path::new("")).context("cannot bind /proc")
    }
    // ANCHOR_END: mount_proc

    // ANCHOR: pivot
    /// Makes this directory `/`, and takes the host's away: its files, and with them what the
    /// launcher has open of them. For a descriptor needs no path.
    ///
    /// # Errors
    /// EINVAL if the host's root is an initramfs, which cannot be moved.
    pub fn pivot(self) -> Result<()> {
        fchdir(&self.directory).context("cannot enter the new root")?;
        drop(self);
        close_host_descriptors()?;
        change_root()
    }
    // ANCHOR_END: pivot

    /// The same, and descriptors stay open: for a root directory in which there are no names.
    ///
    /// # Errors
    /// As [`NewRoot::pivot`].
    pub fn pivot_with_descriptors(self) -> Result<()> {
        fchdir(&self.directory).context("cannot enter the new root")?;
        change_root()
    }

    /// Mounts a new file system of type `kind` on the directory `name` of the new root. The inner
    /// result is the mount's own, for callers who know another way.
    ///
    /// # Errors
    /// If the mount point cannot be made, or is a symbolic link.
    pub fn mount_new(
        &self,
        name: &str,
        kind: &str,
        flags: MsFlags,
        options: &str,
    ) -> Result<nix::Result<()>> {
        // mount(2) takes a path, and a path in a rootfs may lie. "." cannot.
        fchdir(self.mount_point(name)?).context("cannot enter a mount point")?;
        Ok(mount(Some(kind), ".", Some(kind), flags, Some(options)))
    }

    /// The same, for who will make something in the new file system: gives its root directory. The
    /// name can mean another directory when one looks again, for a container that runs in the same
    /// rootfs may rename.
    ///
    /// # Errors
    /// As [`NewRoot::mount_new`], and those of fsopen(2), fsmount(2) and move_mount(2).
    pub fn mount_and_open(
        &self,
        name: &str,
        kind: &str,
        flags: MsFlags,
        options: &str,
    ) -> Result<OwnedFd> {
        let mount_point = self.mount_point(name)?;
        make_mount(kind, flags, options)
            .and_then(|new| attach(&new, &mount_point, Path::new("")).map(|()| new))
            .with_context(|| format!("cannot mount {kind} on /{name}"))
    }

    /// Mounts an open file on `target`, as a volume.
    ///
    /// # Errors
    /// As [`NewRoot::mount_volumes`].
    pub fn mount_file(&self, file: impl AsFd, target: &Path) -> Result<()> {
        let place = self.volume_target(target, false)?;
        clone_mounts(file, Path::new(""))
            .and_then(|mounts| attach(&mounts, &place, Path::new("")))
            .with_context(|| format!("cannot mount a file on {target:?}"))
    }

    /// Opens the directory `name` of the new root, and makes what is missing of it.
    ///
    /// # Errors
    /// If there is a symbolic link on the way, or a file.
    pub fn mount_point(&self, name: &str) -> Result<OwnedFd> {
        let open = |name: &Path| {
            let links = ResolveFlag::RESOLVE_NO_SYMLINKS;
            open_in(&self.directory, name, OFlag::O_DIRECTORY, links)
        };
        let path = Path::new(name);
        let opened = match open(path) {
            Err(Errno::ENOENT) => {
                let above = path.parent().and_then(Path::to_str).filter(|above| !above.is_empty());
                let above = above.map(|above| self.mount_point(above)).transpose()?;
                let last = path.file_name().unwrap_or(path.as_os_str());
                let mode = Mode::from_bits_truncate(0o755);
                match mkdirat(above.as_ref().unwrap_or(&self.directory), last, mode) {
                    // EEXIST: another container has the same rootfs, and was faster.
                    Ok(()) | Err(Errno::EEXIST) => open(path),
                    Err(errno) => bail!("cannot make /{name} in the rootfs: {errno}"),
                }
            }
            result => result,
        };
        opened.map_err(|errno| {
            let advice = match errno {
                Errno::ELOOP => "it is a symbolic link: that could lead out of the rootfs",
                Errno::ENOTDIR => "it is not a directory",
                _ => "see openat2(2)",
            };
            anyhow!("cannot use /{name} of the rootfs: {errno} ({advice})")
        })
    }
}

/// Makes the directory `name` in a file system that is new and the launcher's own, `above`, and
/// mounts another one there.
///
/// # Errors
/// Those of mkdirat(2), and those of the new mount.
pub fn mount_below(
    above: &OwnedFd,
    name: &str,
    kind: &str,
    flags: MsFlags,
    options: &str,
) -> Result<()> {
    mkdirat(above, name, Mode::from_bits_truncate(0o755))
        .and_then(|()| make_mount(kind, flags, options))
        .and_then(|new| attach(&new, above, Path::new(name)))
        .with_context(|| format!("cannot mount {kind} ({options}) on {name}"))
}

// ANCHOR: change_root
/// Makes the current directory `/`.
///
/// pivot_root(2) with twice the same directory puts the old root on top of the new one; then
/// umount2(2) removes it. Nothing of the host has a name here any more: no `..` leads back.
fn change_root() -> Result<()> {
    pivot_root(".", ".").map_err(|errno| {
        anyhow!("cannot pivot_root: {errno} (is the host's root an initramfs?)")
    })?;
    // MNT_DETACH: it is busy, for instance as the root of our own executable's path.
    umount2(".", MntFlags::MNT_DETACH).context("cannot unmount the old root")?;
    chdir("/").context("cannot enter /")
}
// ANCHOR_END: change_root

/// openat2(2) with O_PATH, below `root` and never above it, whatever links and `..` say.
fn open_in(
    root: impl AsFd,
    path: &Path,
    flags: OFlag,
    resolve: ResolveFlag,
) -> nix::Result<OwnedFd> {
    let resolve = resolve | ResolveFlag::RESOLVE_IN_ROOT;
    lookup::open_in(root, path, flags | OFlag::O_PATH, resolve)
}
