//! Attacks on what belongs to the whole machine.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use launcher::command_line::errno_of;
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::sethostname;

use super::files::FROM_HERE;
use super::told::Told;
use crate::system_calls;

/// Renames the machine.
pub(crate) fn set_hostname(told: &Told) -> Result<String, Errno> {
    sethostname(told.word(0)?)?;
    Ok("renamed".to_owned())
}

/// Makes the device of the kernel's log, and reads the machine's messages from it. A disk is made
/// by the same call.
pub(crate) fn make_device(_: &Told) -> Result<String, Errno> {
    const KMSG: (u64, u64) = (1, 11);
    let place = Path::new(FROM_HERE).join("device");
    mknod(&place, SFlag::S_IFCHR, Mode::S_IRUSR, makedev(KMSG.0, KMSG.1))?;
    read_a_message(&place)
}

/// Mounts the file system with the device of every driver of the machine, its disks among them.
pub(crate) fn mount_devices(_: &Told) -> Result<String, Errno> {
    // Every container has this directory, and every host.
    let place = Path::new("/mnt");
    mount(Some("devtmpfs"), place, Some("devtmpfs"), MsFlags::empty(), None::<&str>)?;
    read_a_message(&place.join("kmsg"))
}

/// Mounts the file systems through which the kernel is watched and set, and opens a file there for
/// writing. One of them will do. Nothing is written.
pub(crate) fn mount_kernel_filesystems(_: &Told) -> Result<String, Errno> {
    let mut refused = None;
    let mut open = Vec::new();
    // A file of each that every kernel has, if it has the file system.
    let files = [
        ("sysfs", "kernel/rcu_expedited"),
        ("debugfs", "clear_warn_once"),
        ("tracefs", "tracing_on"),
    ];
    for (kind, file) in files {
        match mount_and_open(kind, file) {
            Ok(()) => open.push(kind),
            Err(errno) => _ = refused.get_or_insert(errno),
        }
    }
    match refused.filter(|_| open.is_empty()) {
        Some(errno) => Err(errno),
        None => Ok(open.join(", ")),
    }
}

fn mount_and_open(kind: &str, file: &str) -> Result<(), Errno> {
    let place = Path::new("/mnt");
    mount(Some(kind), place, Some(kind), MsFlags::empty(), None::<&str>)?;
    let opened = File::options().write(true).open(place.join(file));
    umount2(place, MntFlags::MNT_DETACH)?;
    opened.map(drop).map_err(|error| errno_of(&error))
}

fn read_a_message(device: &Path) -> Result<String, Errno> {
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(device);
    let mut file = file.map_err(|error| errno_of(&error))?;
    let mut message = [0; 8192]; // each read is one whole message
    match io::Read::read(&mut file, &mut message) {
        // EPIPE: the log was overwritten meanwhile. That is an answer of the log, too.
        Ok(_) => Ok("a message".to_owned()),
        Err(error) if errno_of(&error) == Errno::EPIPE => Ok("a message".to_owned()),
        Err(error) => Err(errno_of(&error)),
    }
}

/// Opens, for writing, the file that names a program for crashes (core(5)). The kernel starts that
/// program on the host, as root. Nothing is written.
pub(crate) fn write_core_pattern(_: &Told) -> Result<String, Errno> {
    let file = File::options().write(true).open("/proc/sys/kernel/core_pattern");
    file.map(|_| "open".to_owned()).map_err(|error| errno_of(&error))
}

/// Types a letter at the terminal, if there is one.
pub(crate) fn type_into_terminal(told: &Told) -> Result<String, Errno> {
    let letter = *told.word(0)?.as_bytes().first().ok_or(Errno::EINVAL)?;
    match File::open("/dev/tty") {
        Ok(terminal) => system_calls::type_into(terminal, letter)?,
        // A root file system without that name may still have the terminal as its input.
        Err(_) => system_calls::type_into(io::stdin(), letter)?,
    }
    Ok("typed".to_owned())
}

/// Gives the kernel a program of its own machine language (bpf(2)). It does nothing, and is gone
/// with this process.
pub(crate) fn load_program(_: &Told) -> Result<String, Errno> {
    system_calls::load_bpf_program().map(|_| "loaded".to_owned())
}

/// Reads the kernel's log by syslog(2).
pub(crate) fn read_kernel_log(_: &Told) -> Result<String, Errno> {
    system_calls::read_kernel_log().map(|_| "the log".to_owned())
}

/// Sets the rate of the machine's clock: to what it is.
pub(crate) fn set_clock(_: &Told) -> Result<String, Errno> {
    system_calls::set_clock_to_its_own_rate().map(|()| "set".to_owned())
}

/// Makes a user namespace, in which one has all capabilities: by the call that everybody knows, or
/// by the one whose arguments no filter can read.
pub(crate) fn make_user_namespace(_: &Told) -> Result<String, Errno> {
    unshare(CloneFlags::CLONE_NEWUSER)
        .or_else(|_| system_calls::clone_into_user_namespace())
        .map(|()| "made".to_owned())
}

/// Makes a queue for system calls: what goes through it, no filter of system calls sees.
pub(crate) fn make_io_uring(_: &Told) -> Result<String, Errno> {
    system_calls::make_io_uring().map(|_| "made".to_owned())
}

/// Makes a socket to the machine that this one is a guest of, and to its other guests (vsock(7)).
/// Nobody is called.
pub(crate) fn make_vsock(_: &Told) -> Result<String, Errno> {
    socket(AddressFamily::Vsock, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    Ok("made".to_owned())
}
