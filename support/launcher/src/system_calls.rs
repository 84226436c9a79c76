//! The system calls that `nix` does not offer as safe functions: all `unsafe` of this crate.

use anyhow::{Context, Result, bail};
use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::signal::SigSet;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use nix::unistd::{ForkResult, Pid};
use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::panic;
use std::process::{self, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a thread that was joined may take to be gone.
const PATIENCE: Duration = Duration::from_secs(1);

/// fork(2), for a process with one thread. A panic ends the child there and then.
///
/// A child of fork has only the thread that called it. A lock that another thread held at that
/// moment (of the allocator, say) would stay locked in the child for ever. With one thread there is
/// nobody who could hold one, so the child may do everything: allocate, format, return errors.
///
/// # Errors
/// EAGAIN and ENOMEM of fork(2); an error if this process has more than one thread.
pub(crate) fn fork() -> Result<ForkResult> {
    let start = Instant::now();
    loop {
        match count_threads()? {
            1 => break,
            // Who joins a thread is woken a moment before the kernel takes the thread off the list.
            _ if start.elapsed() < PATIENCE => sleep(Duration::from_micros(100)),
            threads => bail!(
                "cannot fork: this process has {threads} threads, and fork would copy only one"
            ),
        }
    }
    // SAFETY: this process has one thread (checked above), so the child may do whatever it likes.
    let forked = unsafe { nix::unistd::fork() }.context("cannot fork")?;
    if forked.is_child() {
        abort_on_panic();
    }
    Ok(forked)
}

/// From now on a panic of this process does not unwind. The frames above a child's are its
/// parent's: on the way through them the child would clean up, for the first of two times, what the
/// parent still needs.
fn abort_on_panic() {
    let tell = panic::take_hook();
    panic::set_hook(Box::new(move |what| {
        tell(what);
        process::abort();
    }));
}

/// The threads of this process. A directory has two links and one more for each directory in it:
/// in this one, for each thread.
fn count_threads() -> Result<libc::nlink_t> {
    let tasks = nix::sys::stat::stat("/proc/self/task")
        .context("cannot count the threads in /proc/self/task")?;
    Ok(tasks.st_nlink.saturating_sub(2))
}

/// waitpid(2): blocks until the child `pid` has ended, and tells how.
///
/// nix's `waitpid` has no word for a death by a real-time signal, hence this one.
pub(crate) fn wait(pid: Pid) -> nix::Result<ExitStatus> {
    waitpid(pid, 0)?.ok_or(Errno::ECHILD) // without WNOHANG there is always one
}

/// waitpid(2) without blocking: how `pid` ended, or `None` if it still runs.
pub(crate) fn try_wait(pid: Pid) -> nix::Result<Option<ExitStatus>> {
    waitpid(pid, libc::WNOHANG)
}

fn waitpid(pid: Pid, options: i32) -> nix::Result<Option<ExitStatus>> {
    let mut status = 0;
    loop {
        // SAFETY: `status` is a valid place for the one integer that waitpid writes.
        let result = unsafe { libc::waitpid(pid.as_raw(), &raw mut status, options) };
        match Errno::result(result) {
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(Some(ExitStatus::from_raw(status))),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// A signal that was waited for: its number, si_code of sigaction(2), and who sent it.
///
/// A number, because nix's `Signal` has none of the real-time signals.
pub(crate) struct SignalInfo {
    pub(crate) number: i32,
    pub(crate) code: i32,
    pub(crate) sender: Pid,
}

unsafe extern "C" {
    /// Of the C library; the crate libc has no declaration of it for Linux.
    fn sigqueue(pid: libc::pid_t, signal: libc::c_int, value: libc::sigval) -> libc::c_int;
}

/// kill(2), for real-time signals, too.
pub(crate) fn send_signal(pid: Pid, signal: i32) -> nix::Result<()> {
    // SAFETY: two integers.
    Errno::result(unsafe { libc::kill(pid.as_raw(), signal) }).map(drop)
}

/// sigqueue(3): kill(2), but for its si_code, which is SI_QUEUE.
pub(crate) fn queue_signal(pid: Pid, signal: i32) -> nix::Result<()> {
    let value = libc::sigval { sival_ptr: std::ptr::null_mut() };
    // SAFETY: two integers, and a value that nobody takes for a pointer.
    Errno::result(unsafe { sigqueue(pid.as_raw(), signal, value) }).map(drop)
}

/// sigwaitinfo(2): takes the next of the blocked signals in `set`, and sleeps until there is one.
pub(crate) fn wait_for_signal(set: &SigSet) -> nix::Result<SignalInfo> {
    // SAFETY: siginfo_t is made of integers and pointers: all zero is a value of it.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: the set is only read, and `info` is the one place that is written.
        match Errno::result(unsafe { libc::sigwaitinfo(set.as_ref(), &raw mut info) }) {
            Err(Errno::EINTR) => {} // stopped and continued
            Err(errno) => return Err(errno),
            Ok(number) => {
                // SAFETY: for every signal there are integers in that place, zero to begin with.
                let sender = Pid::from_raw(unsafe { info.si_pid() });
                return Ok(SignalInfo { number, code: info.si_code, sender });
            }
        }
    }
}

/// sigpending(2): the signals that have come and are blocked.
pub(crate) fn pending_signals() -> nix::Result<SigSet> {
    let mut set = SigSet::empty();
    let place: *mut libc::sigset_t = (&raw mut set).cast();
    // SAFETY: a SigSet is a sigset_t (repr(transparent)), and the call writes no more than one.
    Errno::result(unsafe { libc::sigpending(place) })?;
    Ok(set)
}

/// pidfd_open(2): a descriptor for a process, which (unlike its number) is never given to another.
pub(crate) fn pidfd_open(pid: Pid) -> nix::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two integers and touches no memory of ours.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })?;
    let fd = i32::try_from(fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// close_range(2) on every descriptor from 3 on: mark them close-on-exec.
///
/// Our own are marked already; these are the ones that *our caller* leaked to us.
///
/// # Errors
/// ENOSYS before Linux 5.11.
pub fn close_on_exec_from_3() -> nix::Result<()> {
    // SAFETY: three integers; no descriptor is closed now, so no owner of one notices.
    let result = unsafe {
        libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC)
    };
    Errno::result(result).map(drop)
}

/// In a child of [`fork`]: closes every descriptor but 0, 1, 2 and `kept`. Nothing that owns a
/// descriptor may be used afterwards.
///
/// # Errors
/// ENOSYS before Linux 5.9.
pub(crate) fn close_those_of_parent(kept: Option<RawFd>) -> nix::Result<()> {
    // SAFETY: the frames that own them are copies of the parent's, and this process never returns
    // to those: it executes a command, or says why not to `kept` and ends, or waits and ends.
    unsafe { close_all_but(kept) }
}

/// close_range(2), before and behind `kept`: closes every descriptor but 0, 1, 2 and that one.
///
/// # Safety
/// No value that owns another descriptor may be used or dropped after this.
unsafe fn close_all_but(kept: Option<RawFd>) -> nix::Result<()> {
    let kept = kept.and_then(|number| libc::c_uint::try_from(number).ok()).unwrap_or(2).max(2);
    for (first, last) in [(3, kept - 1), (kept + 1, libc::c_uint::MAX)] {
        if first > last {
            continue; // there is none before `kept`
        }
        // SAFETY: three integers; that no owner is used any more is our caller's promise.
        Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) })?;
    }
    Ok(())
}

/// rt_sigaction(2): sets the action of one signal, by its number, to the default.
///
/// Not signal(2) of the C library, which refuses 32 and 33: it keeps them for itself, and its
/// posix_spawn(3) gives them to new programs (such as us) ignored.
pub fn default_action(signal: i32) -> nix::Result<()> {
    // The kernel's structure: handler, flags, restorer, mask. All zero, in whatever order the
    // architecture has them, is SIG_DFL without flags and with an empty mask.
    let action = [0_u64; 4];
    let (no_previous, mask_size) = (std::ptr::null::<u64>(), size_of::<u64>());
    // SAFETY: the kernel reads at most the 32 bytes of `action`; no handler of ours is installed.
    let result = unsafe {
        libc::syscall(libc::SYS_rt_sigaction, signal, action.as_ptr(), no_previous, mask_size)
    };
    Errno::result(result).map(drop)
}

/// linux/capability.h: 64 capabilities, in two halves.
const CAPABILITIES_VERSION_3: u32 = 0x2008_0522;

/// capget(2): effective, permitted and inheritable capabilities of this process, in two halves.
fn capabilities() -> nix::Result<[[u32; 3]; 2]> {
    let header = [CAPABILITIES_VERSION_3, 0]; // 0: this process
    let mut halves = [[0_u32; 3]; 2];
    // SAFETY: both pointers are to the two structures of version 3, made of 32-bit integers.
    let result = unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), halves.as_mut_ptr()) };
    Errno::result(result).map(|_| halves)
}

/// The effective capabilities of this process, bit N for capability N.
pub(crate) fn effective_capabilities() -> nix::Result<u64> {
    let [[low, ..], [high, ..]] = capabilities()?;
    Ok(u64::from(high) << 32 | u64::from(low))
}

/// capset(2): no capability is inheritable any more, and so none is ambient (capabilities(7)).
pub(crate) fn clear_inheritable_capabilities() -> nix::Result<()> {
    let halves = capabilities()?;
    let [[.., low], [.., high]] = halves;
    if low == 0 && high == 0 {
        return Ok(());
    }
    let header = [CAPABILITIES_VERSION_3, 0];
    let halves = halves.map(|[effective, permitted, _]| [effective, permitted, 0]);
    // SAFETY: both pointers are to the two structures of version 3, which the call only reads.
    let result = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), halves.as_ptr()) };
    Errno::result(result).map(drop)
}

/// _exit(2): ends this process without the exit handlers of the C library.
///
/// They belong to the program that was forked; a copy of it has nothing to say there.
pub fn exit_now(status: u8) -> ! {
    // SAFETY: _exit takes an integer, and does not return.
    unsafe { libc::_exit(status.into()) }
}

/// recvmsg(2): takes the descriptor that a message in the socket carries (unix(7), SCM_RIGHTS).
///
/// # Errors
/// EAGAIN if there is no message.
pub fn receive_descriptor(socket: impl AsFd) -> nix::Result<OwnedFd> {
    let mut byte = [0];
    let mut bytes = [IoSliceMut::new(&mut byte)];
    let mut space = cmsg_space!([i32; 1]);
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_fd().as_raw_fd(), &mut bytes, Some(&mut space), flags)?;
    let mut rights = message.cmsgs()?.filter_map(|control| match control {
        ControlMessageOwned::ScmRights(descriptors) => descriptors.first().copied(),
        _ => None,
    });
    let descriptor = rights.next().ok_or(Errno::EBADMSG)?;
    // SAFETY: the kernel has just made this descriptor for us; there is space for one only.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// getcwd(2), as the kernel says it: what begins with "(unreachable)" instead of "/" is not below
/// the root directory. (The C library would look for another answer itself.)
///
/// # Errors
/// ENOENT if the directory was removed.
pub fn current_directory() -> nix::Result<Vec<u8>> {
    let mut path = vec![0; 4096]; // PATH_MAX: the kernel gives no more
    // SAFETY: at most the length of `path` is written to it.
    let result = unsafe { libc::syscall(libc::SYS_getcwd, path.as_mut_ptr(), path.len()) };
    let length = Errno::result(result)?;
    path.truncate(usize::try_from(length).unwrap_or(0).saturating_sub(1)); // with a zero byte
    Ok(path)
}
