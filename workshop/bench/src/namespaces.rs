//! Namespaces of a part of the benchmark. A namespace belongs to a thread: what the part starts, it
//! starts from its own.

use std::thread;

use anyhow::{Result, anyhow};
use v2_mountns::{CloneFlags, private_mounts, unshare};

/// Runs `body` in a thread with mounts of its own, and with `more` namespaces.
///
/// # Errors
/// Those of unshare(2), and those of `body`.
pub fn in_own<T: Send>(more: CloneFlags, body: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let enter = || unshare(CloneFlags::CLONE_NEWNS | more).and_then(|()| private_mounts());
    thread::scope(|scope| {
        let thread = scope.spawn(|| enter().and_then(|()| body()));
        thread.join().map_err(|_| anyhow!("a thread of the benchmark panicked"))?
    })
}
