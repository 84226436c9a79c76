//! A place in a root directory that may be hostile: found, or made if it is missing.

use crate::open_in;
use nix::errno::Errno;
use nix::fcntl::{OFlag, ResolveFlag, openat, readlinkat};
use nix::sys::stat::{Mode, mkdirat};
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// How many links to nothing are followed, as many as the kernel follows (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// How far the way to a place has led.
enum Made {
    Place(OwnedFd),
    /// It goes on there, seen from the root directory.
    LinkTo(PathBuf),
}

/// Opens the file or directory `target` as if `root` were `/`, for its name only (O_PATH). What is
/// missing of it is made, directory by directory; and on from a symbolic link to nothing, where it
/// points.
///
/// # Errors
/// Those of openat2(2), ELOOP for a magic link among them, and of mkdirat(2).
pub fn find_or_make(root: impl AsFd, target: &Path, is_directory: bool) -> nix::Result<OwnedFd> {
    let mut path = target.to_owned();
    for _ in 0..MOST_LINKS {
        match go_along(root.as_fd(), &path, is_directory)? {
            Made::Place(place) => return Ok(place),
            Made::LinkTo(elsewhere) => path = elsewhere,
        }
    }
    Err(Errno::ELOOP)
}

/// One way along `target`, up to its end or to a symbolic link to nothing.
fn go_along(root: impl AsFd, target: &Path, is_directory: bool) -> nix::Result<Made> {
    let open = |path: &Path| open_in(&root, path, OFlag::empty(), ResolveFlag::empty());
    let mut path = PathBuf::from(".");
    let mut directory = open(&path)?;
    let mut names = target.strip_prefix("/").unwrap_or(target).components();
    while let Some(name) = names.next() {
        let parent = path.clone();
        path.push(name);
        directory = match open(&path) {
            Err(Errno::ENOENT) => {
                let is_last = names.as_path().as_os_str().is_empty();
                match make(&directory, name.as_os_str(), !is_last || is_directory) {
                    Ok(()) => {}
                    // Either another container has made it at the same moment, or there is a
                    // link to something that is not there (yet).
                    Err(Errno::EEXIST) => {
                        if let Ok(link) = readlinkat(&directory, name.as_os_str()) {
                            let beside = Path::new("/").join(parent).join(link);
                            return Ok(Made::LinkTo(beside.join(names.as_path())));
                        }
                    }
                    Err(errno) => return Err(errno),
                }
                open(&path)?
            }
            result => result?,
        };
    }
    Ok(Made::Place(directory))
}

/// Makes an empty directory, or an empty file.
fn make(directory: impl AsFd, name: &OsStr, is_directory: bool) -> nix::Result<()> {
    if is_directory {
        return mkdirat(directory, name, Mode::from_bits_truncate(0o755));
    }
    let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    openat(directory, name, flags, Mode::from_bits_truncate(0o644)).map(drop)
}
