//! A place in a rootfs, and what is to stand there. No step follows a symbolic link.

use anyhow::{Context, Result};
use launcher::lookup::{self, by_descriptor, is_directory, open_in};
use nix::errno::Errno;
use nix::fcntl::{OFlag, ResolveFlag, openat, readlinkat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, UtimensatFlags, mkdirat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, symlinkat, unlinkat};
use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A name in an open directory of the rootfs. No symbolic link can lead out of it.
pub(super) struct Entry {
    directory: OwnedFd,
    name: String,
}

impl Entry {
    /// Opens the parent directory of `name`, which is relative to `root`.
    pub(super) fn of(root: &File, name: &str) -> Result<Entry> {
        let (parent, name) = name.rsplit_once('/').unwrap_or((".", name));
        let no_links = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let directory = open_in(root, Path::new(parent), flags, no_links)
            .with_context(|| format!("cannot open /{parent} of the rootfs"))?;
        Ok(Entry { directory, name: name.to_owned() })
    }

    fn cannot(&self, attempt: &str) -> String {
        format!("cannot {attempt} {:?} in the rootfs", self.name)
    }

    /// What stands there, if something does.
    pub(super) fn stat(&self) -> Result<Option<FileStat>> {
        lookup::stat(&self.directory, Path::new(&self.name)).with_context(|| self.cannot("look at"))
    }

    /// Makes a directory of this mode, unless it is there.
    pub(super) fn mend_directory(&self, wanted: Mode) -> Result<()> {
        match self.stat()? {
            Some(found) if is_directory(&found) && mode(&found) == wanted.bits() => return Ok(()),
            Some(found) if is_directory(&found) => {}
            Some(_) => {
                self.move_aside()?;
                self.make_directory()?;
            }
            None => self.make_directory()?,
        }
        // chmod(2) of what is open, without needing the permission to read it.
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let directory = openat(&self.directory, self.name.as_str(), flags, Mode::empty())
            .with_context(|| self.cannot("open"))?;
        fs::set_permissions(by_descriptor(&directory), Permissions::from_mode(wanted.bits()))
            .with_context(|| self.cannot("set the mode of"))
    }

    fn make_directory(&self) -> Result<()> {
        mkdirat(&self.directory, self.name.as_str(), Mode::S_IRWXU)
            .with_context(|| self.cannot("make"))
    }

    /// Makes a symbolic link to `target`, unless it is there.
    pub(super) fn mend_link(&self, target: &str) -> Result<()> {
        if readlinkat(&self.directory, self.name.as_str()) == Ok(OsString::from(target)) {
            return Ok(());
        }
        if self.stat()?.is_some() {
            self.move_aside()?;
        }
        symlinkat(target, &self.directory, self.name.as_str())
            .with_context(|| self.cannot("make the link"))
    }

    /// Writes a file beside its place, then renames: a container that runs meanwhile sees the old
    /// one or the new one, and that the old one is being executed (ETXTBSY) is no obstacle.
    pub(super) fn write(&self, mode: u32, content: &mut dyn Read) -> Result<()> {
        if self.stat()?.is_some_and(|found| !is_file(&found)) {
            self.move_aside()?;
        }
        let unfinished = Entry {
            directory: self.directory.try_clone().context("cannot copy a descriptor")?,
            name: format!("{}.unfinished", self.name),
        };
        if unfinished.stat()?.is_some() {
            unfinished.move_aside()?;
        }
        let written = unfinished.create(mode, content).and_then(|()| {
            let (from, to) = (unfinished.name.as_str(), self.name.as_str());
            renameat(&self.directory, from, &self.directory, to)
                .with_context(|| self.cannot("put in its place"))
        });
        if written.is_err() {
            // The reason to fail is told; that its remains stay too would only hide it.
            let _ = unlinkat(&self.directory, unfinished.name.as_str(), UnlinkatFlags::NoRemoveDir);
        }
        written
    }

    fn create(&self, mode: u32, content: &mut dyn Read) -> Result<()> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        let file = openat(&self.directory, self.name.as_str(), flags, Mode::S_IRUSR)
            .with_context(|| self.cannot("make"))?;
        let mut file = File::from(file);
        io::copy(content, &mut file)
            .and_then(|_| file.set_permissions(Permissions::from_mode(mode)))
            .with_context(|| self.cannot("write"))
    }

    /// Renames what stands where something of ours belongs. It is not removed: it may be somebody's
    /// work, or have a file system of the host mounted on it (rename(2) says EBUSY then).
    fn move_aside(&self) -> Result<()> {
        let is_free = |name: &String| lookup::stat(&self.directory, Path::new(name)) == Ok(None);
        let mut names = (1..1000).map(|number| format!("{}.damaged{number}", self.name));
        let aside = names.find(is_free).ok_or(Errno::EEXIST);
        aside
            .and_then(|aside| {
                renameat(&self.directory, self.name.as_str(), &self.directory, aside.as_str())
            })
            .with_context(|| self.cannot("move aside"))
    }

    /// Sets the time of its last change.
    pub(super) fn set_time(&self, time: TimeSpec) -> Result<()> {
        let flag = UtimensatFlags::NoFollowSymlink;
        utimensat(&self.directory, self.name.as_str(), &TimeSpec::UTIME_OMIT, &time, flag)
            .with_context(|| self.cannot("set the time of"))
    }
}

/// Its permissions.
pub(super) fn mode(found: &FileStat) -> u32 {
    found.st_mode & 0o7777
}

/// When it was changed: seconds since 1970, and nanoseconds.
pub(super) fn time(found: &FileStat) -> (i64, i64) {
    (found.st_mtime, found.st_mtime_nsec)
}

pub(super) fn is_file(found: &FileStat) -> bool {
    found.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFREG.bits()
}
