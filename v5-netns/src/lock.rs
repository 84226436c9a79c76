//! One at a time: whoever makes or removes the bridge holds this lock.

use anyhow::{Context, Result, anyhow};
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

/// The directory that is locked. It exists as long as somebody holds the lock or waits for it.
///
/// In /run only root can make it, and nobody else can open it. (A lock that everybody can take
/// would be a way for every user to keep containers from starting.)
const DIRECTORY: &str = "/run/container-steps";

/// The lock, until the value is dropped or the process ends, in whatever way (flock(2)).
#[derive(Debug)]
pub(crate) struct Lock {
    _directory: Flock<File>,
}

impl Lock {
    /// Whether somebody holds the lock, or was killed while holding it: then its directory stays
    /// until somebody else takes the lock and drops it.
    pub(crate) fn exists() -> bool {
        Path::new(DIRECTORY).exists()
    }

    /// Takes the lock, and waits for it as long as that takes.
    ///
    /// # Errors
    /// If the directory cannot be made or opened.
    pub(crate) fn take() -> Result<Lock> {
        loop {
            match DirBuilder::new().mode(0o700).create(DIRECTORY) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(error).with_context(|| format!("cannot make {DIRECTORY}"));
                }
                _ => {}
            }
            let directory = match File::open(DIRECTORY) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                result => result.with_context(|| format!("cannot open {DIRECTORY}"))?,
            };
            let directory = Flock::lock(directory, FlockArg::LockExclusive)
                .map_err(|(_, errno)| anyhow!("cannot lock {DIRECTORY}: {errno}"))?;
            // While we waited, the last holder may have removed it: then it is nobody's lock.
            let held =
                directory.metadata().with_context(|| format!("cannot look at {DIRECTORY}"))?;
            if fs::metadata(DIRECTORY).is_ok_and(|found| found.ino() == held.ino()) {
                return Ok(Lock { _directory: directory });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Whoever waits for it notices, and makes a new one. It stays if there is something in it.
        let _ = fs::remove_dir(DIRECTORY);
    }
}
