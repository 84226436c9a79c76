//! Removes a cgroup, whatever is in it. What cannot be removed is told, a line each, and the rest
//! is removed all the same.

use crate::hierarchy::Version;
use anyhow::{Context, Error, Result};
use launcher::command_line::{note, one_line};
use launcher::lookup::by_descriptor;
use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long processes that were killed may take to be gone.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait before the next attempt. v1 has no word for "empty now".
const PAUSE: Duration = Duration::from_millis(1);

// ANCHOR: remove
/// Removes a cgroup. The files in it need not be removed, and cannot. What forbids it (EBUSY) are
/// processes, which are killed, and cgroups in it, which a container with all capabilities may have
/// made.
pub(crate) fn remove(version: Version, path: &Path) {
    let deadline = Instant::now() + PATIENCE;
    let mut failures = Vec::new();
    loop {
        match unlinkat(AT_FDCWD, path, UnlinkatFlags::RemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => return,
            Err(Errno::EBUSY) if Instant::now() < deadline => {}
            Err(errno) => {
                let cannot = format!("cannot remove the cgroup {path:?}");
                failures.push(Error::new(errno).context(cannot));
                return failures.iter().for_each(tell);
            }
        }
        failures.clear(); // those of the last round count
        failures.extend(version.kill_all(path, deadline).err());
        if let Err(error) = remove_those_in(version, path, &mut failures) {
            failures.push(error);
        }
        sleep(PAUSE);
    }
}
// ANCHOR_END: remove

/// A cgroup that cannot be removed stops nobody, but is not passed over in silence either.
pub(crate) fn tell(failure: &Error) {
    note(format_args!("{}", one_line(failure)));
}

/// rmdir(2), which other cgroups in it forbid.
pub(crate) fn remove_if_empty(directory: &Path) {
    // EBUSY: there are other containers. ENOENT: one of them was faster.
    let _ = unlinkat(AT_FDCWD, directory, UnlinkatFlags::RemoveDir);
}

/// A cgroup in another one.
struct Inner {
    name: PathBuf,
    /// Its number in its directory, by which it is known when it has to stay.
    inode: u64,
    /// There is one in it that has to stay, so this one has to.
    is_blocked: bool,
}

// ANCHOR: remove_those_in
/// Removes the cgroups in a cgroup, those first that have none in them. A container can make them
/// in each other until their path is longer than the kernel takes one: so each is opened from the
/// one above it, and the way back is `..`.
fn remove_those_in(version: Version, path: &Path, failures: &mut Vec<Error>) -> Result<()> {
    let Some(mut here) = open(AT_FDCWD, path)? else { return Ok(()) };
    let mut way: Vec<Inner> = Vec::new();
    let mut staying = BTreeSet::new();
    let mut deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(inner) = first_in(&mut here, &staying)? {
            let Some(below) = open(&here, &inner.name)? else { continue };
            way.push(inner);
            here = below;
            continue;
        }
        let Some(inner) = way.pop() else { return Ok(()) };
        let Some(above) = open(&here, Path::new(".."))? else { return Ok(()) };
        let failure = match unlinkat(&above, &inner.name, UnlinkatFlags::RemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => None,
            Err(Errno::EBUSY) if !inner.is_blocked && Instant::now() < deadline => {
                match version.kill_all(&by_descriptor(&here), deadline) {
                    Ok(()) => {
                        sleep(PAUSE);
                        way.push(inner); // and look again
                        continue;
                    }
                    Err(error) => Some(error),
                }
            }
            Err(errno) => Some(errno.into()),
        };
        if let Some(failure) = failure {
            if !inner.is_blocked {
                let cannot = format!("cannot remove the cgroup {:?} in {path:?}", inner.name);
                failures.push(failure.context(cannot));
            }
            staying.insert(inner.inode);
            way.iter_mut().for_each(|above| above.is_blocked = true);
        }
        here = above;
        deadline = Instant::now() + PATIENCE;
    }
}
// ANCHOR_END: remove_those_in

/// The first cgroup in one that does not have to stay.
fn first_in(here: &mut Dir, staying: &BTreeSet<u64>) -> Result<Option<Inner>> {
    for entry in here.iter() {
        let entry = entry.context("cannot read a cgroup")?;
        let (name, inode) = (OsStr::from_bytes(entry.file_name().to_bytes()), entry.ino());
        let is_cgroup = entry.file_type() == Some(Type::Directory) && name != "." && name != "..";
        if is_cgroup && !staying.contains(&inode) {
            return Ok(Some(Inner { name: name.into(), inode, is_blocked: false }));
        }
    }
    Ok(None)
}

/// Opens a cgroup; `None` if it is gone.
fn open(above: impl AsFd, name: &Path) -> Result<Option<Dir>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    match Dir::openat(above, name, flags, Mode::empty()) {
        Err(Errno::ENOENT) => Ok(None),
        result => Ok(Some(result.with_context(|| format!("cannot open the cgroup {name:?}"))?)),
    }
}
