//! A processor whose registers nobody has looked up yet: nothing is traced here.

use std::convert::Infallible;

use nix::errno::Errno;
use nix::unistd::Pid;

use super::Names;

/// Why there are no faults here.
pub(in super::super) const REFUSAL: Option<&str> =
    Some("the tracer knows the registers of x86-64 and 64-bit ARM only");

/// No names are needed.
pub(in super::super) const NAMES: [Names; 0] = [];

/// A process that is stopped at a system call: there is none.
pub(in super::super) struct CallStop(Infallible);

impl CallStop {
    /// Refuses.
    pub(in super::super) fn of(_: Pid) -> nix::Result<CallStop> {
        Err(Errno::ENOSYS)
    }

    /// Never called, as all below.
    pub(in super::super) fn number(&self) -> libc::c_long {
        match self.0 {}
    }

    pub(in super::super) fn arguments(&self) -> [u64; 3] {
        match self.0 {}
    }

    pub(in super::super) fn prevent(self) -> nix::Result<()> {
        match self.0 {}
    }

    pub(in super::super) fn fail(self, _: Errno) -> nix::Result<()> {
        match self.0 {}
    }
}
