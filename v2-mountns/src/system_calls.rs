//! Mounts by descriptor instead of by path: the system calls that `nix` does not have yet. All
//! `unsafe` of this crate.
//!
//! open_tree(2) clones a mount without a place, mount_setattr(2) changes it while nobody can see
//! it, move_mount(2) gives it its place. A new file system comes by fsopen(2), fsconfig(2) and
//! fsmount(2). mount(2) does the same by names alone, and a name in a hostile rootfs can mean
//! something else each time one looks.

use nix::errno::Errno;
use nix::mount::MsFlags;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

const EMPTY: &CStr = c"";

/// Clones the mount at `path`, seen from `directory`, and all mounts below it: what a recursive
/// bind mount attaches. An empty path is `directory` itself, or the file that is open there.
pub(crate) fn clone_mounts(directory: impl AsFd, path: &Path) -> nix::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    let mut flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | libc::AT_RECURSIVE as u32;
    if path.is_empty() {
        flags |= libc::AT_EMPTY_PATH as u32;
    }
    let directory = directory.as_fd().as_raw_fd();
    // SAFETY: `path` ends in a zero byte and lives until the call returns.
    new_descriptor(unsafe { libc::syscall(libc::SYS_open_tree, directory, path.as_ptr(), flags) })
}

/// Makes a new file system, and a mount of it without a place. `options` are those of mount(2).
pub(crate) fn make_mount(kind: &str, flags: MsFlags, options: &str) -> nix::Result<OwnedFd> {
    let name = CString::new(kind).map_err(|_| Errno::EINVAL)?;
    // SAFETY: `name` ends in a zero byte and lives until the call returns.
    let context = new_descriptor(unsafe {
        libc::syscall(libc::SYS_fsopen, name.as_ptr(), libc::FSOPEN_CLOEXEC)
    })?;
    configure(&context, libc::FSCONFIG_SET_STRING, Some("source"), Some(kind))?;
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some((key, value)) => {
                configure(&context, libc::FSCONFIG_SET_STRING, Some(key), Some(value))?;
            }
            None => configure(&context, libc::FSCONFIG_SET_FLAG, Some(option), None)?,
        }
    }
    configure(&context, libc::FSCONFIG_CMD_CREATE, None, None)?;
    // The four flags that we use have the same numbers here (fsmount(2): MOUNT_ATTR_RDONLY ...).
    let attributes = flags.bits();
    // SAFETY: three integers.
    new_descriptor(unsafe {
        libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), libc::FSMOUNT_CLOEXEC, attributes)
    })
}

/// fsconfig(2): one setting of a file system that is being made, or the command to make it.
fn configure(
    context: &OwnedFd,
    command: libc::c_uint,
    key: Option<&str>,
    value: Option<&str>,
) -> nix::Result<()> {
    let text = |text: Option<&str>| text.map(CString::new).transpose().map_err(|_| Errno::EINVAL);
    let (key, value) = (text(key)?, text(value)?);
    let pointer = |text: &Option<CString>| text.as_ref().map_or(ptr::null(), |it| it.as_ptr());
    // SAFETY: each pointer is null or that of a C string that lives until the call returns; which
    // of them may be null, the kernel checks.
    let result = unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            context.as_raw_fd(),
            command,
            pointer(&key),
            pointer(&value),
            0,
        )
    };
    Errno::result(result).map(drop)
}

/// What a call has returned that makes a descriptor.
fn new_descriptor(result: libc::c_long) -> nix::Result<OwnedFd> {
    let descriptor = i32::try_from(Errno::result(result)?).map_err(|_| Errno::EBADF)?;
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
