//! How to ask the kernel without a library (syscall(2)), and how a program begins without one.
//! All `unsafe` of such a program: it says `#[path = ".../kernel.rs"] mod kernel;`.

#![allow(dead_code, reason = "each program has its own few of these system calls")]

use core::arch::{asm, naked_asm};
use core::ffi::CStr;
use core::panic::PanicInfo;

pub const STDERR: usize = 2;

/// Numbers of signals (signal(7)). These are the same on every architecture but MIPS and its kin.
pub const INTERRUPT: isize = 2;
pub const TERMINATE: isize = 15;
pub const CHILD: isize = 17;

/// Numbers of system calls: every architecture has its own.
#[cfg(target_arch = "x86_64")]
mod number {
    pub const WRITE: usize = 1;
    pub const RT_SIGPROCMASK: usize = 14;
    pub const GETPID: usize = 39;
    pub const WAIT4: usize = 61;
    pub const KILL: usize = 62;
    pub const RT_SIGTIMEDWAIT: usize = 128;
    pub const PRCTL: usize = 157;
    pub const EXIT_GROUP: usize = 231;
}
/// Architectures that came later share one list (asm-generic/unistd.h).
#[cfg(target_arch = "aarch64")]
mod number {
    pub const WRITE: usize = 64;
    pub const EXIT_GROUP: usize = 94;
    pub const KILL: usize = 129;
    pub const RT_SIGPROCMASK: usize = 135;
    pub const RT_SIGTIMEDWAIT: usize = 137;
    pub const PRCTL: usize = 167;
    pub const GETPID: usize = 172;
    pub const WAIT4: usize = 260;
}

/// The size of a set of signals: 64 bits.
const SET: usize = size_of::<u64>();

/// A process that has ended.
pub struct Ended {
    pub pid: isize,
    /// What a shell shows in `$?`: the exit status, or 128+N after a death by signal N.
    pub status: u8,
}

/// System calls. None of them can fail in a way that these programs could do something about.
///
/// An argument that is the address of something is exposed: the kernel uses it, which the compiler
/// does not see. An address alone would let it leave out what only the kernel reads.
pub struct Kernel;

impl Kernel {
    /// write(2).
    pub fn write(&self, descriptor: usize, text: &[u8]) {
        let (start, length) = (text.as_ptr().expose_provenance(), text.len());
        // SAFETY: the kernel reads `length` bytes of `text`, which outlives the call.
        unsafe { call(number::WRITE, [descriptor, start, length, 0]) };
    }

    /// getpid(2).
    pub fn getpid(&self) -> isize {
        // SAFETY: no memory is touched.
        unsafe { call(number::GETPID, [0; 4]) }
    }

    /// PR_SET_NAME of prctl(2): what `ps` and /proc/PID/comm show.
    pub fn set_name(&self, name: &CStr) {
        const PR_SET_NAME: usize = 15;
        // SAFETY: the kernel reads the name up to its zero byte.
        unsafe { call(number::PRCTL, [PR_SET_NAME, name.as_ptr().expose_provenance(), 0, 0]) };
    }

    /// sigprocmask(2). (SIGKILL and SIGSTOP cannot be blocked, and a fault of our own still kills.)
    pub fn block_all_signals(&self) {
        const SIG_SETMASK: usize = 2;
        let all = u64::MAX;
        let all = (&raw const all).expose_provenance();
        // SAFETY: the kernel reads the 8 bytes of the set.
        unsafe { call(number::RT_SIGPROCMASK, [SIG_SETMASK, all, 0, SET]) };
    }

    /// sigwaitinfo(2): sleeps until one of these signals is there, and takes it. Less than 0: there
    /// was none, for this process was stopped and continued.
    pub fn wait_for_signal(&self, signals: &[isize]) -> isize {
        self.wait_for_one_of(signals.iter().fold(0, |set, signal| set | 1 << (signal - 1)))
    }

    /// The same for every signal.
    pub fn wait_for_any_signal(&self) -> isize {
        self.wait_for_one_of(u64::MAX)
    }

    fn wait_for_one_of(&self, set: u64) -> isize {
        let set = (&raw const set).expose_provenance();
        // SAFETY: the kernel reads the 8 bytes of the set; the two null pointers mean that we want
        // to know nothing else, and to wait without a limit.
        unsafe { call(number::RT_SIGTIMEDWAIT, [set, 0, 0, SET]) }
    }

    /// waitpid(2) for any child that has ended; `None` if there is none.
    pub fn reap_a_child(&self) -> Option<Ended> {
        const ANY: usize = usize::MAX; // -1
        const WNOHANG: usize = 1;
        let mut status: u32 = 0;
        let place = (&raw mut status).expose_provenance();
        // SAFETY: the kernel writes the 4 bytes of `status`; the null pointer means that we do not
        // want to know what the child has used.
        let pid = unsafe { call(number::WAIT4, [ANY, place, WNOHANG, 0]) };
        let [signal, code, ..] = status.to_le_bytes();
        let signal = signal & 0x7f; // above it: whether there is a core dump
        (pid > 0).then_some(Ended { pid, status: if signal == 0 { code } else { 128 + signal } })
    }

    /// kill(2).
    pub fn send(&self, pid: isize, signal: isize) {
        // SAFETY: no memory is touched.
        unsafe { call(number::KILL, [pid.cast_unsigned(), signal.cast_unsigned(), 0, 0]) };
    }

    /// _exit(2).
    fn exit(&self, status: u8) -> ! {
        loop {
            // SAFETY: no memory is touched, and it does not return.
            unsafe { call(number::EXIT_GROUP, [status.into(), 0, 0, 0]) };
        }
    }
}

/// One system call: its number and its arguments go into registers, and so does the result.
///
/// # Safety
/// The arguments must be what the call with that number wants.
#[cfg(target_arch = "x86_64")]
unsafe fn call(number: usize, [first, second, third, fourth]: [usize; 4]) -> isize {
    let result;
    // SAFETY: as the caller promises; the instruction itself changes only rcx, r11 and rax.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") first,
            in("rsi") second,
            in("rdx") third,
            in("r10") fourth,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// The same on ARM.
///
/// # Safety
/// The arguments must be what the call with that number wants.
#[cfg(target_arch = "aarch64")]
unsafe fn call(number: usize, [first, second, third, fourth]: [usize; 4]) -> isize {
    let result;
    // SAFETY: as the caller promises; the instruction itself changes only x0.
    unsafe {
        asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") first => result,
            in("x1") second,
            in("x2") third,
            in("x3") fourth,
            options(nostack),
        );
    }
    result
}

/// Where the kernel starts a program (execve(2)). There is no function that called this one, and so
/// no place to return to. What stands on the stack (arguments, environment) is left there.
// SAFETY: no other symbol has this name, since no library is linked.
#[unsafe(no_mangle)]
#[unsafe(naked)]
extern "C" fn _start() -> ! {
    // The kernel leaves the stack as it has to be before a call.
    #[cfg(target_arch = "x86_64")]
    naked_asm!("call {begin}", begin = sym begin);
    #[cfg(target_arch = "aarch64")]
    naked_asm!("bl {begin}", begin = sym begin);
}

extern "C" fn begin() -> ! {
    Kernel.exit(crate::main(&Kernel))
}

/// Every Rust program has one of these. Nothing in these panics.
#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    Kernel.exit(42)
}
