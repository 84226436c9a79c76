//! The report pipe: what has failed in a child, before it executes anything, goes up to its parent.

use crate::command_line::Failure;
use crate::signals::Patience;
use crate::system_calls::{close_those_of_parent, exit_now};
use anyhow::{Context, Result};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};

/// As much of a report as is read. It is a line.
const MAX_REPORT: u64 = 64 << 10;

/// The parent's end of the pipe.
pub(crate) struct Report(PipeReader);

/// The child's end. Like every descriptor of ours it is closed by execve(2).
pub(crate) struct Reporter(PipeWriter);

/// A new pipe, to be made before the fork.
///
/// # Errors
/// Those of pipe(2).
pub(crate) fn report_pipe() -> Result<(Report, Reporter)> {
    let (report, reporter) = io::pipe().context("cannot make a pipe")?;
    Ok((Report(report), Reporter(reporter)))
}

impl Report {
    /// Blocks until every copy of the other end is closed. `None` if nothing has failed before.
    ///
    /// # Errors
    /// Those of read(2); [`crate::signals::AskedToEnd`], since a child that mounts what does not
    /// answer may take for ever.
    pub(crate) fn read(self) -> Result<Option<Failure>> {
        let mut bytes = Vec::new();
        let read = Patience::default()
            .wait_for_input(&self.0)
            .and_then(|()| self.0.take(MAX_REPORT).read_to_end(&mut bytes));
        read.context("cannot start the container")?;
        Ok(Failure::from_bytes(&bytes))
    }
}

impl Reporter {
    /// To be called in the child: [`close_host_descriptors`] leaves it open.
    pub(crate) fn keep_open(&self) {
        REPORTER.store(self.0.as_raw_fd(), Ordering::Relaxed);
    }

    /// Ends this process, and says why.
    pub(crate) fn fail(mut self, error: anyhow::Error) -> ! {
        let failure = Failure::from(error);
        // Nobody reads this if the supervisor is gone, and then nobody is left to tell.
        let _ = self.0.write_all(&failure.to_bytes());
        exit_now(failure.code)
    }
}

/// The child's end, in a process that [`crate::Container::spawn`] has made.
static REPORTER: AtomicI32 = AtomicI32::new(NONE);
const NONE: RawFd = -1;

// ANCHOR: close_host_descriptors
/// Closes every descriptor but 0, 1, 2 and the report pipe, if there is one. To be called in the
/// child of a launcher before it looks up the first name in the container. Nothing that owns a
/// descriptor may be used afterwards.
///
/// Close-on-exec would be too late: it takes effect at execve(2). Until then /proc/self/fd/N is a
/// name, and the container has chosen the names: a working directory, a command, an interpreter.
/// Through a directory of the host that is still open, each of them leads out (CVE-2024-21626).
///
/// # Errors
/// Those of close_range(2).
pub fn close_host_descriptors() -> Result<()> {
    let reporter = Some(REPORTER.load(Ordering::Relaxed)).filter(|number| *number != NONE);
    close_those_of_parent(reporter).context("cannot close the launcher's descriptors")
}
// ANCHOR_END: close_host_descriptors
