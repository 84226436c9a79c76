//! Names that somebody else has chosen, looked up in a root directory that is theirs.
//!
//! A path can go through a *magic link*: /proc/PID/fd/N, root, cwd, exe (proc(5)). Such a link has
//! no text that would be followed in this root directory; it leads straight to what the process has
//! open, wherever that is. So no lookup of ours follows one.

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Somebody may rename without end to keep us here, or hold a lease on a file (fcntl(2)), of which
/// EAGAIN tells too.
const MOST_ATTEMPTS: u32 = 1000;

/// openat2(2), close-on-exec, from `directory`, and never through a magic link. What more the path
/// must not do, `resolve` says.
///
/// # Errors
/// ELOOP for a magic link, and those of openat2(2).
pub fn open_in(
    directory: impl AsFd,
    path: &Path,
    flags: OFlag,
    resolve: ResolveFlag,
) -> nix::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(flags | OFlag::O_CLOEXEC)
        .resolve(resolve | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    for _ in 1..MOST_ATTEMPTS {
        match openat2(&directory, path, how) {
            // Something was renamed meanwhile, somewhere, and the kernel could not be sure.
            Err(Errno::EAGAIN) => {}
            result => return result,
        }
    }
    openat2(&directory, path, how)
}
