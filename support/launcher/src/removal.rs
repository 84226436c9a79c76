//! Removes directories that others have filled, however deep they are.
//!
//! A process that changes its directory step by step can make directories a hundred thousand levels
//! deep. Who goes down there with a descriptor, or a call of itself, for each level ends without
//! descriptors, or without a stack; and a path as long as that the kernel does not take. So nobody
//! goes down: what is found in a directory and cannot be removed at once is moved up.

use anyhow::{Context, Result};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::ffi::{CStr, CString};
use std::fs;
use std::path::Path;

/// So many names are read at a time: a directory may have millions.
const AT_A_TIME: usize = 1024;

/// Removes a directory with all that is in it, and follows no link. It need not be there.
///
/// # Errors
/// Those of unlink(2), rename(2) and rmdir(2).
pub fn remove_tree(directory: &Path) -> Result<()> {
    let cannot = || format!("cannot remove {directory:?}");
    let top = match Dir::openat(AT_FDCWD, directory, flags(), Mode::empty()) {
        Err(Errno::ENOENT) => return Ok(()),
        opened => opened.with_context(cannot)?,
    };
    let mut removal = Removal { top, moved: 0 };
    removal.empty().with_context(cannot)?;
    fs::remove_dir(directory).with_context(cannot)
}

fn flags() -> OFlag {
    OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC
}

struct Removal {
    top: Dir,
    /// How many directories were moved to the top.
    moved: u64,
}

impl Removal {
    /// Removes all that is in the top directory, and what comes up there meanwhile.
    fn empty(&mut self) -> nix::Result<()> {
        loop {
            let names = names_in(&mut Dir::openat(&self.top, ".", flags(), Mode::empty())?)?;
            if names.is_empty() {
                return Ok(());
            }
            for name in names {
                if !is_removed(&self.top, &name)? {
                    self.flatten(&name)?;
                }
            }
        }
    }

    /// Removes a directory in the top one, whose own directories come up in its place.
    fn flatten(&mut self, name: &CStr) -> nix::Result<()> {
        loop {
            let mut directory = match Dir::openat(&self.top, name, flags(), Mode::empty()) {
                Err(Errno::ENOENT) => return Ok(()),
                opened => opened?,
            };
            let names = names_in(&mut directory)?;
            if names.is_empty() {
                return unlinkat(&self.top, name, UnlinkatFlags::RemoveDir);
            }
            for inner in names {
                if !is_removed(&directory, &inner)? {
                    self.move_up(&directory, &inner)?;
                }
            }
        }
    }

    fn move_up(&mut self, directory: &Dir, name: &CStr) -> nix::Result<()> {
        loop {
            self.moved += 1;
            let new_name = format!("removed{}", self.moved);
            match renameat(directory, name, &self.top, new_name.as_str()) {
                // Somebody has called another one so.
                Err(Errno::EEXIST | Errno::ENOTEMPTY | Errno::ENOTDIR) => {}
                Err(Errno::ENOENT) => return Ok(()),
                result => return result,
            }
        }
    }
}

/// Removes a file or an empty directory; false if it is a directory with something in it.
fn is_removed(directory: &Dir, name: &CStr) -> nix::Result<bool> {
    let removed = match unlinkat(directory, name, UnlinkatFlags::NoRemoveDir) {
        Err(Errno::EISDIR) => unlinkat(directory, name, UnlinkatFlags::RemoveDir),
        result => result,
    };
    match removed {
        Ok(()) | Err(Errno::ENOENT) => Ok(true),
        Err(Errno::ENOTEMPTY | Errno::EEXIST) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Some of the names in a directory; none if there are none.
fn names_in(directory: &mut Dir) -> nix::Result<Vec<CString>> {
    let names = directory.iter().map(|entry| entry.map(|entry| entry.file_name().to_owned()));
    let is_other = |name: &nix::Result<CString>| {
        !matches!(name.as_ref().map(|name| name.to_bytes()), Ok(b"." | b".."))
    };
    names.filter(is_other).take(AT_A_TIME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::mkdtemp;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_is_wide_or_deep_goes_and_nothing_else() {
        let place = mkdtemp(&std::env::temp_dir().join("removal-XXXXXX")).unwrap();
        let (tree, outside) = (place.join("tree"), place.join("outside"));
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), "").unwrap();
        symlink(&outside, tree.join("a/link")).unwrap();
        symlink(&outside, tree.join("link")).unwrap();
        fs::write(tree.join("removed1"), "").unwrap();
        fs::create_dir_all(tree.join("removed2/x/y")).unwrap();
        let all = (0..3000).map(|number| tree.join(format!("a/b/{number}")));
        all.clone().for_each(|path| fs::create_dir_all(path.join("1/2/3")).unwrap());
        remove_tree(&tree).unwrap();
        assert!(!tree.exists() && outside.join("file").exists());
        remove_tree(&tree).unwrap(); // it is not there
        symlink(&outside, &tree).unwrap();
        assert!(remove_tree(&tree).is_err(), "a link is no directory");
        fs::remove_file(&tree).unwrap();
        remove_tree(&place).unwrap();
    }
}
