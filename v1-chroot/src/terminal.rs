//! The terminal that the container inherits: whose turn it is to read, and whether it still exists.

use crate::system_calls;
use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::unistd::{getpgrp, tcgetpgrp, tcsetpgrp};
use std::os::fd::OwnedFd;

/// The caller's controlling terminal, reached through descriptor 0, 1 or 2.
#[derive(Debug)]
pub struct Terminal {
    descriptor: OwnedFd,
    was_in_foreground: bool,
}

impl Terminal {
    /// The terminal of this process, or `None` if it has none on its standard descriptors.
    pub fn of_caller() -> Option<Terminal> {
        system_calls::standard_descriptors().into_iter().find_map(|descriptor| {
            let foreground = tcgetpgrp(descriptor).ok()?;
            let descriptor = descriptor.try_clone_to_owned().ok()?;
            Some(Terminal { descriptor, was_in_foreground: foreground == getpgrp() })
        })
    }

    /// True after a hang-up: the window is closed, the connection lost. The kernel then answers
    /// every question about the terminal with EIO.
    pub fn is_gone(&self) -> bool {
        tcgetpgrp(&self.descriptor) == Err(Errno::EIO)
    }

    /// Makes our process group the terminal's foreground group again, if it was before and the
    /// group that has it now is gone. An interactive shell in the container takes the terminal for
    /// itself, and killed, or in a PID namespace where our group has no number, does not return it.
    ///
    /// # Errors
    /// Those of tcsetpgrp(3), except that the terminal is gone.
    pub fn take_back(&self) -> Result<()> {
        let Ok(holder) = tcgetpgrp(&self.descriptor) else {
            return Ok(());
        };
        let holder_is_gone = killpg(holder, None) == Err(Errno::ESRCH);
        if !self.was_in_foreground || !holder_is_gone {
            return Ok(());
        }
        // A background process that touches the terminal's foreground is stopped by SIGTTOU,
        // except if it has that signal blocked (tcsetpgrp(3)).
        SigSet::from(Signal::SIGTTOU).thread_block().context("cannot block SIGTTOU")?;
        match tcsetpgrp(&self.descriptor, getpgrp()) {
            Ok(()) | Err(Errno::EIO | Errno::ENOTTY) => Ok(()),
            Err(errno) => Err(errno).context("cannot take back the terminal"),
        }
    }
}
