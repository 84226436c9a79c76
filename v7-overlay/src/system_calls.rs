//! What `nix` does not offer as safe functions: extended attributes, the current directory, and the
//! descriptor that comes out of a socket. All `unsafe` of this crate.

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

/// getcwd(2), as the kernel says it: what begins with "(unreachable)" instead of "/" is not below
/// the root directory. (The C library would look for another answer itself.)
pub(crate) fn current_directory() -> nix::Result<Vec<u8>> {
    let mut path = vec![0; 4096]; // PATH_MAX: the kernel gives no more
    // SAFETY: at most the length of `path` is written to it.
    let result = unsafe { libc::syscall(libc::SYS_getcwd, path.as_mut_ptr(), path.len()) };
    let length = Errno::result(result)?;
    path.truncate(usize::try_from(length).unwrap_or(0).saturating_sub(1)); // with a zero byte
    Ok(path)
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
