//! Mounts by descriptor instead of by path: the system calls that `nix` does not have yet, each
//! under its own name. All `unsafe` of this crate. (They are in Linux since 5.2, mount_setattr(2)
//! since 5.12.)

use nix::NixPath;
use nix::errno::Errno;
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

const EMPTY: &CStr = c"";

/// open_tree(2): copies the mount of an open file or directory, from there on down, and all mounts
/// below it.
pub(crate) fn open_tree(file: impl AsFd) -> nix::Result<OwnedFd> {
    let of_file = libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | of_file as u32;
    let file = file.as_fd().as_raw_fd();
    // SAFETY: the path is a C string that lives for ever; the rest are integers.
    new_descriptor(unsafe { libc::syscall(libc::SYS_open_tree, file, EMPTY.as_ptr(), flags) })
}

/// fsopen(2): begins to make a file system of the type `kind`.
pub(crate) fn fsopen(kind: &str) -> nix::Result<OwnedFd> {
    kind.with_nix_path(|kind| {
        // SAFETY: `kind` ends in a zero byte and lives until the call returns.
        new_descriptor(unsafe {
            libc::syscall(libc::SYS_fsopen, kind.as_ptr(), libc::FSOPEN_CLOEXEC)
        })
    })?
}

/// fsconfig(2): sets an option of a file system that is being made.
pub(crate) fn fsconfig_set(context: &OwnedFd, key: &str, value: Option<&str>) -> nix::Result<()> {
    key.with_nix_path(|key| match value {
        None => fsconfig(context, libc::FSCONFIG_SET_FLAG, Some(key), None),
        Some(value) => value.with_nix_path(|value| {
            fsconfig(context, libc::FSCONFIG_SET_STRING, Some(key), Some(value))
        })?,
    })?
}

/// fsconfig(2): makes the file system.
pub(crate) fn fsconfig_create(context: &OwnedFd) -> nix::Result<()> {
    fsconfig(context, libc::FSCONFIG_CMD_CREATE, None, None)
}

fn fsconfig(
    context: &OwnedFd,
    command: libc::c_uint,
    key: Option<&CStr>,
    value: Option<&CStr>,
) -> nix::Result<()> {
    let [key, value] = [key, value].map(|text| text.map_or(ptr::null(), CStr::as_ptr));
    // SAFETY: each pointer is null or that of a C string that outlives the call; which of them may
    // be null, the kernel checks.
    let result =
        unsafe { libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), command, key, value, 0) };
    Errno::result(result).map(drop)
}

/// fsmount(2): a mount of the new file system. `attributes` are those of mount_setattr(2).
pub(crate) fn fsmount(context: &OwnedFd, attributes: u64) -> nix::Result<OwnedFd> {
    let (context, flags) = (context.as_raw_fd(), libc::FSMOUNT_CLOEXEC);
    // SAFETY: three integers.
    new_descriptor(unsafe { libc::syscall(libc::SYS_fsmount, context, flags, attributes) })
}

/// mount_setattr(2): sets attributes of a mount, with AT_RECURSIVE also of all below it.
pub(crate) fn mount_setattr(mount: &OwnedFd, attr_set: u64, flags: i32) -> nix::Result<()> {
    let attributes = libc::mount_attr { attr_set, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let flags = libc::AT_EMPTY_PATH | flags;
    // SAFETY: the path is a C string, the structure and its size belong together; both outlive the
    // call, which only reads them.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            EMPTY.as_ptr(),
            flags,
            &raw const attributes,
            size_of_val(&attributes),
        )
    };
    Errno::result(result).map(drop)
}

// ANCHOR: move_mount
/// move_mount(2): puts a mount on an open file or directory.
pub(crate) fn move_mount(mount: &OwnedFd, place: impl AsFd) -> nix::Result<()> {
    let (mount, place) = (mount.as_raw_fd(), place.as_fd().as_raw_fd());
    let (empty, flags) =
        (EMPTY.as_ptr(), libc::MOVE_MOUNT_F_EMPTY_PATH | libc::MOVE_MOUNT_T_EMPTY_PATH);
    // SAFETY: both paths are a C string that lives for ever; the rest are integers.
    let result = unsafe { libc::syscall(libc::SYS_move_mount, mount, empty, place, empty, flags) };
    Errno::result(result).map(drop)
}
// ANCHOR_END: move_mount

/// What a call has returned that makes a descriptor.
fn new_descriptor(result: libc::c_long) -> nix::Result<OwnedFd> {
    let descriptor = i32::try_from(Errno::result(result)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}
