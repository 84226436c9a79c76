//! Finds the programs that a launcher starts, in the directories of PATH whose names start with a
//! slash.
//!
//! In PATH an empty entry means the current directory, and so does a PATH that is empty
//! (environ(7)); a relative entry starts there. Whoever may write to a directory that root happens
//! to be in would choose what root runs.

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::unistd::{AccessFlags, faccessat};
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where programs are looked for if PATH says nothing.
const USUAL: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where they are looked for last: these are not on everybody's PATH.
const OF_ROOT: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// A command that runs the program `name`, wherever it is found. Its own PATH has the same
/// directories and no others: it may start programs too.
///
/// # Errors
/// As [`find`].
pub fn command(name: impl AsRef<OsStr>) -> io::Result<Command> {
    let mut command = Command::new(find(name)?);
    command.env("PATH", search_path());
    Ok(command)
}

/// The program `name`. A name with a slash is a file's already.
///
/// # Errors
/// ENOENT if it is in none of the directories; EACCES if what is there cannot be executed.
pub fn find(name: impl AsRef<OsStr>) -> io::Result<PathBuf> {
    find_in(&search_path(), name.as_ref())
}

fn find_in(path: &OsStr, name: &OsStr) -> io::Result<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return Ok(PathBuf::from(name));
    }
    let mut reason = Errno::ENOENT;
    for file in env::split_paths(path).map(|directory| directory.join(name)) {
        match check_executable(&file) {
            Ok(()) => return Ok(file),
            // In most of the directories there is no such file.
            Err(Errno::ENOENT | Errno::ENOTDIR) => {}
            // Another directory may have one that can be executed (execvp(3)).
            Err(Errno::EACCES) => reason = Errno::EACCES,
            Err(errno) => return Err(errno.into()),
        }
    }
    Err(reason.into())
}

/// What PATH is for us and for what we start.
fn search_path() -> OsString {
    without_relative(&env::var_os("PATH").unwrap_or_default())
}

fn without_relative(path: &OsStr) -> OsString {
    let entries = path.as_bytes().split(|&byte| byte == b':');
    let absolute = entries.filter(|entry| entry.starts_with(b"/"));
    let mut all: Vec<&[u8]> = absolute.collect();
    all.push(if all.is_empty() { USUAL } else { OF_ROOT }.as_bytes());
    OsStr::from_bytes(&all.join(&b':')).to_owned()
}

/// EACCES for a file without x, as execve(2) says of it, and for a directory, which has one.
fn check_executable(file: &Path) -> nix::Result<()> {
    let metadata = fs::metadata(file).map_err(|error| crate::command_line::errno_of(&error))?;
    if !metadata.is_file() {
        return Err(Errno::EACCES);
    }
    faccessat(nix::fcntl::AT_FDCWD, file, AccessFlags::X_OK, AtFlags::AT_EACCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::mkdtemp;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_absolute_entries_stay() {
        for path in ["", ":", ".", "bin:", "./x::../y", "\n/x", " /x"] {
            assert_eq!(without_relative(OsStr::new(path)), USUAL, "{path:?}");
        }
        for path in ["/a:/b\nc", ":/a::/b\nc:", ".:/a:x/y:/b\nc:../"] {
            let expected = format!("/a:/b\nc:{OF_ROOT}");
            assert_eq!(without_relative(OsStr::new(path)), *expected, "{path:?}");
        }
    }

    #[test]
    fn what_cannot_be_executed_is_passed_over() {
        let place = mkdtemp(&env::temp_dir().join("program-test-XXXXXX")).unwrap();
        let of = |name: &str| place.join(name).join("nft");
        fs::create_dir_all(of("directory")).unwrap();
        for (name, mode) in [("no-x", 0o644), ("x", 0o755)] {
            fs::create_dir_all(place.join(name)).unwrap();
            fs::write(of(name), "").unwrap();
            fs::set_permissions(of(name), Permissions::from_mode(mode)).unwrap();
        }
        let find = |names: &[&str]| {
            let path = env::join_paths(names.iter().map(|name| place.join(name))).unwrap();
            find_in(&path, OsStr::new("nft")).map_err(|error| error.raw_os_error())
        };
        assert_eq!(find(&["none", "directory", "no-x", "no-x/nft", "x"]), Ok(of("x")));
        assert_eq!(find(&["none", "no-x"]), Err(Some(libc::EACCES)));
        assert_eq!(find(&["none", "directory"]), Err(Some(libc::EACCES)));
        assert_eq!(find(&["none", "x/nft"]), Err(Some(libc::ENOENT)));
        fs::remove_dir_all(place).unwrap();
    }
}
