//! x86-64: the number is in orig_rax, the arguments in rdi, rsi, rdx, the result in rax.

use nix::errno::Errno;
use nix::sys::ptrace;
use nix::unistd::Pid;

use super::Names;
use super::names::SHARED;

/// The tracer can do its work here.
pub(in super::super) const REFUSAL: Option<&str> = None;

/// Most are older than their siblings that end in `at`; later processors have only those.
pub(in super::super) const NAMES: [Names; 2] = [
    SHARED,
    names![
        SYS_access SYS_arch_prctl SYS_chmod SYS_chown SYS_dup2 SYS_epoll_wait SYS_fork SYS_getpgrp
        SYS_getrlimit SYS_lchown SYS_link SYS_lstat SYS_mkdir SYS_mknod SYS_open SYS_pipe SYS_poll
        SYS_readlink SYS_rename SYS_renameat SYS_rmdir SYS_setrlimit SYS_stat SYS_symlink SYS_unlink
        SYS_vfork
    ],
];

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
        self.registers.orig_rax.cast_signed()
    }

    /// The first arguments of the call.
    pub(in super::super) fn arguments(&self) -> [u64; 3] {
        [self.registers.rdi, self.registers.rsi, self.registers.rdx]
    }

    /// Before the call: lets it do nothing.
    pub(in super::super) fn prevent(mut self) -> nix::Result<()> {
        self.registers.orig_rax = u64::MAX; // no call has this number
        ptrace::setregs(self.pid, self.registers)
    }

    /// After the call: lets it have failed.
    pub(in super::super) fn fail(mut self, errno: Errno) -> nix::Result<()> {
        self.registers.rax = (-(errno as i64)).cast_unsigned();
        ptrace::setregs(self.pid, self.registers)
    }
}
