//! 64-bit ARM: the number is in x8, the arguments in x0, x1, x2, the result in x0.

use std::io::IoSlice;

use nix::errno::Errno;
use nix::sys::ptrace;
use nix::unistd::Pid;

use super::Names;
use super::names::SHARED;

/// The tracer can do its work here.
pub(in super::super) const REFUSAL: Option<&str> = None;

/// It came late: of the calls that are there twice, it has the newer ones.
pub(in super::super) const NAMES: [Names; 1] = [SHARED];

/// The set of registers that is the number of the call (linux/elf.h). By x8 it cannot be changed:
/// the kernel has read that one already.
const NT_ARM_SYSTEM_CALL: libc::c_ulong = 0x404;

/// A process that is stopped at a system call, before it or after it.
pub(in super::super) struct CallStop {
    pid: Pid,
    registers: libc::user_regs_struct,
}

impl CallStop {
    /// Reads the registers of a stopped process.
    pub(in super::super) fn of(pid: Pid) -> nix::Result<CallStop> {
        Ok(CallStop { pid, registers: ptrace::getregs(pid)? })
    }

    /// The number of the call.
    pub(in super::super) fn number(&self) -> libc::c_long {
        self.registers.regs[8].cast_signed()
    }

    /// The first arguments of the call.
    pub(in super::super) fn arguments(&self) -> [u64; 3] {
        let [first, second, third, ..] = self.registers.regs;
        [first, second, third]
    }

    /// Before the call: lets it do nothing.
    pub(in super::super) fn prevent(self) -> nix::Result<()> {
        let none: libc::c_int = -1; // no call has this number
        let bytes = none.to_ne_bytes();
        let set = IoSlice::new(&bytes);
        // SAFETY: an IoSlice is an iovec, as the call wants one; the kernel reads the four bytes.
        let result = unsafe {
            libc::ptrace(
                libc::PTRACE_SETREGSET,
                self.pid.as_raw(),
                NT_ARM_SYSTEM_CALL,
                &raw const set,
            )
        };
        Errno::result(result).map(drop)
    }

    /// After the call: lets it have failed.
    pub(in super::super) fn fail(mut self, errno: Errno) -> nix::Result<()> {
        self.registers.regs[0] = (-(errno as i64)).cast_unsigned();
        ptrace::setregs(self.pid, self.registers)
    }
}
