//! What `nix` does not offer as safe functions: extended attributes. All `unsafe` of this crate.

use nix::NixPath;
use nix::errno::Errno;
use std::ffi::OsStr;
use std::path::Path;

/// lsetxattr(2): sets an attribute of a file, or of a symbolic link itself.
pub(crate) fn set_xattr(path: &Path, name: &OsStr, value: &[u8]) -> nix::Result<()> {
    path.with_nix_path(|path| {
        name.with_nix_path(|name| {
            // SAFETY: both names end in a zero byte, the value has the length that is said; all
            // three outlive the call, which only reads them.
            let result = unsafe {
                libc::lsetxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0)
            };
            Errno::result(result).map(drop)
        })?
    })?
}

/// lgetxattr(2): reads an attribute into `value`, and returns its length.
pub(crate) fn get_xattr(path: &Path, name: &OsStr, value: &mut [u8]) -> nix::Result<usize> {
    path.with_nix_path(|path| {
        name.with_nix_path(|name| {
            // SAFETY: both names end in a zero byte; at most the length of `value` is written.
            let result = unsafe {
                let (room, length) = (value.as_mut_ptr().cast(), value.len());
                libc::lgetxattr(path.as_ptr(), name.as_ptr(), room, length)
            };
            Errno::result(result).map(isize::cast_unsigned)
        })?
    })?
}

/// llistxattr(2): the names of a file's attributes, each with a zero byte behind it, into `names`;
/// returns their length.
pub(crate) fn list_xattrs(path: &Path, names: &mut [u8]) -> nix::Result<usize> {
    path.with_nix_path(|path| {
        // SAFETY: the path ends in a zero byte; at most the length of `names` is written.
        let result =
            unsafe { libc::llistxattr(path.as_ptr(), names.as_mut_ptr().cast(), names.len()) };
        Errno::result(result).map(isize::cast_unsigned)
    })?
}
