//! Where everything lies that outlives a process: for root, and for an ordinary user.

use crate::Caller;
use anyhow::{Context, Result, anyhow};
use nix::errno::Errno;
use nix::sys::stat::lstat;
use nix::unistd::{User, geteuid, getuid};
use std::env;
use std::path::{Path, PathBuf};

/// The directory of this course in each of the places below.
const OURS: &str = "container-steps";

/// Where root's cache is. A person's settings do not count there: with sudo they can be another's.
const CACHE_OF_ROOT: &str = "/var/cache/container-steps";

/// Root's images. Unlike a cache, they are not made anew by the next start.
const IMAGES_OF_ROOT: &str = "/var/lib/container-steps/images";

/// Root's runtime directory: what lies in it is gone with the next start of the machine. Only root
/// can make it, and nobody else can open it.
///
/// Whoever makes or removes the bridge of v5 locks this directory itself; the pods of v8 have
/// directories in it.
pub const RUNTIME_OF_ROOT: &str = "/run/container-steps";

impl Caller {
    /// The cache: below /var/cache for the machine's root, in the user's cache directory else.
    ///
    /// # Errors
    /// If this user has no home directory; if it is somebody else's.
    pub fn cache(&self) -> Result<PathBuf> {
        let cache = match env::var_os("XDG_CACHE_HOME").map(PathBuf::from) {
            _ if is_roots_own(Path::new(CACHE_OF_ROOT))? => return Ok(CACHE_OF_ROOT.into()),
            Some(directory) if directory.is_absolute() => directory.join(OURS),
            _ => home()?.join(".cache").join(OURS),
        };
        refuse_strangers(&cache)?;
        Ok(cache)
    }

    /// The busybox rootfs that v1 to v6 share.
    ///
    /// # Errors
    /// Those of [`Caller::cache`].
    pub fn rootfs(&self) -> Result<PathBuf> {
        Ok(self.cache()?.join("rootfs"))
    }

    /// The directory of images, which are pulled: below /var/lib for the machine's root, in the
    /// user's data directory else.
    ///
    /// # Errors
    /// If this user has no home directory; if it is somebody else's.
    pub fn images(&self) -> Result<PathBuf> {
        let images = match env::var_os("XDG_DATA_HOME").map(PathBuf::from) {
            _ if is_roots_own(Path::new(IMAGES_OF_ROOT))? => return Ok(IMAGES_OF_ROOT.into()),
            Some(directory) if directory.is_absolute() => directory.join(OURS).join("images"),
            _ => home()?.join(".local/share").join(OURS).join("images"),
        };
        refuse_strangers(&images)?;
        Ok(images)
    }

    /// The directory of the pods that run: in /run for the machine's root, in the user's runtime
    /// directory else.
    ///
    /// # Errors
    /// If it is somebody else's; if there is no such directory, those of [`Caller::cache`].
    pub fn pods(&self) -> Result<PathBuf> {
        let pods = match env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) {
            _ if is_roots_own(Path::new(RUNTIME_OF_ROOT))? => return Ok(RUNTIME_OF_ROOT.into()),
            Some(directory) if directory.is_absolute() => directory.join(OURS),
            // Not every way to become a user (su, say) makes a runtime directory. The cache is
            // private too; what a crash leaves in it is swept by the next start.
            _ => self.cache()?.join("pods"),
        };
        refuse_strangers(&pods)?;
        Ok(pods)
    }

    /// The user's data directory, where progress is kept: also for root, for it is a person's.
    ///
    /// # Errors
    /// If neither XDG_DATA_HOME nor HOME is set.
    pub fn data(&self) -> Result<PathBuf> {
        let absolute =
            |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let data =
            absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")));
        let data =
            data.context("no place for your progress: neither XDG_DATA_HOME nor HOME is set")?;
        Ok(data.join(OURS))
    }
}

// ANCHOR: is_roots_own
/// Whether this process is root, and the place its own: what is there of the path belongs to it.
///
/// In a user namespace everybody can be number 0 (`unshare -Ur`). But /var/cache belongs to the
/// machine's root, and that one has another number in there, or none.
///
/// # Errors
/// Those of lstat(2); if the directory around it is root's, and the place is not: then somebody has
/// given it away, and can put anything there.
pub fn is_roots_own(place: &Path) -> Result<bool> {
    let root = geteuid();
    let mut stranger = None;
    for path in place.ancestors().filter(|_| root.is_root()) {
        match lstat(path) {
            Ok(found) => match (found.st_uid == root.as_raw(), stranger) {
                (true, None) => return Ok(true),
                (true, Some(owner)) => return Err(belongs_to(place, owner)),
                (false, None) if path == place => stranger = Some(found.st_uid),
                (false, _) => return Ok(false),
            },
            Err(Errno::ENOENT) => {} // it would be made: whose is the one above?
            Err(Errno::EACCES) => break,
            Err(errno) => return Err(errno).with_context(|| format!("cannot look at {path:?}")),
        }
    }
    Ok(false)
}
// ANCHOR_END: is_roots_own

/// Refuses a directory that belongs to another user: who can put anything there, for us to run.
///
/// # Errors
/// Whose it is.
pub fn refuse_strangers(directory: &Path) -> Result<()> {
    match lstat(directory) {
        Ok(found) if found.st_uid != geteuid().as_raw() => Err(belongs_to(directory, found.st_uid)),
        // Why it cannot be looked at, whoever uses it hears.
        _ => Ok(()),
    }
}

fn belongs_to(directory: &Path, owner: u32) -> anyhow::Error {
    anyhow!(
        "cannot use {directory:?}: it belongs to user {owner}, who can put anything into it \
         (remove it: sudo rm -r {directory:?})"
    )
}

fn home() -> Result<PathBuf> {
    if let Some(home) = env::var_os("HOME").filter(|home| !home.is_empty()) {
        return Ok(home.into());
    }
    let user = User::from_uid(getuid()).context("cannot read the user database")?;
    Ok(user.context("no home directory: HOME is not set, and the user has no entry")?.dir)
}
