//! What execve(2) is about to look up: a file, and the interpreters behind it.
//!
//! Whoever has made the root file system has chosen all of these names. A magic link among them
//! (see [`crate::lookup`]) would start a program of the host: `/proc/self/exe` is the launcher
//! itself, which would then run in there, under the eyes of others (CVE-2019-5736).

use crate::bounded;
use crate::command_line::errno_of;
use crate::elf_file;
use crate::lookup::open_in;
use nix::fcntl::{AT_FDCWD, OFlag, ResolveFlag};
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// So many interpreters of interpreters does the kernel start at most (fs/exec.c).
const MOST_INTERPRETERS: usize = 5;

/// The kernel reads so many bytes of a script, to find its interpreter (BINPRM_BUF_SIZE).
const FIRST_LINE: usize = 256;

/// Looks up `path`, and its interpreter, and so on, as execve(2) will do next.
///
/// What another process swaps between this and execve(2) is not seen: the kernel looks up anew. Nor
/// is a program that the host has registered for a kind of file (binfmt_misc), unless it is held
/// open there.
///
/// # Errors
/// ELOOP for a magic link, and what execve(2) would fail with. EACCES for a file that cannot be
/// read: the kernel can, and would start what its first line says.
pub(crate) fn check(path: &Path) -> nix::Result<()> {
    let mut level = vec![path.to_owned()];
    for _ in 0..=MOST_INTERPRETERS {
        let mut next = Vec::new();
        for path in level {
            next.extend(interpreters(&path)?);
        }
        if next.is_empty() {
            return Ok(());
        }
        level = next;
    }
    level.iter().try_for_each(|path| metadata(path).map(drop))
}

/// What kind of file it is.
pub(crate) fn metadata(path: &Path) -> nix::Result<Metadata> {
    let file = File::from(open_in(AT_FDCWD, path, OFlag::O_PATH, ResolveFlag::empty())?);
    file.metadata().map_err(|error| errno_of(&error))
}

/// Whether there is such a name, and be it of a link to nothing.
pub(crate) fn has_entry(path: &Path) -> bool {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW;
    open_in(AT_FDCWD, path, flags, ResolveFlag::empty()).is_ok()
}

/// The programs that the kernel may start in place of `path`: the one in a script's first line, or
/// the dynamic loader of a program that needs shared libraries.
pub(crate) fn interpreters(path: &Path) -> nix::Result<Vec<PathBuf>> {
    // Only a regular file is opened to look inside: to open a device can do something.
    if !metadata(path)?.is_file() {
        return Ok(Vec::new());
    }
    let failed = |error: io::Error| errno_of(&error);
    let file = bounded::open(path, ResolveFlag::RESOLVE_NO_MAGICLINKS).map_err(failed)?;
    let start = elf_file::read(&file, 0, elf_file::START).map_err(failed)?;
    match start.strip_prefix(b"#!") {
        Some(script) => Ok(interpreter_of_script(script).into_iter().collect()),
        None => elf_file::loaders(&file, &start).map_err(failed),
    }
}

/// As the kernel reads it: a carriage return, say, is part of the name.
fn interpreter_of_script(script: &[u8]) -> Option<PathBuf> {
    let script = script.get(..FIRST_LINE - 2).unwrap_or(script);
    let line = script.split(|&byte| byte == b'\n').next()?;
    let mut words = line.split(|byte| b" \t\0".contains(byte));
    let name = words.find(|word| !word.is_empty())?;
    Some(PathBuf::from(OsStr::from_bytes(name)))
}
