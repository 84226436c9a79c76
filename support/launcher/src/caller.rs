//! Who has called us, and what comes from the caller without having been asked for.

use crate::system_calls::clear_inheritable_capabilities;
use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::stat::{Mode, SFlag, fstat, umask};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;

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

/// A directory that stays open leads out of the container: to what is in it, and up from there.
fn refuse_directory(descriptor: &impl AsFd, name: &str) -> Result<()> {
    let descriptor = descriptor.as_fd();
    let found = fstat(descriptor).with_context(|| format!("cannot look at {name}"))?;
    if found.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFDIR.bits() {
        return Ok(());
    }
    let link = PathBuf::from(format!("/proc/self/fd/{}", descriptor.as_raw_fd()));
    let directory = link.read_link().unwrap_or(link);
    bail!(
        "cannot give the container the directory {directory:?} as its {name}: {} (an open \
         directory is a way out of the container: redirect {name} to a file, or to /dev/null)",
        Errno::EISDIR
    )
}
