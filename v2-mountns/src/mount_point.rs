//! Where something is mounted inside: a path that the caller gives, in a root directory that is not
//! the caller's.

use crate::mount::Mount;
use crate::new_root::{NewRoot, OF_SOMEBODY_ELSE};
use anyhow::{Context, Result, ensure};
use launcher::Advise;
use launcher::lookup::{self, find_or_make, open_in};
use nix::errno::Errno;
use nix::fcntl::{OFlag, ResolveFlag};
use nix::sys::stat::fstat;
use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

/// Reads the path of a mount point inside.
pub(crate) fn read(text: &OsStr) -> Result<PathBuf> {
    let path = Path::new(text);
    ensure!(path.is_absolute(), "the path inside, {path:?}, does not start with /");
    ensure!(
        !path.components().any(|part| part == Component::ParentDir),
        "{path:?} goes through .."
    );
    ensure!(path.components().count() > 1, "the path inside is /, which is the rootfs itself");
    Ok(path.to_owned())
}

impl NewRoot {
    /// Mounts an open file on `target`, as a volume.
    ///
    /// # Errors
    /// As [`NewRoot::mount_volumes`].
    pub fn mount_file(&self, file: impl AsFd, target: &Path) -> Result<()> {
        let place = self.place_of_volume(target, false)?;
        Mount::copy_of(file)
            .and_then(|mount| mount.attach(place))
            .with_context(|| format!("cannot mount a file on {target:?}"))
    }

    // ANCHOR: place_of_volume
    /// Opens the place of a volume; what is missing of it is made, directory by directory.
    pub(crate) fn place_of_volume(&self, target: &Path, is_directory: bool) -> Result<OwnedFd> {
        let opened = find_or_make(&self.mount, target, is_directory);
        let checked = opened.and_then(|place| Ok((fstat(&place)?, place)));
        let checked = checked.advise(|errno| match errno {
            Errno::ELOOP => "symbolic links that lead in a circle, or into /proc/PID".into(),
            Errno::EROFS => {
                Cow::Owned(format!("make it yourself: {:?} is read-only", self.last_there(target)))
            }
            Errno::EACCES => OF_SOMEBODY_ELSE.into(),
            Errno::ENOTDIR => "a part of its path is a file".into(),
            _ => "see openat2(2)".into(),
        });
        let (found, place) =
            checked.with_context(|| format!("cannot make the mount point {target:?}"))?;
        ensure!(
            is_directory == lookup::is_directory(&found),
            "cannot mount on {target:?}: one is a file, the other a directory"
        );
        Ok(place)
    }
    // ANCHOR_END: place_of_volume

    /// The last directory on the way to `target` that is there: the next one would be made in it.
    fn last_there<'a>(&self, target: &'a Path) -> &'a Path {
        let is_there = |path: &&Path| {
            open_in(&self.mount, path, OFlag::O_PATH, ResolveFlag::RESOLVE_IN_ROOT).is_ok()
        };
        target.ancestors().skip(1).find(is_there).unwrap_or(Path::new("/"))
    }
}
