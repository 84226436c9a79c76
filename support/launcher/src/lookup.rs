//! Names that somebody else has chosen, looked up in a root directory that is theirs.
//!
//! A path can go through a *magic link*: /proc/PID/fd/N, root, cwd, exe (proc(5)). Such a link has
//! no text that would be followed in this root directory; it leads straight to what the process has
//! open, wherever that is. So no lookup of ours follows one.

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat, mkdirat};
use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Somebody may rename without end to keep us here, or hold a lease on a file (fcntl(2)), of which
/// EAGAIN tells too.
const MOST_ATTEMPTS: u32 = 1000;

/// How many links to nothing are followed, as many as the kernel follows (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// openat2(2), close-on-exec, from `directory`, and never through a magic link. What more the path
/// must not do, `resolve` says.
///
/// # Errors
/// ELOOP for a magic link, and those of openat2(2).
pub fn open_in(
    directory: impl AsFd,
    path: &Path,
    flags: OFlag,
    resolve: ResolveFlag,
) -> nix::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(flags | OFlag::O_CLOEXEC)
        .resolve(resolve | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    for _ in 1..MOST_ATTEMPTS {
        match openat2(&directory, path, how) {
            // Something was renamed meanwhile, somewhere, and the kernel could not be sure.
            Err(Errno::EAGAIN) => {}
            result => return result,
        }
    }
    openat2(&directory, path, how)
}

/// Opens what is at `path`, for its name only (O_PATH): to be mounted on, or to be copied.
///
/// # Errors
/// As [`open_in`].
pub fn open_place(path: &Path) -> nix::Result<OwnedFd> {
    open_in(AT_FDCWD, path, OFlag::O_PATH, ResolveFlag::empty())
}

/// What stands under a name in an open directory, a symbolic link too; `None` if nothing does.
///
/// # Errors
/// Those of fstatat(2), but for ENOENT.
pub fn stat(directory: impl AsFd, name: &Path) -> nix::Result<Option<FileStat>> {
    match fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Whether it is a directory.
pub fn is_directory(found: &FileStat) -> bool {
    found.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits()
}

/// A path to what is open, for functions that want a path: the link of the kernel's that has its
/// number (proc_pid_fd(5)).
pub fn by_descriptor(file: impl AsFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_fd().as_raw_fd()))
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

/// How far the way to a place has led.
enum Made {
    Place(OwnedFd),
    /// It goes on there, seen from the root directory.
    LinkTo(PathBuf),
}

/// One way along `target`, up to its end or to a symbolic link to nothing.
fn go_along(root: impl AsFd, target: &Path, is_directory: bool) -> nix::Result<Made> {
    let open = |path: &Path| open_in(&root, path, OFlag::O_PATH, ResolveFlag::RESOLVE_IN_ROOT);
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
