//! What every processor has in its own way: the numbers of the system calls, and the registers in
//! which a process that is stopped at one has its number, its arguments and its result (man 2
//! syscall). A processor that is not known here has no faults: `REFUSAL` says so.

#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
#[macro_use]
mod names;
#[cfg(target_arch = "aarch64")]
#[path = "processor/aarch64.rs"]
mod this;
#[cfg(not(any(target_arch = "aarch64", target_arch = "x86_64")))]
#[path = "processor/unknown.rs"]
mod this;
#[cfg(target_arch = "x86_64")]
#[path = "processor/x86_64.rs"]
mod this;

pub(super) use this::{CallStop, NAMES, REFUSAL};

/// Numbers and names of system calls.
pub(super) type Names = &'static [(libc::c_long, &'static str)];
