//! What `nix` does not offer as a safe function: the current directory. All `unsafe` of this crate.

use nix::errno::Errno;

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
