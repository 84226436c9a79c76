//! Who joins a PID namespace can be looked at by those who are in it already.
//!
//! Between setns(2) and execve(2) a process of ours is among the processes of a container, and is
//! still all of the host: its root directory, its descriptors, its memory, its executable. Runtimes
//! have been taken over in that moment (CVE-2016-9962), and by their executable (CVE-2019-5736).
//! Three things close it, and each would nearly do alone:
//!
//! * The process is **not dumpable**: /proc/PID/root, fd, exe and mem are for nobody without
//!   CAP_SYS_PTRACE (ptrace(2), PTRACE_MODE_READ).
//! * No container **has CAP_SYS_PTRACE**.
//! * The **executable is a copy in memory**, sealed: nobody can write to it, whoever opens it
//!   ([`launcher::in_memory`]).

use crate::system_calls::drop_from_bounding_set;
use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::prctl::set_dumpable;

/// Capabilities, by their numbers (linux/capability.h).
const CAP_SYS_PTRACE: u8 = 19;

// ANCHOR: harden
/// To be called by a process that is about to join a container. It can still do everything, but
/// what it will execute cannot look into other processes of ours.
///
/// # Errors
/// Those of prctl(2): none is expected.
pub fn harden() -> Result<()> {
    set_dumpable(false).context("cannot make this process non-dumpable")?;
    drop_from_bounding_set(CAP_SYS_PTRACE).context("cannot give up CAP_SYS_PTRACE")
}
// ANCHOR_END: harden

// ANCHOR: give_up
/// Whatever this process executes has no capabilities at all, even as root.
///
/// # Errors
/// EPERM without CAP_SETPCAP.
pub fn give_up_all_capabilities() -> Result<()> {
    for capability in 0..=u8::MAX {
        match drop_from_bounding_set(capability) {
            Err(Errno::EINVAL) => break, // there are no more
            failed => failed.with_context(|| format!("cannot give up capability {capability}"))?,
        }
    }
    Ok(())
}
// ANCHOR_END: give_up
