//! The system calls of the tools that `nix` does not offer as safe functions. All `unsafe` of
//! this crate.

use std::ffi::CString;
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, FromRawFd};
use std::os::unix::ffi::OsStrExt;
#[cfg(target_arch = "x86_64")]
use std::os::unix::process::CommandExt;
use std::path::Path;
#[cfg(target_arch = "x86_64")]
use std::process::Command;

use nix::errno::Errno;
use nix::unistd::ForkResult;

/// The longest handle of a file that name_to_handle_at(2) makes (MAX_HANDLE_SZ).
const LONGEST_HANDLE: usize = 128;

/// struct file_handle, with room for the longest.
#[repr(C)]
struct FileHandle {
    bytes: libc::c_uint,
    kind: libc::c_int,
    handle: [u8; LONGEST_HANDLE],
}

/// Lets this process trace what the command starts: PTRACE_TRACEME of ptrace(2).
#[cfg(target_arch = "x86_64")]
pub(crate) fn traced(command: &mut Command) -> &mut Command {
    // SAFETY: between fork and execve the child makes this one call, which touches no memory.
    unsafe { command.pre_exec(|| Ok(nix::sys::ptrace::traceme()?)) }
}

/// fork(2), for a process with one thread.
pub(crate) fn fork() -> nix::Result<ForkResult> {
    // SAFETY: the attacker is a program of one thread, so its child may do anything.
    unsafe { nix::unistd::fork() }
}

/// TIOCSTI of ioctl_tty(2): pretends that this byte was typed at the terminal.
pub(crate) fn type_into(terminal: impl AsFd, byte: u8) -> nix::Result<()> {
    let terminal = terminal.as_fd().as_raw_fd();
    // SAFETY: TIOCSTI reads one byte, from a place that is valid during the call.
    let result = unsafe { libc::ioctl(terminal, libc::TIOCSTI, &raw const byte) };
    Errno::result(result).map(drop)
}

/// Makes a segment of System V shared memory (shmget(2)) and writes a text into it.
pub(crate) fn share_memory(key: i32, text: &[u8]) -> nix::Result<()> {
    // SAFETY: three integers.
    let id = unsafe { libc::shmget(key, text.len(), libc::IPC_CREAT | libc::IPC_EXCL | 0o600) };
    let place = attach(Errno::result(id)?, 0)?;
    // SAFETY: the segment has at least this length, and nobody else knows of it yet.
    unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), place, text.len()) };
    Ok(())
}

/// Reads `length` bytes of the segment of System V shared memory with this key.
pub(crate) fn read_shared_memory(key: i32, length: usize) -> nix::Result<Vec<u8>> {
    // SAFETY: three integers; a segment that is shorter is refused (EINVAL).
    let id = Errno::result(unsafe { libc::shmget(key, length, 0) })?;
    let place = attach(id, libc::SHM_RDONLY)?;
    let mut bytes = vec![0; length];
    // SAFETY: the segment is mapped, and at least this long; it stays until this process ends.
    unsafe { std::ptr::copy_nonoverlapping(place, bytes.as_mut_ptr(), length) };
    Ok(bytes)
}

fn attach(id: i32, flags: i32) -> nix::Result<*mut u8> {
    // SAFETY: with a null address the kernel chooses a free place, so no memory of ours is covered.
    let place = unsafe { libc::shmat(id, std::ptr::null(), flags) };
    Errno::result(place as isize).map(|_| place.cast())
}

/// name_to_handle_at(2): the handle of a file, by which its file system finds it again without a
/// path. Its kind, and its bytes.
pub(crate) fn handle_of(path: &Path) -> nix::Result<(i32, Vec<u8>)> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    let mut handle =
        FileHandle { bytes: LONGEST_HANDLE as libc::c_uint, kind: 0, handle: [0; LONGEST_HANDLE] };
    let mut mount = MaybeUninit::<libc::c_int>::uninit();
    // SAFETY: the path ends with a zero byte; the structure has as much room as it says; and the
    // last pointer is to room for one integer.
    let result = unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            libc::AT_FDCWD,
            path.as_ptr(),
            &raw mut handle,
            mount.as_mut_ptr(),
            0,
        )
    };
    Errno::result(result)?;
    let bytes = handle.handle.get(..handle.bytes as usize).ok_or(Errno::EOVERFLOW)?;
    Ok((handle.kind, bytes.to_vec()))
}

/// open_by_handle_at(2): opens a file of the file system that `mount` is on. No path is walked,
/// so no root directory is in the way.
pub(crate) fn open_by_handle(mount: &File, kind: i32, bytes: &[u8]) -> nix::Result<File> {
    let mut handle = FileHandle { bytes: 0, kind, handle: [0; LONGEST_HANDLE] };
    handle.handle.get_mut(..bytes.len()).ok_or(Errno::EOVERFLOW)?.copy_from_slice(bytes);
    handle.bytes = bytes.len() as libc::c_uint;
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: the structure is valid, and has as many bytes as it says.
    let result = unsafe {
        libc::syscall(libc::SYS_open_by_handle_at, mount.as_raw_fd(), &raw mut handle, flags)
    };
    let descriptor = i32::try_from(Errno::result(result)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has made this descriptor for us; nobody else owns it.
    Ok(unsafe { File::from_raw_fd(descriptor) })
}

/// openat(2) below a directory whose descriptor this process has inherited, if it has.
pub(crate) fn open_below(directory: i32, name: &str) -> nix::Result<File> {
    let name = CString::new(name).map_err(|_| Errno::EINVAL)?;
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: the name ends with a zero byte; a number that is no descriptor is refused (EBADF).
    let descriptor = Errno::result(unsafe { libc::openat(directory, name.as_ptr(), flags) })?;
    // SAFETY: the kernel has made this descriptor for us; nobody else owns it.
    Ok(unsafe { File::from_raw_fd(descriptor) })
}

/// PR_SET_PTRACER: where the Yama module lets a process be looked into by its parents only, it may
/// be looked into by everybody who could without Yama. Elsewhere this does nothing.
pub(crate) fn allow_any_tracer() {
    // SAFETY: prctl takes integers here. EINVAL, where there is no Yama, is as good.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY, 0, 0, 0) };
}

/// capset(2): gives up all capabilities of this process.
pub(crate) fn give_up_capabilities() -> nix::Result<()> {
    const VERSION_3: u32 = 0x2008_0522; // linux/capability.h: 64 capabilities, in two halves
    let header = [VERSION_3, 0]; // 0: this process
    let none = [[0_u32; 3]; 2]; // effective, permitted, inheritable
    // SAFETY: both pointers are to the structures of version 3, made of 32-bit integers.
    let result = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) };
    Errno::result(result).map(drop)
}

/// Asks the processor what it is: an instruction, and no system call.
#[cfg(target_arch = "x86_64")]
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
