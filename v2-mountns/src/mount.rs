//! A mount as a descriptor, with a place or without.
//!
//! mount(2) does all in one call, by names. A name in a hostile rootfs can mean something else each
//! time one looks, and a mount that is made at its place can be used before it is ready. So here
//! it comes in two moves: a mount is made or copied, and nobody else can reach it; when it is
//! ready, it is put on what was opened as its place.

use crate::system_calls::{self, fsconfig_create, fsconfig_set, fsmount, fsopen};
use anyhow::{Context, Result};
use launcher::lookup::{by_descriptor, open_in};
use nix::fcntl::{OFlag, ResolveFlag};
use nix::mount::{MntFlags, MsFlags, umount2};
use nix::sys::stat::{Mode, mkdirat};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// A mount: an open descriptor of its root directory, or of the one file that is mounted. What was
/// made or copied and has no place yet goes when this value does; what has one stays.
#[derive(Debug)]
pub struct Mount {
    root: OwnedFd,
}

impl Mount {
    // ANCHOR: new
    /// Makes a new file system of the type `kind`, and a mount of it that has no place yet.
    /// `options` are those of mount(2), with commas between them.
    ///
    /// # Errors
    /// Those of fsopen(2), fsconfig(2) and fsmount(2): EPERM where the kernel allows no new one.
    pub fn new(kind: &str, flags: MsFlags, options: &str) -> nix::Result<Mount> {
        let context = fsopen(kind)?;
        fsconfig_set(&context, "source", Some(kind))?; // the first word of a line in /proc/mounts
        for option in options.split(',').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some((key, value)) => fsconfig_set(&context, key, Some(value))?,
                None => fsconfig_set(&context, option, None)?,
            }
        }
        if flags.contains(MsFlags::MS_RDONLY) {
            // The file system as well as this mount of it. Else root of a user namespace, who sees
            // this one, could mount the same once more, to write to.
            fsconfig_set(&context, "ro", None)?;
        }
        fsconfig_create(&context)?;
        // The four flags that we use have the same numbers here (MOUNT_ATTR_RDONLY ...).
        Ok(Mount { root: fsmount(&context, flags.bits())? })
    }
    // ANCHOR_END: new

    // ANCHOR: copy_and_attach
    /// Copies the mount of an open file or directory, from there on down, with all that is mounted
    /// below. This and [`Mount::attach`] are a bind mount.
    ///
    /// # Errors
    /// Those of open_tree(2): EINVAL if the file is of another mount namespace.
    pub fn copy_of(file: impl AsFd) -> nix::Result<Mount> {
        Ok(Mount { root: system_calls::open_tree(file)? })
    }

    /// Makes it read-only, and all that is mounted below it. (mount(2) changes only the topmost.)
    ///
    /// # Errors
    /// Those of mount_setattr(2): EBUSY if a file in it is open for writing.
    pub fn make_read_only(&self) -> nix::Result<()> {
        system_calls::mount_setattr(&self.root, libc::MOUNT_ATTR_RDONLY, libc::AT_RECURSIVE)
    }

    /// Makes this one mount read-only, and leaves those below it as they are. Other mounts of the
    /// same file system, such as the host's, are written to as before.
    ///
    /// # Errors
    /// As [`Mount::make_read_only`].
    pub fn make_top_read_only(&self) -> nix::Result<()> {
        system_calls::mount_setattr(&self.root, libc::MOUNT_ATTR_RDONLY, 0)
    }

    /// Puts it on an open file or directory, whatever that is called by now.
    ///
    /// # Errors
    /// Those of move_mount(2): EINVAL if it has a place already, ENOTDIR if one is a file and the
    /// other a directory.
    pub fn attach(&self, place: impl AsFd) -> nix::Result<()> {
        system_calls::move_mount(&self.root, place)
    }
    // ANCHOR_END: copy_and_attach

    /// Takes the root directory of what is mounted already.
    pub fn of_root(root: OwnedFd) -> Mount {
        Mount { root }
    }

    /// Makes the directory `name` in this file system, which must be new and the launcher's own,
    /// and mounts a new one there.
    ///
    /// # Errors
    /// Those of mkdirat(2), and those of [`Mount::new`] and [`Mount::attach`].
    pub fn mount_below(&self, name: &str, kind: &str, flags: MsFlags, options: &str) -> Result<()> {
        let path = Path::new(name);
        mkdirat(&self.root, path, Mode::from_bits_truncate(0o755))
            .and_then(|()| open_in(&self.root, path, OFlag::O_PATH, ResolveFlag::empty()))
            .and_then(|place| Mount::new(kind, flags, options)?.attach(place))
            .with_context(|| format!("cannot mount {kind} ({options}) on {name}"))
    }

    /// Takes it from its place. What was copied of it elsewhere stays.
    ///
    /// # Errors
    /// Those of umount2(2).
    pub fn detach(self) -> nix::Result<()> {
        umount2(&by_descriptor(&self.root), MntFlags::MNT_DETACH)
    }
}

impl AsFd for Mount {
    /// Its root.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }
}
