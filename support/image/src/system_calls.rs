//! What `nix` does not offer as safe functions: extended attributes. All `unsafe` of this crate.

use nix::errno::Errno;
use std::ffi::{CString, OsStr};
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
