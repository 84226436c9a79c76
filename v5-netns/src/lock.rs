//! One at a time: whoever makes or removes the bridge holds this lock. (v8 has another like it.)

use anyhow::{Context, Result, anyhow, bail};
use launcher::directories;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The directory that is locked. It exists as long as somebody holds the lock or waits for it.
///
/// Root's own, for a lock that everybody can take would be a way for every user to keep containers
/// from starting.
const DIRECTORY: &str = directories::RUNTIME_OF_ROOT;

/// The lock, until the value is dropped or the process ends, in whatever way (flock(2)).
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    directory: Flock<File>,
}

impl Lock {
    /// Whether somebody holds the lock, or was killed while holding it: then its directory stays
    /// until somebody else takes the lock and drops it.
    pub(crate) fn exists() -> bool {
        Path::new(DIRECTORY).try_exists().unwrap_or(true)
    }

    /// Takes the lock of the bridge, and waits for it as long as that takes.
    pub(crate) fn take() -> Result<Lock> {
        Lock::take_on(Path::new(DIRECTORY))
    }

    /// Locks a directory, which is made if it is missing, and removed afterwards if it is empty.
    ///
    /// # Errors
    /// If the directory cannot be made or opened.
    pub fn take_on(path: &Path) -> Result<Lock> {
        loop {
            match DirBuilder::new().mode(0o700).create(path) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(error).with_context(|| format!("cannot make {path:?}"));
                }
                _ => {}
            }
            let directory = match File::open(path) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                result => result.with_context(|| format!("cannot open {path:?}"))?,
            };
            let directory = Flock::lock(directory, FlockArg::LockExclusive)
                .map_err(|(_, errno)| anyhow!("cannot lock {path:?}: {errno}"))?;
            // While we waited, the last holder may have removed it: then it is nobody's lock.
            let lock = Lock { path: path.to_owned(), directory };
            if lock.is_in_place()? {
                return Ok(lock);
            }
        }
    }

    /// Gives the lock back.
    ///
    /// # Errors
    /// If somebody has removed its directory meanwhile: then others may have had the lock too.
    pub fn release(self) -> Result<()> {
        if self.is_in_place()? {
            return Ok(());
        }
        bail!(
            "somebody has removed {:?} while it was locked, and may have come between: start again",
            self.path
        )
    }

    /// Whether the directory that we hold is the one that others find.
    fn is_in_place(&self) -> Result<bool> {
        let cannot = || format!("cannot look at {:?}", self.path);
        let held = self.directory.metadata().with_context(cannot)?;
        match fs::metadata(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            found => {
                let found = found.with_context(cannot)?;
                Ok((found.dev(), found.ino()) == (held.dev(), held.ino()))
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Whoever waits for it notices, and makes a new one. It stays if there is something in it.
        // Another directory in its place is the lock of somebody else.
        if self.is_in_place().is_ok_and(|it| it) {
            let _ = fs::remove_dir(&self.path);
        }
    }
}
