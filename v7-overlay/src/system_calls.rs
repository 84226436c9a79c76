//! What `nix` does not offer as safe functions: extended attributes, and the descriptor that comes
//! out of a socket. All `unsafe` of this crate.

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use std::ffi::{CString, OsStr};
use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

fn c_string(text: &OsStr) -> nix::Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| Errno::EINVAL)
}

/// lsetxattr(2): sets an attribute of a file, or of a symbolic link itself.
pub(crate) fn set_xattr(path: &Path, name: &OsStr, value: &[u8]) -> nix::Result<()> {
    let (path, name) = (c_string(path.as_os_str())?, c_string(name)?);
    // SAFETY: both names end in a zero byte, the value has the length that is said; all three
    // outlive the call, which only reads them.
    let result = unsafe {
        libc::lsetxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0)
    };
    Errno::result(result).map(drop)
}

/// lgetxattr(2): reads an attribute into `value`, and returns its length.
pub(crate) fn get_xattr(path: &Path, name: &OsStr, value: &mut [u8]) -> nix::Result<usize> {
    let (path, name) = (c_string(path.as_os_str())?, c_string(name)?);
    // SAFETY: both names end in a zero byte; at most the length of `value` is written to it.
    let result = unsafe {
        libc::lgetxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len())
    };
    Errno::result(result).map(isize::cast_unsigned)
}

/// recvmsg(2): takes the descriptor that a message in the socket carries (unix(7), SCM_RIGHTS).
///
/// # Errors
/// EAGAIN if there is no message.
pub fn receive_descriptor(socket: impl AsFd) -> nix::Result<OwnedFd> {
    let mut byte = [0];
    let mut bytes = [IoSliceMut::new(&mut byte)];
    let mut space = cmsg_space!([i32; 1]);
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_fd().as_raw_fd(), &mut bytes, Some(&mut space), flags)?;
    let mut rights = message.cmsgs()?.filter_map(|control| match control {
        ControlMessageOwned::ScmRights(descriptors) => descriptors.first().copied(),
        _ => None,
    });
    let descriptor = rights.next().ok_or(Errno::EBADMSG)?;
    // SAFETY: the kernel has just made this descriptor for us; there is space for one only.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}
