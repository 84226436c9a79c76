//! A directory by its descriptor: that is how overlayfs gets to know its layers.

use anyhow::{Context, Result};
use launcher::Advise;
use nix::errno::Errno;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Opens a directory as a place, not to read it (`O_PATH`, open(2)).
pub(crate) fn open(directory: &Path) -> Result<File> {
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    let opened = File::options().read(true).custom_flags(flags).open(directory);
    let opened = opened.advise(|errno| match errno {
        Errno::ENOTDIR => "a layer is a directory; an archive goes with --image",
        _ => "",
    });
    opened.with_context(|| format!("cannot open the layer {directory:?}"))
}

/// The number of a descriptor: its name in /proc/self/fd (proc_pid_fd(5)).
pub(crate) fn number(directory: &File) -> String {
    directory.as_raw_fd().to_string()
}
