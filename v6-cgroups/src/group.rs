//! One cgroup, that is, one directory in one hierarchy: made, locked, entered, removed.
//!
//! It is `container-steps/NUMBER`, by the number of the launcher. Who made it holds a lock on the
//! directory itself (flock(2)), which the kernel opens when the process ends, however it ends. So
//! an unlocked one has no owner any more, and the next start removes it.

use crate::control_file::{number_in, open_existing, read};
use crate::delegation;
use crate::hierarchy::{Hierarchies, Hierarchy, Kind, Version, Wanted};
use anyhow::{Context, Result, anyhow, bail};
use launcher::command_line::{note, one_line};
use nix::dir::{Dir, Entry, Type};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, Flock, FlockArg, OFlag, openat};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, fstat, fstatat, mkdirat};
use nix::unistd::{Pid, UnlinkatFlags, getpid, mkdir, unlinkat, write};
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The cgroup above those of all containers. It goes with the last of them.
pub const PARENT: &str = "container-steps";

/// How long processes that were killed may take to be gone.
const PATIENCE: Duration = Duration::from_secs(5);

/// A cgroup of ours in one hierarchy. It is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) version: Version,
    /// The name of the hierarchy's directory.
    pub(crate) hierarchy: String,
    /// All controllers of the hierarchy.
    pub(crate) controllers: Vec<String>,
    pub(crate) path: PathBuf,
    /// The file by which a process enters.
    entrance: File,
    /// None for a cgroup in a cgroup of ours: it goes with that one.
    lock: Option<Flock<OwnedFd>>,
}

impl Group {
    /// Makes a cgroup that nobody is in, with these controllers.
    pub(crate) fn create(kind: Kind, tree: &Hierarchy, wanted: &[Wanted]) -> Result<Group> {
        let base = delegation::base(kind, tree)?;
        let parent = base.join(PARENT);
        let (path, lock) = make_and_lock(&parent)?;
        let removed_on_failure = Remove(&path);
        if tree.version == Version::V2 && !wanted.is_empty() {
            delegation::enable(&base, wanted)?;
            delegation::enable(&parent, wanted)?;
        }
        let file = tree.version.entrance();
        let entrance = open_existing(&path, file, OFlag::O_WRONLY)
            .with_context(|| format!("cannot open {file} of {path:?}"))?;
        std::mem::forget(removed_on_failure);
        Ok(Group {
            version: tree.version,
            hierarchy: tree.name(),
            controllers: tree.controllers.clone(),
            path,
            entrance,
            lock: Some(lock),
        })
    }

    /// Makes a cgroup in this one.
    pub(crate) fn create_inner(&self, name: &str) -> Result<Group> {
        let path = self.path.join(name);
        mkdir(&path, Mode::from_bits_truncate(0o755))
            .map_err(|errno| anyhow!("cannot make the cgroup {path:?}: {errno}"))?;
        let file = self.version.entrance();
        let entrance = match open_existing(&path, file, OFlag::O_WRONLY) {
            Ok(entrance) => entrance,
            Err(errno) => {
                report_failure(remove(&path));
                bail!("cannot open {file} of {path:?}: {errno}");
            }
        };
        let (hierarchy, controllers) = (self.hierarchy.clone(), self.controllers.clone());
        Ok(Group { version: self.version, hierarchy, controllers, path, entrance, lock: None })
    }

    /// Lets the cgroups in this one have controllers. From then on no process may be in this one.
    pub(crate) fn pass_on(&self, wanted: &[Wanted]) -> Result<()> {
        match self.version {
            Version::V2 if !wanted.is_empty() => delegation::enable(&self.path, wanted),
            _ => Ok(()),
        }
    }

    /// Moves this process into the cgroup: 0 is whoever writes.
    pub(crate) fn enter(&self) -> Result<()> {
        write(&self.entrance, b"0").map(drop).map_err(|errno| {
            let advice = match errno {
                Errno::ENODEV => "somebody has removed it: start again",
                Errno::EINVAL => "a real-time process? See sched(7), real-time group scheduling",
                _ => "see cgroups(7)",
            };
            anyhow!("cannot enter the cgroup {:?}: {errno} ({advice})", self.path)
        })
    }

    /// Whether this is the hierarchy of a controller.
    pub(crate) fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|name| name == controller)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        match self.lock {
            Some(_) => drop(Remove(&self.path)),
            None => report_failure(remove(&self.path)),
        }
    }
}

/// Removes a cgroup when it goes out of scope.
struct Remove<'a>(&'a Path);

impl Drop for Remove<'_> {
    fn drop(&mut self) {
        report_failure(remove(self.0));
        if let Some(parent) = self.0.parent() {
            remove_if_empty(parent);
        }
    }
}

/// Removes a cgroup when it goes out of scope, if there is none in it.
struct RemoveIfEmpty<'a>(&'a Path);

impl Drop for RemoveIfEmpty<'_> {
    fn drop(&mut self) {
        remove_if_empty(self.0);
    }
}

/// A cgroup that cannot be removed stops nobody, but is not passed over in silence either.
fn report_failure(result: Result<()>) {
    if let Err(error) = result {
        note(format_args!("{}", one_line(&error)));
    }
}

// ANCHOR: make_and_lock
/// Makes a cgroup in `parent` and locks it. The lock on `parent` lasts for that moment only: nobody
/// must take the new directory for one without an owner.
fn make_and_lock(parent: &Path) -> Result<(PathBuf, Flock<OwnedFd>)> {
    let mode = Mode::from_bits_truncate(0o755);
    loop {
        match mkdir(parent, mode) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => bail!("cannot make the cgroup {parent:?}: {errno}"),
        }
        let removed_on_failure = RemoveIfEmpty(parent);
        let Some(parent_lock) = lock(AT_FDCWD, parent, FlockArg::LockExclusive)? else { continue };
        // The number may be taken: another PID namespace has a launcher of the same number.
        let names = (0..).map(|other| match other {
            0 => getpid().to_string(),
            _ => format!("{}-{other}", getpid()),
        });
        for name in names {
            let (name, path) = (Path::new(&name), parent.join(&name));
            match mkdirat(&*parent_lock, name, mode) {
                Ok(()) => {
                    let removed_on_failure_too = Remove(&path);
                    let lock = lock(&*parent_lock, name, FlockArg::LockExclusiveNonblock)?;
                    let lock = lock.with_context(|| format!("{path:?} is gone"))?;
                    std::mem::forget((removed_on_failure, removed_on_failure_too));
                    return Ok((path.clone(), lock));
                }
                Err(Errno::EEXIST) => {}
                Err(Errno::ENOENT) => break, // the last container in `parent` has removed it
                Err(errno) => bail!("cannot make the cgroup {path:?}: {errno}"),
            }
        }
    }
}
// ANCHOR_END: make_and_lock

/// Locks the directory `name` in `above`; none if there is none, or if it is locked and that is not
/// to be waited for.
fn lock(above: impl AsFd, name: &Path, how: FlockArg) -> Result<Option<Flock<OwnedFd>>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let opened = match openat(&above, name, flags, Mode::empty()) {
        Err(Errno::ENOENT) => return Ok(None),
        result => result.with_context(|| format!("cannot open the cgroup {name:?}"))?,
    };
    let lock = match Flock::lock(opened, how) {
        Ok(lock) => lock,
        Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
        Err((_, errno)) => bail!("cannot lock the cgroup {name:?}: {errno}"),
    };
    // Meanwhile it may have been removed, and another made in its place.
    let opened = fstat(&*lock).with_context(|| format!("cannot look at {name:?}"))?;
    match fstatat(&above, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(named) if named.st_ino == opened.st_ino => Ok(Some(lock)),
        Ok(_) | Err(Errno::ENOENT) => Ok(None),
        Err(errno) => bail!("cannot look at the cgroup {name:?}: {errno}"),
    }
}

// ANCHOR: sweep
/// Removes the cgroups whose launcher has died without a chance to do it.
pub(crate) fn sweep(host: &Hierarchies) -> Result<()> {
    for tree in &host.all {
        let parent = delegation::base(host.kind, tree)?.join(PARENT);
        let Some(parent_lock) = lock(AT_FDCWD, &parent, FlockArg::LockExclusive)? else { continue };
        // By the locked descriptor, not by its path: under that there may be another by now.
        for name in children(&*parent_lock, Path::new("."))? {
            let no_owner = lock(&*parent_lock, &name, FlockArg::LockExclusiveNonblock)?;
            if no_owner.is_some() {
                report_failure(remove(&parent.join(name)));
            }
        }
        remove_if_empty(&parent);
    }
    Ok(())
}
// ANCHOR_END: sweep

/// The names of the directories in the cgroup `name` of `above`; none if it is gone.
fn children(above: impl AsFd, name: &Path) -> Result<Vec<PathBuf>> {
    let cannot = || format!("cannot read the cgroup {name:?}");
    let Some(mut opened) = open(above, name)? else { return Ok(Vec::new()) };
    let entries =
        opened.iter().filter_map(|entry| entry.map(|entry| directory(&entry)).transpose());
    entries.collect::<nix::Result<_>>().with_context(cannot)
}

/// Opens a cgroup; `None` if it is gone.
fn open(above: impl AsFd, name: &Path) -> Result<Option<Dir>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    match Dir::openat(above, name, flags, Mode::empty()) {
        Err(Errno::ENOENT) => Ok(None),
        result => Ok(Some(result.with_context(|| format!("cannot open the cgroup {name:?}"))?)),
    }
}

/// The name of an entry that is a cgroup.
fn directory(entry: &Entry) -> Option<PathBuf> {
    let name = OsStr::from_bytes(entry.file_name().to_bytes());
    let is_inner = entry.file_type() == Some(Type::Directory) && name != "." && name != "..";
    is_inner.then(|| PathBuf::from(name))
}

/// rmdir(2), which other cgroups in it forbid.
fn remove_if_empty(directory: &Path) {
    // EBUSY: there are other containers. ENOENT: one of them was faster.
    let _ = unlinkat(AT_FDCWD, directory, UnlinkatFlags::RemoveDir);
}

// ANCHOR: remove
/// Removes a cgroup. The files in it need not be removed, and cannot. What forbids it (EBUSY) are
/// processes, which are killed, and cgroups in it, which a container with all capabilities may have
/// made.
fn remove(path: &Path) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match unlinkat(AT_FDCWD, path, UnlinkatFlags::RemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => return Ok(()),
            Err(Errno::EBUSY) if Instant::now() < deadline => {}
            Err(errno) => bail!("cannot remove the cgroup {path:?}: {errno}"),
        }
        kill_all(path, deadline)?;
        remove_those_in(path)?;
        // v1 has no word for "empty now": processes that end are in it until the last moment.
        sleep(Duration::from_millis(1));
    }
}
// ANCHOR_END: remove

/// Removes the cgroups in a cgroup, those first that have none in them. A container can make them
/// in each other until their path is longer than the kernel takes one: so each is opened from the
/// one above it, and the way back is `..`.
fn remove_those_in(path: &Path) -> Result<()> {
    let Some(mut here) = open(AT_FDCWD, path)? else { return Ok(()) };
    let mut way = Vec::new();
    let mut deadline = Instant::now() + PATIENCE;
    loop {
        let inner = here.iter().find_map(|entry| entry.map(|entry| directory(&entry)).transpose());
        if let Some(name) = inner.transpose().context("cannot read a cgroup")? {
            let Some(below) = open(&here, &name)? else { continue };
            way.push(name);
            here = below;
            continue;
        }
        let Some(name) = way.pop() else { return Ok(()) };
        let Some(above) = open(&here, Path::new(".."))? else { return Ok(()) };
        match unlinkat(&above, &name, UnlinkatFlags::RemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {
                here = above;
                deadline = Instant::now() + PATIENCE;
            }
            Err(Errno::EBUSY) if Instant::now() < deadline => {
                kill_all(&PathBuf::from(format!("/proc/self/fd/{}", here.as_raw_fd())), deadline)?;
                sleep(Duration::from_millis(1));
                way.push(name); // and look again
            }
            Err(errno) => bail!("cannot remove the cgroup {name:?} in {path:?}: {errno}"),
        }
    }
}

/// Kills every process in a cgroup. In v2 also those in the cgroups below, and waits for their end.
fn kill_all(path: &Path, deadline: Instant) -> Result<()> {
    let events = match open_existing(path, "cgroup.events", OFlag::O_RDONLY) {
        Ok(events) => events,
        Err(Errno::ENOENT) => return kill_one_by_one(path), // v1
        Err(errno) => bail!("cannot open cgroup.events of {path:?}: {errno}"),
    };
    if !is_populated(&events)? {
        return Ok(());
    }
    let file = open_existing(path, "cgroup.kill", OFlag::O_WRONLY);
    file.and_then(|file| write(&file, b"1"))
        .with_context(|| format!("cannot kill the processes in the cgroup {path:?}"))?;
    while is_populated(&events)? && Instant::now() < deadline {
        // The kernel reports a change in this file as POLLPRI.
        let mut changed = [PollFd::new(events.as_fd(), PollFlags::POLLPRI)];
        poll(&mut changed, PollTimeout::from(100_u8)).context("cannot poll cgroup.events")?;
    }
    Ok(())
}

fn is_populated(events: &File) -> Result<bool> {
    let mut text = [0; 256];
    let length = events.read_at(&mut text, 0).context("cannot read cgroup.events")?;
    let text = String::from_utf8_lossy(&text[..length]); // no more than there is room for
    Ok(number_in(&text, "populated") == Some(1))
}

fn kill_one_by_one(path: &Path) -> Result<()> {
    let pids = match read(path, "cgroup.procs") {
        Err(Errno::ENOENT) => return Ok(()),
        result => result.with_context(|| format!("cannot read cgroup.procs of {path:?}"))?,
    };
    for pid in pids.lines().filter_map(|pid| pid.parse().ok()).filter(|pid| *pid > 0) {
        match kill(Pid::from_raw(pid), Signal::SIGKILL) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(errno) => bail!("cannot kill process {pid} in the cgroup {path:?}: {errno}"),
        }
    }
    Ok(())
}
