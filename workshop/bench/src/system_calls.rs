//! What is traced and asked below the level of `nix`. All `unsafe` of this crate.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Lets this process trace what the command starts: PTRACE_TRACEME of ptrace(2).
pub(crate) fn traced(command: &mut Command) -> &mut Command {
    // SAFETY: between fork and execve the child makes this one call, which touches no memory.
    unsafe { command.pre_exec(|| Ok(nix::sys::ptrace::traceme()?)) }
}

/// Asks the processor what it is: an instruction, and no system call.
pub(crate) fn cpuid() {
    // SAFETY: cpuid changes four registers. The compiler wants to keep rbx, so that is put back.
    unsafe {
        std::arch::asm!(
            "push rbx",
            "cpuid",
            "pop rbx",
            inout("eax") 0 => _,
            out("ecx") _,
            out("edx") _,
        );
    }
}
