//! Who has called us, and what comes from the caller without having been asked for.

use crate::Advise;
use crate::lookup::{by_descriptor, is_directory, open_in};
use crate::system_calls::clear_inheritable_capabilities;
use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::fcntl::{OFlag, ResolveFlag};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, makedev, umask};
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// The user who has called us, with directories of their own.
///
/// A process that has become root in a user namespace is nobody else any more, and cannot tell
/// whose it was. So whatever needs to know the caller takes this value, and [`crate::become_root`]
/// takes it away: what is asked for too late does not compile.
#[derive(Debug)]
pub struct Caller(());

impl Caller {
    /// The caller of this process, which has not become root since it was started.
    pub fn of_this_process() -> Caller {
        Caller(())
    }

    /// Sets the umask that everybody is used to, gives up what would be inherited of capabilities,
    /// and looks at the three descriptors that the container gets.
    ///
    /// # Errors
    /// Those of capget(2) and capset(2); EISDIR if one of the descriptors is a directory.
    pub(crate) fn settle(&self) -> Result<()> {
        // With a caller's 077 nobody but root could read the container's /etc/hosts; with 0
        // everybody could write to it.
        umask(Mode::from_bits_truncate(0o022));
        // These pass by the bounding set (capabilities(7)): what a later step takes away, a program
        // in the container would have again.
        clear_inheritable_capabilities().context("cannot clear the inheritable capabilities")?;
        refuse_directory(&io::stdin(), "stdin")?;
        refuse_directory(&io::stdout(), "stdout")?;
        refuse_directory(&io::stderr(), "stderr")
    }
}

/// Puts the null device at `path`, seen from `directory`, in the place of each of 0, 1 and 2 that
/// is one: the caller's, or that of Rust's runtime for what was closed. Who owns the host's node,
/// root inside as outside, could take all rights from it by /proc/self/fd/0.
///
/// # Errors
/// Those of openat2(2); and if there is something else at `path`.
pub fn replace_null(directory: impl AsFd, path: &Path) -> Result<()> {
    let looks_null = |standard: BorrowedFd| {
        let found = fstat(standard).context("cannot look at stdin, stdout and stderr")?;
        anyhow::Ok(is_null(&found))
    };
    let stdin = looks_null(io::stdin().as_fd())?;
    let stdout = looks_null(io::stdout().as_fd())?;
    let stderr = looks_null(io::stderr().as_fd())?;
    if !(stdin || stdout || stderr) {
        return Ok(());
    }
    let advice = "it is needed where the caller's stdin, stdout or stderr is one";
    // O_NONBLOCK: if it is a FIFO, nobody is waited for.
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
    let null = open_in(directory, path, flags, ResolveFlag::RESOLVE_NO_SYMLINKS);
    let null = null.and_then(|null| Ok((fstat(&null)?, null)));
    let (found, null) =
        null.advise(|_| advice).context("cannot open /dev/null of the container")?;
    ensure!(is_null(&found), "/dev/null of the container is not the device 1:3 ({advice})");
    let replace =
        |is_null, dup2: &dyn Fn() -> nix::Result<()>| if is_null { dup2() } else { Ok(()) };
    replace(stdin, &|| dup2_stdin(&null))
        .and_then(|()| replace(stdout, &|| dup2_stdout(&null)))
        .and_then(|()| replace(stderr, &|| dup2_stderr(&null)))
        .context("cannot replace the caller's /dev/null")
}

fn is_null(found: &FileStat) -> bool {
    let kind = SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT;
    kind == SFlag::S_IFCHR && found.st_rdev == makedev(1, 3)
}

/// A directory that stays open leads out of the container: to what is in it, and up from there.
fn refuse_directory(descriptor: &impl AsFd, name: &str) -> Result<()> {
    let descriptor = descriptor.as_fd();
    let found = fstat(descriptor).with_context(|| format!("cannot look at {name}"))?;
    if !is_directory(&found) {
        return Ok(());
    }
    let link = by_descriptor(descriptor);
    let directory = link.read_link().unwrap_or(link);
    bail!(
        "cannot give the container the directory {directory:?} as its {name}: {} (an open \
         directory is a way out of the container: redirect {name} to a file, or to /dev/null)",
        Errno::EISDIR
    )
}
