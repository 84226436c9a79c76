//! Mounts by descriptor instead of by path: the system calls that `nix` does not have yet. All
//! `unsafe` of this crate.
//!
//! open_tree(2) clones a mount without a place, mount_setattr(2) changes it while nobody can see
//! it, move_mount(2) gives it its place. mount(2) does the same by names alone, and a name in a
//! hostile rootfs can mean something else each time one looks.

use nix::errno::Errno;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const EMPTY: &CStr = c"";

/// Clones the mount at `path`, seen from `directory`, and all mounts below it: what a recursive bind
/// mount attaches. An empty path is `directory` itself, or the file that is open there.
pub(crate) fn clone_mounts(directory: impl AsFd, path: &Path) -> nix::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    let mut flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | libc::AT_RECURSIVE as u32;
    if path.is_empty() {
        flags |= libc::AT_EMPTY_PATH as u32;
    }
    let directory = directory.as_fd().as_raw_fd();
    // SAFETY: `path` ends in a zero byte and lives until the call returns.
    let result = unsafe { libc::syscall(libc::SYS_open_tree, directory, path.as_ptr(), flags) };
    let descriptor = Errno::result(result)?;
    let descriptor = i32::try_from(descriptor).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Makes cloned mounts read-only, every one of them. (mount(2) changes only the topmost.)
pub(crate) fn make_read_only(mounts: &OwnedFd) -> nix::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    let flags = libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
    // SAFETY: the path is a C string, the structure and its size belong together; both outlive the
    // call, which only reads them.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mounts.as_raw_fd(),
            EMPTY.as_ptr(),
            flags,
            &raw const attributes,
            size_of_val(&attributes),
        )
    };
    Errno::result(result).map(drop)
}

/// Attaches cloned mounts on the file or directory `path`, seen from `directory`; an empty path is
/// `directory` itself.
pub(crate) fn attach(mounts: &OwnedFd, directory: impl AsFd, path: &Path) -> nix::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    let mut flags = libc::MOVE_MOUNT_F_EMPTY_PATH;
    if path.is_empty() {
        flags |= libc::MOVE_MOUNT_T_EMPTY_PATH;
    }
    // SAFETY: both paths end in a zero byte and outlive the call; the rest are integers.
    let result = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            mounts.as_raw_fd(),
            EMPTY.as_ptr(),
            directory.as_fd().as_raw_fd(),
            path.as_ptr(),
            flags,
        )
    };
    Errno::result(result).map(drop)
}
