//! The system calls of the attacks that `nix` does not offer as safe functions. All `unsafe` of
//! this crate.

use std::ffi::CString;
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

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
    // pointer after it is to room for one integer.
    let result = unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            libc::AT_FDCWD,
            path.as_ptr(),
            &raw mut handle,
            mount.as_mut_ptr(),
            libc::AT_SYMLINK_FOLLOW,
        )
    };
    Errno::result(result)?;
    let bytes = handle.handle.get(..handle.bytes as usize).ok_or(Errno::EOVERFLOW)?;
    Ok((handle.kind, bytes.to_vec()))
}

/// In place of a descriptor of the file system that namespaces are files of (FD_NSFS_ROOT in
/// linux/fcntl.h, since Linux 6.18). It is mounted nowhere.
pub(crate) const NAMESPACES: i32 = -10003;

/// What kind of handle a namespace has there (FILEID_NSFS in the kernel's linux/exportfs.h), and
/// how long it is (struct nsfs_file_handle in linux/nsfs.h).
pub(crate) const HANDLE_OF_NAMESPACE: (i32, usize) = (0xf1, 16);

/// open_by_handle_at(2): opens a file of the file system that the descriptor `mount` is on. No path
/// is walked, so no root directory is in the way.
pub(crate) fn open_by_handle(mount: i32, kind: i32, bytes: &[u8]) -> nix::Result<File> {
    let mut handle = FileHandle { bytes: 0, kind, handle: [0; LONGEST_HANDLE] };
    handle.handle.get_mut(..bytes.len()).ok_or(Errno::EOVERFLOW)?.copy_from_slice(bytes);
    handle.bytes = bytes.len() as libc::c_uint;
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: the structure is valid, and has as many bytes as it says. A number that is no
    // descriptor is refused (EBADF).
    let result =
        unsafe { libc::syscall(libc::SYS_open_by_handle_at, mount, &raw mut handle, flags) };
    new_descriptor(result).map(File::from)
}

/// The descriptor that a system call has just made.
fn new_descriptor(result: libc::c_long) -> nix::Result<OwnedFd> {
    let descriptor = i32::try_from(Errno::result(result)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
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

/// The session keyring of this process, whichever it is (KEY_SPEC_SESSION_KEYRING, keyctl(2)).
const SESSION_KEYRING: libc::c_long = -3;

/// Leaves the session keyring for a new one, and adds a key to it: KEYCTL_JOIN_SESSION_KEYRING of
/// keyctl(2), and add_key(2).
pub(crate) fn make_session_keyring(name: &str, secret: &[u8]) -> nix::Result<()> {
    let name = CString::new(name).map_err(|_| Errno::EINVAL)?;
    let nameless = std::ptr::null::<libc::c_char>();
    // SAFETY: an integer, and a null pointer in place of a name.
    let result =
        unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, nameless) };
    Errno::result(result)?;
    // SAFETY: two strings that end with a zero byte, and a slice with its length.
    let result = unsafe {
        libc::syscall(
            libc::SYS_add_key,
            c"user".as_ptr(),
            name.as_ptr(),
            secret.as_ptr(),
            secret.len(),
            SESSION_KEYRING,
        )
    };
    Errno::result(result).map(drop)
}

/// Finds a key in the session keyring by its name, and reads it: KEYCTL_SEARCH and KEYCTL_READ of
/// keyctl(2).
pub(crate) fn read_key_of_session(name: &str) -> nix::Result<Vec<u8>> {
    let name = CString::new(name).map_err(|_| Errno::EINVAL)?;
    // SAFETY: integers, and two strings that end with a zero byte.
    let key = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            libc::KEYCTL_SEARCH,
            SESSION_KEYRING,
            c"user".as_ptr(),
            name.as_ptr(),
            0,
        )
    };
    let key = Errno::result(key)?;
    let mut bytes = vec![0_u8; 256];
    // SAFETY: an integer, and a buffer with its length.
    let length = unsafe {
        libc::syscall(libc::SYS_keyctl, libc::KEYCTL_READ, key, bytes.as_mut_ptr(), bytes.len())
    };
    let length = usize::try_from(Errno::result(length)?).map_err(|_| Errno::EOVERFLOW)?;
    bytes.truncate(length);
    Ok(bytes)
}

/// SYSLOG_ACTION_READ_ALL of syslog(2): reads the end of the kernel's log, and leaves it there.
pub(crate) fn read_kernel_log() -> nix::Result<usize> {
    const READ_ALL: libc::c_int = 3;
    let mut text = [0; 4096];
    // SAFETY: a buffer with its length.
    let length = unsafe { libc::klogctl(READ_ALL, text.as_mut_ptr(), text.len() as libc::c_int) };
    Errno::result(length).map(|length| length as usize)
}

/// adjtimex(2): reads how many microseconds the clock goes on with each of its ticks, and sets them
/// to that. So nothing changes; but only who may set the clock may do it.
pub(crate) fn set_clock_to_its_own_rate() -> nix::Result<()> {
    let mut clock = MaybeUninit::<libc::timex>::zeroed();
    // SAFETY: the structure is all integers, for which zero is a value, and zero asks to read only.
    Errno::result(unsafe { libc::adjtimex(clock.as_mut_ptr()) })?;
    // SAFETY: as above; and the kernel has filled it.
    let mut clock = unsafe { clock.assume_init() };
    clock.modes = libc::ADJ_TICK;
    // SAFETY: the structure is valid.
    Errno::result(unsafe { libc::adjtimex(&raw mut clock) }).map(drop)
}

/// The smallest program of the kernel's own machine language, `return 0`, in two instructions.
static BPF_PROGRAM: [u64; 2] = [0x0000_0000_0000_00b7, 0x0000_0000_0000_0095];

/// The beginning of union bpf_attr for BPF_PROG_LOAD (linux/bpf.h). The kernel takes what is
/// missing at the end for zeroes.
#[repr(C)]
struct BpfProgram {
    kind: u32,
    count: u32,
    instructions: u64,
    licence: u64,
}

/// BPF_PROG_LOAD of bpf(2): loads a program of the kind that decides which devices a cgroup may
/// open, and attaches it to none. The kernel forgets it with the descriptor.
pub(crate) fn load_bpf_program() -> nix::Result<OwnedFd> {
    const PROG_LOAD: libc::c_int = 5;
    const CGROUP_DEVICE: u32 = 15;
    let program = BpfProgram {
        kind: CGROUP_DEVICE,
        count: BPF_PROGRAM.len() as u32,
        instructions: BPF_PROGRAM.as_ptr().addr() as u64,
        licence: c"GPL".as_ptr().addr() as u64,
    };
    // SAFETY: the structure has the length that is given, and what it points to is static.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, PROG_LOAD, &raw const program, size_of::<BpfProgram>())
    };
    new_descriptor(result)
}

/// io_uring_setup(2), with room for one system call.
pub(crate) fn make_io_uring() -> nix::Result<OwnedFd> {
    let mut parameters = [0_u32; 30]; // struct io_uring_params: 120 bytes
    // SAFETY: the structure has its length, and is all zeroes, as it has to be.
    let result = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, parameters.as_mut_ptr()) };
    new_descriptor(result)
}

/// clone3(2) with CLONE_NEWUSER: a child that ends at once.
pub(crate) fn clone_into_user_namespace() -> nix::Result<()> {
    let mut arguments = [0_u64; 8]; // struct clone_args of its first version: 64 bytes
    arguments[0] = libc::CLONE_NEWUSER as u64;
    arguments[4] = libc::SIGCHLD as u64;
    // SAFETY: without a stack of its own the child is as after fork(2): it goes on here, with a
    // copy of this memory. This process has one thread.
    let child =
        unsafe { libc::syscall(libc::SYS_clone3, arguments.as_ptr(), size_of_val(&arguments)) };
    if Errno::result(child)? == 0 {
        // SAFETY: ends the child, which has done nothing.
        unsafe { libc::_exit(0) }
    }
    Ok(())
}
