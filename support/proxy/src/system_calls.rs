//! The system call that `nix` does not offer as a safe function: all `unsafe` of this crate.

use nix::errno::Errno;
use std::net::TcpStream;
use std::os::fd::AsRawFd;

/// How many bytes were sent that the other end has not acknowledged (tcp(7), SIOCOUTQ, which is the
/// same number as TIOCOUTQ).
///
/// # Errors
/// Those of ioctl(2): none is expected.
pub(crate) fn unacknowledged(stream: &TcpStream) -> nix::Result<usize> {
    let mut length: libc::c_int = 0;
    // SAFETY: the descriptor is open for as long as `stream` lives, and the kernel writes one int.
    let result = unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut length) };
    Errno::result(result)?;
    Ok(length.unsigned_abs() as usize)
}
