//! A container of a learner that runs.

use std::io::Read;
use std::os::fd::AsFd;
use std::process::{Child, ChildStdout};

use anyhow::{Context, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::super::verdict::expect;
use crate::host::{TIME_LIMIT, kill_all};

/// A container that runs while the check looks at it. Dropped, everything in the host is killed.
pub struct Running {
    child: Child,
    stdout: ChildStdout,
    unread: Vec<u8>,
    /// The first line that it printed.
    pub first: String,
}

impl Running {
    /// A program that has been started; returns when it has printed its first line.
    pub(super) fn of(child: Child, stdout: ChildStdout) -> Result<Running> {
        let mut running = Running { child, stdout, unread: Vec::new(), first: String::new() };
        running.first = running.line()?;
        Ok(running)
    }

    /// The next line that it prints; empty at its end.
    ///
    /// # Errors
    /// [`super::super::verdict::CheckFailed`] if it prints none, and does not end either.
    pub fn line(&mut self) -> Result<String> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<_> = self.unread.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            let mut ready = [PollFd::new(self.stdout.as_fd(), PollFlags::POLLIN)];
            let limit = PollTimeout::try_from(TIME_LIMIT).context("cannot wait for so long")?;
            let count = poll(&mut ready, limit).context("cannot wait for output")?;
            let seen = format!("nothing for {} seconds", TIME_LIMIT.as_secs());
            expect(count > 0, "the command prints something", &seen, "whether it is started")?;
            let mut bytes = [0; 1024];
            let length = self.stdout.read(&mut bytes).context("cannot read the output")?;
            if length == 0 {
                let rest = std::mem::take(&mut self.unread);
                return Ok(String::from_utf8_lossy(&rest).trim_end().to_owned());
            }
            self.unread.extend_from_slice(&bytes[..length]);
        }
    }

    /// The number of the learner's program.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // If it fails, the end of the host does it.
        let _ = kill_all();
    }
}
