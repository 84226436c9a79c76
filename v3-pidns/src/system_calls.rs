//! The one system call that `nix` does not offer. All `unsafe` of this crate.

use nix::errno::Errno;

/// close_range(2): closes every descriptor but 0, 1 and 2.
///
/// # Safety
/// No value that owns a descriptor may be used or dropped after this.
pub(crate) unsafe fn close_from_3() -> nix::Result<()> {
    // SAFETY: three integers; that no owner is used any more is our caller's promise.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
    Errno::result(result).map(drop)
}
