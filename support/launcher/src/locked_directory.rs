//! A directory with an owner: whoever has made it, or works in it, holds a lock on the directory
//! itself (flock(2)).
//!
//! The kernel opens a lock when its process ends, in whatever way. So a directory that nobody has
//! locked has no owner any more, and [`without_owner`] finds it. That is how the next start removes
//! what a killed one has left.

use crate::signals::Patience;
use anyhow::{Context, Result, bail};
use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, Flock, FlockArg, OFlag, openat};
use nix::sys::stat::{Mode, fstat, fstatat};
use nix::unistd::{mkdir, mkdtemp};
use std::ffi::OsStr;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

/// A lock is asked for after this time, after twice this time, and so on. (A process that blocked
/// in flock(2) would not hear that it is asked to end.)
const FIRST_PAUSE: Duration = Duration::from_micros(250);
const LONGEST_PAUSE: Duration = Duration::from_millis(16);

/// A directory that nobody else has locked, until the value is dropped or the process ends. (A
/// process that it forks has the lock too, unless it closes its copy.)
#[derive(Debug)]
pub struct LockedDirectory {
    directory: Flock<OwnedFd>,
    path: PathBuf,
}

/// What came of an attempt to lock a directory.
#[derive(Debug)]
pub enum Attempt {
    /// It is ours now, and where it was.
    Taken(LockedDirectory),
    /// Somebody else has locked it.
    Busy,
    /// It is not there, or not any more.
    Gone,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    UntilAskedToEnd,
    No,
}

impl LockedDirectory {
    /// Locks the directory `name` in `above`, and waits for it, unless a signal asks this process
    /// to end: see [`Patience`]. `None` if it is not there, or was removed meanwhile.
    ///
    /// # Errors
    /// If it cannot be opened or locked; the signal.
    pub fn take(above: impl AsFd, name: &Path) -> Result<Option<LockedDirectory>> {
        Ok(lock(above, name, Wait::UntilAskedToEnd)?.taken())
    }

    /// Locks the directory `name` in `above`, if nobody else has.
    ///
    /// # Errors
    /// If it cannot be opened or locked.
    pub fn try_take(above: impl AsFd, name: &Path) -> Result<Attempt> {
        lock(above, name, Wait::No)
    }

    /// Locks a directory, which is made with this mode if it is missing, and waits for it, unless a
    /// signal asks this process to end: see [`Patience`].
    ///
    /// # Errors
    /// If it cannot be made, opened or locked; the signal.
    pub fn make(path: &Path, mode: Mode) -> Result<LockedDirectory> {
        loop {
            match mkdir(path, mode) {
                Ok(()) | Err(Errno::EEXIST) => {}
                failed => failed.with_context(|| format!("cannot make {path:?}"))?,
            }
            if let Some(locked) = LockedDirectory::take(AT_FDCWD, path)? {
                return Ok(locked);
            }
        }
    }

    /// Makes a directory with a name of its own in `parent`, and locks it. Only its owner can enter
    /// it (mkdtemp(3)).
    ///
    /// # Errors
    /// If it cannot be made or locked.
    pub fn make_in(parent: &Path) -> Result<LockedDirectory> {
        loop {
            let path = mkdtemp(&parent.join("XXXXXX"))
                .with_context(|| format!("cannot write to {parent:?}"))?;
            // Before it was locked, somebody may have taken it for one without an owner.
            if let Some(made) = LockedDirectory::take(AT_FDCWD, &path)? {
                return Ok(made);
            }
        }
    }

    /// Its path, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the directory that is locked is the one that is found in `above` by its name.
    fn is_in_place(&self, above: impl AsFd) -> Result<bool> {
        let cannot = || format!("cannot look at {:?}", self.path);
        let held = fstat(&*self.directory).with_context(cannot)?;
        match fstatat(above, &self.path, AtFlags::empty()) {
            Err(Errno::ENOENT) => Ok(false),
            found => {
                let found = found.with_context(cannot)?;
                Ok((found.st_dev, found.st_ino) == (held.st_dev, held.st_ino))
            }
        }
    }
}

impl AsFd for LockedDirectory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

impl Attempt {
    /// The directory, if it is ours now.
    pub fn taken(self) -> Option<LockedDirectory> {
        match self {
            Attempt::Taken(locked) => Some(locked),
            Attempt::Busy | Attempt::Gone => None,
        }
    }
}

fn lock(above: impl AsFd, name: &Path, wait: Wait) -> Result<Attempt> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let opened = match openat(&above, name, flags, Mode::empty()) {
        Err(Errno::ENOENT) => return Ok(Attempt::Gone),
        opened => opened.with_context(|| format!("cannot open {name:?}"))?,
    };
    let Some(directory) = flock(opened, wait).with_context(|| format!("cannot lock {name:?}"))?
    else {
        return Ok(Attempt::Busy);
    };
    let locked = LockedDirectory { directory, path: name.to_owned() };
    // Meanwhile its last owner may have removed it, and somebody made another in its place: then
    // this is a lock on nothing.
    Ok(if locked.is_in_place(above)? { Attempt::Taken(locked) } else { Attempt::Gone })
}

/// flock(2); `None` if somebody else has the lock, and it is not to be waited for.
fn flock(mut opened: OwnedFd, wait: Wait) -> Result<Option<Flock<OwnedFd>>> {
    let (mut pause, mut patience) = (FIRST_PAUSE, Patience::default());
    loop {
        match Flock::lock(opened, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(Some(lock)),
            Err((_, Errno::EWOULDBLOCK)) if wait == Wait::No => return Ok(None),
            Err((unlocked, Errno::EWOULDBLOCK)) => opened = unlocked,
            Err((_, errno)) => return Err(errno.into()),
        }
        patience.check()?;
        sleep(pause);
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

/// Those directories `of_interest` in `parent` that nobody has locked, one after the other, each
/// locked for us as long as it is looked at. (Both see names, without the path of `parent`.)
///
/// They are found by the descriptor, so that they are those of this very directory.
///
/// # Errors
/// If `parent` cannot be read. One of those in it that cannot be locked is an error of its own.
pub fn without_owner(
    parent: &impl AsFd,
    of_interest: impl Fn(&Path) -> bool,
) -> Result<impl Iterator<Item = Result<LockedDirectory>>> {
    let mut names = names_of_directories(parent)?;
    names.retain(|name| of_interest(name));
    Ok(names.into_iter().filter_map(move |name| {
        LockedDirectory::try_take(parent, &name).map(Attempt::taken).transpose()
    }))
}

fn names_of_directories(parent: &impl AsFd) -> Result<Vec<PathBuf>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut opened = match Dir::openat(parent, ".", flags, Mode::empty()) {
        Err(Errno::ENOENT) => return Ok(Vec::new()), // a removed cgroup, say
        opened => opened.context("cannot read a locked directory")?,
    };
    let mut names = Vec::new();
    for entry in opened.iter() {
        let entry = entry.context("cannot read a locked directory")?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if entry.file_type() == Some(Type::Directory) && name != "." && name != ".." {
            names.push(PathBuf::from(name));
        }
    }
    Ok(names)
}

/// One at a time: the right to change what several processes share, for as long as the value lives.
///
/// It is a directory that exists as long as somebody has the lock or waits for it, or something is
/// in it.
#[derive(Debug)]
pub struct Turn(LockedDirectory);

impl Turn {
    /// Waits until it is our turn, unless a signal asks this process to end: see [`Patience`].
    ///
    /// # Errors
    /// If the directory cannot be made or opened; the signal.
    pub fn take(path: &Path) -> Result<Turn> {
        LockedDirectory::make(path, Mode::S_IRWXU).map(Turn)
    }

    /// Whether somebody has a turn, or was killed during one: then the directory stays until
    /// somebody else has had a turn.
    pub fn exists(path: &Path) -> bool {
        path.try_exists().unwrap_or(true)
    }

    /// Ends our turn.
    ///
    /// # Errors
    /// If somebody has removed the directory meanwhile: then it may have been another's turn too.
    pub fn end(self) -> Result<()> {
        if self.0.is_in_place(AT_FDCWD)? {
            return Ok(());
        }
        bail!(
            "somebody has removed {:?} while it was locked, and may have come between: start again",
            self.0.path
        )
    }
}

impl AsFd for Turn {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Whoever waits for it notices, and makes a new one. It stays if there is something in it.
        // Another directory in its place is the lock of somebody else.
        if self.0.is_in_place(AT_FDCWD).is_ok_and(|it| it) {
            let _ = fs::remove_dir(&self.0.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// A directory for one test.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new() -> Scratch {
            Scratch(mkdtemp(&std::env::temp_dir().join("locked-XXXXXX")).unwrap())
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn a_directory_has_one_owner_at_a_time() {
        let place = Scratch::new();
        let path = place.0.join("one");
        assert!(matches!(LockedDirectory::try_take(AT_FDCWD, &path), Ok(Attempt::Gone)));
        let locked = LockedDirectory::make(&path, Mode::S_IRWXU).unwrap();
        assert!(matches!(LockedDirectory::try_take(AT_FDCWD, &path), Ok(Attempt::Busy)));
        drop(locked);
        assert!(LockedDirectory::try_take(AT_FDCWD, &path).unwrap().taken().is_some());
        fs::write(place.0.join("file"), "").unwrap();
        assert!(LockedDirectory::take(AT_FDCWD, &place.0.join("file")).is_err());
    }

    #[test]
    fn what_is_locked_after_a_wait_is_what_others_find() {
        let place = Scratch::new();
        let path = place.0.join("one");
        let first = LockedDirectory::make(&path, Mode::S_IRWXU).unwrap();
        thread::scope(|scope| {
            let second = scope.spawn(|| LockedDirectory::make(&path, Mode::S_IRWXU).unwrap());
            sleep(Duration::from_millis(50)); // now it waits, for a directory that goes
            fs::remove_dir(&path).unwrap();
            drop(first);
            let second = second.join().unwrap();
            assert!(second.is_in_place(AT_FDCWD).unwrap());
            assert!(matches!(LockedDirectory::try_take(AT_FDCWD, &path), Ok(Attempt::Busy)));
        });
    }

    #[test]
    fn only_what_has_no_owner_is_found() {
        let place = Scratch::new();
        let parent = LockedDirectory::take(AT_FDCWD, &place.0).unwrap().unwrap();
        let living = LockedDirectory::make_in(&place.0).unwrap();
        let dead = LockedDirectory::make_in(&place.0).unwrap().path().to_owned();
        fs::write(place.0.join("file"), "").unwrap();
        let found =
            without_owner(&parent, |_| true).unwrap().map(|it| it.unwrap().path().to_owned());
        assert_eq!(found.collect::<Vec<_>>(), [Path::new(dead.file_name().unwrap())]);
        drop(living);
        assert_eq!(without_owner(&parent, |_| true).unwrap().count(), 2);
        assert_eq!(without_owner(&parent, |_| false).unwrap().count(), 0);
    }

    #[test]
    fn a_turn_leaves_nothing_but_what_is_in_it() {
        let place = Scratch::new();
        let path = place.0.join("turn");
        let turn = Turn::take(&path).unwrap();
        assert!(Turn::exists(&path));
        turn.end().unwrap();
        assert!(!Turn::exists(&path));
        let turn = Turn::take(&path).unwrap();
        fs::remove_dir(&path).unwrap();
        fs::create_dir(&path).unwrap(); // somebody else's
        assert!(turn.end().is_err());
        assert!(path.exists());
        drop(Turn::take(&path).unwrap());
        assert!(!path.exists());
        let turn = Turn::take(&path).unwrap();
        fs::create_dir(path.join("kept")).unwrap();
        drop(turn);
        assert!(path.join("kept").exists());
    }
}
