//! Reading what others wrote: never more than so many bytes, and never waiting for more.
//!
//! Whoever may put a file in our way (an image, a container, the host's administrator by accident)
//! can put a FIFO there, which keeps us waiting for a writer; a device that never ends; or a file
//! of terabytes, all of them holes.

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Opens a regular file for reading. `look_up` says which links the name may lead through, as
/// openat2(2) has it; where the caller trusts the names, it is empty.
///
/// # Errors
/// Those of openat2(2) and fstat(2); an error without an errno if it is anything else than a
/// regular file.
pub fn open(path: &Path, look_up: ResolveFlag) -> io::Result<File> {
    // With O_NONBLOCK a FIFO is opened at once, without it when somebody writes to it (fifo(7));
    // with O_NOCTTY a terminal does not become ours. For a regular file neither means anything.
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let file = File::from(openat2(AT_FDCWD, path, OpenHow::new().flags(flags).resolve(look_up))?);
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is no regular file")),
    }
}

/// Reads a regular file of at most `limit` bytes, opened as [`open`] does it.
///
/// # Errors
/// Those of [`open`] and read(2); EFBIG if there is more in it.
pub fn read_file(path: &Path, look_up: ResolveFlag, limit: u64) -> io::Result<Vec<u8>> {
    read(open(path, look_up)?, limit)
}

/// Reads to the end, which comes after at most `limit` bytes. For a source that may keep us waiting
/// because it was named on purpose: standard input, say.
///
/// # Errors
/// Those of the source; EFBIG if there is more in it.
pub fn read(source: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    source.take(limit.saturating_add(1)).read_to_end(&mut content)?;
    match content.len() as u64 > limit {
        true => Err(Errno::EFBIG.into()),
        false => Ok(content),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_the_last_that_is_taken() {
        assert_eq!(read(&b"1234"[..], 4).unwrap(), b"1234");
        assert_eq!(read(&b"12345"[..], 4).unwrap_err().raw_os_error(), Some(libc::EFBIG));
        assert!(read(io::repeat(0), 1 << 20).is_err());
    }

    #[test]
    fn only_a_regular_file_is_read() {
        let read = |path| read_file(Path::new(path), ResolveFlag::empty(), 1 << 20);
        assert!(read("/proc/self/status").is_ok_and(|text| !text.is_empty()));
        assert_eq!(read("/dev/zero").unwrap_err().to_string(), "it is no regular file");
        assert_eq!(read("/tmp").unwrap_err().to_string(), "it is no regular file");
        assert_eq!(read("/none").unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_look_up_can_be_held_to_what_it_may_follow() {
        let read = |look_up| read_file(Path::new("/proc/self/exe"), look_up, 1 << 30);
        assert!(read(ResolveFlag::empty()).is_ok());
        let error = read(ResolveFlag::RESOLVE_NO_MAGICLINKS).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ELOOP));
    }
}
