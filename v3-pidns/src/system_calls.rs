//! The one system call that `nix` does not offer. All `unsafe` of this crate.

use nix::errno::Errno;
use std::os::fd::{AsRawFd, BorrowedFd};

/// close_range(2): closes every descriptor from 3 on, except one.
///
/// # Safety
/// No value that owns another of these descriptors may be used or dropped after this.
pub(crate) unsafe fn close_all_but(kept: BorrowedFd) -> nix::Result<()> {
    let kept = kept.as_raw_fd().cast_unsigned();
    for (first, last) in [(3, kept - 1), (kept + 1, libc::c_uint::MAX)] {
        if first <= last {
            // SAFETY: three integers; that no owner is used any more is our caller's promise.
            let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
            Errno::result(result)?;
        }
    }
    Ok(())
}
