//! Attacks on what belongs to the whole machine.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, pause, sethostname};
use v1_chroot::command_line::errno_of;

use super::Told;
use super::files::FROM_HERE;
use crate::system_calls;

/// Renames the machine.
pub(crate) fn set_hostname(told: &Told) -> Result<String, Errno> {
    sethostname(told.word(0)?)?;
    Ok("renamed".to_owned())
}

/// Uses so many mebibytes of memory.
pub(crate) fn eat_memory(told: &Told) -> Result<String, Errno> {
    let mut eaten: Vec<Vec<u8>> = Vec::new();
    for _ in 0..told.number(0)? {
        // Memory is used when it is written to: so not with zeroes, which the kernel has anyway.
        eaten.push(vec![1; 1 << 20]);
    }
    Ok(format!("{} MiB", eaten.len()))
}

/// Makes so many processes at the same time; a real one would make them without end. All of them
/// end with this one.
pub(crate) fn fork_without_end(told: &Told) -> Result<String, Errno> {
    let mut children: Vec<Pid> = Vec::new();
    let mut refused = None;
    for _ in 0..told.number(0)? {
        match system_calls::fork() {
            Ok(ForkResult::Parent { child }) => children.push(child),
            Ok(ForkResult::Child) => wait_for_the_end(),
            Err(errno) => {
                refused = Some(errno);
                break;
            }
        }
    }
    for child in &children {
        // It is ours, and not waited for: nobody else can have its number.
        let _ = kill(*child, Signal::SIGKILL).and_then(|()| waitpid(*child, None));
    }
    refused.map_or_else(|| Ok(format!("{} processes", children.len())), Err)
}

fn wait_for_the_end() -> ! {
    // If it fails, the parent's own SIGKILL ends this process all the same.
    let _ = set_pdeathsig(Signal::SIGKILL);
    loop {
        pause();
    }
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

/// Mounts a hierarchy of cgroup v1, and writes to the file in it that names a program, which the
/// kernel starts on the host, as root, when a cgroup is empty (cgroups(7)). No name is written.
pub(crate) fn write_release_agent(told: &Told) -> Result<String, Errno> {
    let place = Path::new("/mnt");
    let options = format!("none,name={}", told.word(0)?);
    mount(Some("cgroup"), place, Some("cgroup"), MsFlags::empty(), Some(options.as_str()))?;
    let file = File::options().write(true).open(place.join("release_agent"));
    file.and_then(|mut file| file.write_all(b"\n")).map_err(|error| errno_of(&error))?;
    Ok("written".to_owned())
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
