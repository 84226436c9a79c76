//! The directory that will be `/`.

use crate::mount::Mount;
use anyhow::{Context, Result};
use launcher::command_line::note;
use launcher::lookup::{open_in, open_place};
use launcher::{Advise, close_host_descriptors};
use nix::errno::Errno;
use nix::fcntl::{OFlag, ResolveFlag};
use nix::mount::{MntFlags, MsFlags, umount2};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{chdir, fchdir, getpid, pivot_root};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// What to do about EACCES where a mount point is missing.
pub(crate) const OF_SOMEBODY_ELSE: &str = "make it yourself: this user may not write there";

/// The directory that will be `/`, as a mount of its own. What is mounted in it must be mounted
/// before [`NewRoot::pivot`], while the host's files can still be reached.
#[derive(Debug)]
pub struct NewRoot {
    pub(crate) mount: Mount,
}

impl NewRoot {
    // ANCHOR: bind
    /// Binds `rootfs` onto itself: pivot_root(2) wants a mount point. (It need not be another file
    /// system, as one often reads.)
    ///
    /// # Errors
    /// Those of openat2(2), open_tree(2) and move_mount(2).
    pub fn bind(rootfs: &Path) -> Result<NewRoot> {
        let place = open_place(rootfs).with_context(|| format!("cannot open {rootfs:?}"))?;
        let mount = Mount::copy_of(&place)
            .with_context(|| format!("cannot copy the mount of {rootfs:?}"))?;
        mount.attach(place).with_context(|| format!("cannot bind {rootfs:?} onto itself"))?;
        Ok(NewRoot { mount })
    }
    // ANCHOR_END: bind

    /// Takes a mount that has its place already.
    pub fn of(mount: Mount) -> NewRoot {
        NewRoot { mount }
    }

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
        let is_in_own_pid_namespace = getpid().as_raw() == 1;
        let proc = match Mount::new("proc", flags, "") {
            Ok(new) => new,
            Err(Errno::EPERM) if !is_in_own_pid_namespace => {
                note(format_args!(
                    "without root and without its own PID namespace, /proc is the host's, bound"
                ));
                let of_host = open_place(Path::new("/proc")).and_then(Mount::copy_of);
                of_host.context("cannot copy the host's /proc")?
            }
            refused @ Err(_) => {
                let advice = "in a container? Where parts of the outer /proc are masked, the \
                              kernel allows no new one: run the outer container with \
                              --security-opt systempaths=unconfined";
                refused.advise(|_| advice).context("cannot mount proc on /proc")?
            }
        };
        self.attach(&proc, "proc")
    }
    // ANCHOR_END: mount_proc

    // ANCHOR: attach
    /// Mounts a new file system of the type `kind` on the directory `name` of the new root. Whoever
    /// will make something in it needs what this returns: the name can mean another directory when
    /// one looks again, for a container that runs in the same rootfs may rename.
    ///
    /// # Errors
    /// Those of [`Mount::new`] and [`NewRoot::attach`].
    pub fn mount_new(
        &self,
        name: &str,
        kind: &str,
        flags: MsFlags,
        options: &str,
    ) -> Result<Mount> {
        let mount = Mount::new(kind, flags, options)
            .with_context(|| format!("cannot mount {kind} on /{name}"))?;
        self.attach(&mount, name)?;
        Ok(mount)
    }

    /// Puts a mount on the directory `name` of the new root, and makes what is missing of it.
    ///
    /// # Errors
    /// If there is a symbolic link on the way, or a file; and those of move_mount(2).
    pub fn attach(&self, mount: &Mount, name: &str) -> Result<()> {
        let place = self.mount_point(&Path::new(".").join(name));
        let place = place.advise(|errno| match errno {
            Errno::ELOOP => "it is a symbolic link: that could lead out of the rootfs",
            Errno::ENOTDIR => "it is not a directory",
            Errno::EROFS => "make it yourself: the rootfs is read-only",
            Errno::EACCES => OF_SOMEBODY_ELSE,
            _ => "see openat2(2)",
        });
        let place = place.with_context(|| format!("cannot use /{name} of the rootfs"))?;
        mount.attach(place).with_context(|| format!("cannot attach the mount on /{name}"))
    }

    fn mount_point(&self, path: &Path) -> nix::Result<OwnedFd> {
        let links = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_SYMLINKS;
        let open = || open_in(&self.mount, path, OFlag::O_PATH | OFlag::O_DIRECTORY, links);
        match (open(), path.parent(), path.file_name()) {
            (Err(Errno::ENOENT), Some(above), Some(name)) => {
                let above = self.mount_point(above)?;
                match mkdirat(above, name, Mode::from_bits_truncate(0o755)) {
                    // EEXIST: another container has the same rootfs, and was faster.
                    Ok(()) | Err(Errno::EEXIST) => open(),
                    Err(errno) => Err(errno),
                }
            }
            (opened, ..) => opened,
        }
    }
    // ANCHOR_END: attach

    // ANCHOR: pivot
    /// Makes this directory `/`, and takes the host's away: its files, and with them what the
    /// launcher has open of them. For a descriptor needs no path.
    ///
    /// # Errors
    /// EINVAL if the host's root is an initramfs, which cannot be moved.
    pub fn pivot(self) -> Result<()> {
        change_root(&self.mount)?;
        drop(self);
        close_host_descriptors()
    }
    // ANCHOR_END: pivot

    /// The same, and descriptors stay open: for a root directory in which there are no names.
    ///
    /// # Errors
    /// As [`NewRoot::pivot`].
    pub fn pivot_with_descriptors(self) -> Result<()> {
        change_root(&self.mount)
    }
}

// ANCHOR: change_root
/// pivot_root(2) with twice the same directory puts the old root on top of the new one; then
/// umount2(2) removes it. Nothing of the host has a name here any more: no `..` leads back.
///
/// So the manual page has it, and so `.` is no name that could lie: it is the new root before the
/// call, and what lies on top of it afterwards.
fn change_root(new: impl AsFd) -> Result<()> {
    fchdir(new).context("cannot enter the new root")?;
    pivot_root(".", ".")
        .advise(|_| "is the host's root an initramfs?")
        .context("cannot pivot_root")?;
    // MNT_DETACH: it is busy, for instance as the root of our own executable's path.
    umount2(".", MntFlags::MNT_DETACH).context("cannot unmount the old root")?;
    chdir("/").context("cannot enter /")
}
// ANCHOR_END: change_root
