//! The caller's terminal: its settings, its size, and whose turn it is.

use crate::system_calls;
use anyhow::{Context, Result};
use launcher::lookup::by_descriptor;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::pty::Winsize;
use nix::sys::stat::Mode;
use nix::sys::termios::{OutputFlags, SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::{getpgrp, tcgetpgrp};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The terminal of the caller, in front of the one that the command has. Dropped, it gets its
/// settings back.
#[derive(Debug)]
pub(super) struct Outer {
    terminal: OwnedFd,
    /// Those before we touched them.
    settings: Option<Termios>,
    is_raw: bool,
}

impl Outer {
    /// # Errors
    /// Those of dup(2).
    pub(super) fn of(terminal: BorrowedFd) -> Result<Outer> {
        let terminal = terminal.try_clone_to_owned().context("cannot copy a descriptor")?;
        Ok(Outer { terminal, settings: None, is_raw: false })
    }

    /// Its settings, unless another job has it, whose they would be.
    pub(super) fn settings(&self) -> Option<Termios> {
        tcgetattr(&self.terminal).ok().filter(|_| is_in_foreground(&self.terminal))
    }

    /// None if it has hung up.
    pub(super) fn size(&self) -> Option<Winsize> {
        system_calls::window_size(&self.terminal).ok()
    }

    /// Raw: every key is a byte, and none is shown. What we and others print there keeps its line
    /// ends. To be called in the foreground; true if it was not raw before.
    ///
    /// # Errors
    /// Those of tcgetattr(3) and tcsetattr(3), except that the terminal is gone.
    pub(super) fn become_raw(&mut self) -> Result<bool> {
        if self.is_raw {
            return Ok(false);
        }
        let settings = match &self.settings {
            Some(settings) => settings.clone(),
            None => match tcgetattr(&self.terminal) {
                Err(Errno::EIO) => return Ok(false),
                result => result.context("cannot read the settings of the terminal")?,
            },
        };
        self.settings = Some(settings);
        self.is_raw = true;
        self.set(|_| {}).context("cannot make the terminal raw")?;
        Ok(true)
    }

    /// Its settings may have been changed by another: they are made anew.
    pub(super) fn forget(&mut self) {
        self.is_raw = false;
    }

    /// While `write` writes, no line end is changed: the terminal inside has done that.
    pub(super) fn as_it_is<T>(&self, write: impl FnOnce() -> T) -> T {
        if !self.is_raw || !is_in_foreground(&self.terminal) {
            return write();
        }
        // If it has hung up, so will `write` find.
        let _ = self.set(|raw| raw.output_flags.remove(OutputFlags::OPOST));
        let written = write();
        let _ = self.set(|_| {});
        written
    }

    /// The settings of before, raw but for the output, and with this change.
    fn set(&self, change: impl FnOnce(&mut Termios)) -> nix::Result<()> {
        let Some(before) = &self.settings else { return Ok(()) };
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        raw.output_flags = before.output_flags;
        change(&mut raw);
        match tcsetattr(&self.terminal, SetArg::TCSANOW, &raw) {
            Err(Errno::EIO) => Ok(()), // it has hung up
            result => result,
        }
    }
}

impl Drop for Outer {
    fn drop(&mut self) {
        // In the background it is another's, who has made settings of his own.
        if let Some(settings) = self.settings.as_ref().filter(|_| is_in_foreground(&self.terminal))
        {
            let _ = tcsetattr(&self.terminal, SetArg::TCSANOW, settings);
        }
    }
}

/// Whether a descriptor is a terminal. What cannot be asked is not handed over as if it were none.
///
/// # Errors
/// Those of tcgetattr(3), except that it is none, or closed.
pub(super) fn is_terminal(descriptor: impl AsFd) -> Result<bool> {
    match tcgetattr(descriptor) {
        Ok(_) | Err(Errno::EIO) => Ok(true), // EIO: it has hung up
        Err(Errno::ENOTTY | Errno::EINVAL | Errno::EBADF) => Ok(false),
        Err(errno) => Err(errno).context("cannot see what is a terminal of the caller's"),
    }
}

/// Whether we may read a terminal and set it up. One that is not our controlling terminal (ENOTTY)
/// knows no jobs.
pub(super) fn is_in_foreground(terminal: impl AsFd) -> bool {
    tcgetpgrp(terminal).map_or(true, |group| group == getpgrp())
}

/// A terminal once more, for us alone: O_NONBLOCK belongs to whoever shares an open file, and here
/// that is the caller's shell.
///
/// # Errors
/// Those of dup(2).
pub(super) fn reopen(terminal: BorrowedFd, access: OFlag) -> Result<OwnedFd> {
    let flags = access | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    match open(&by_descriptor(terminal), flags, Mode::empty()) {
        Ok(own) => Ok(own),
        // EACCES: it is another user's, as after su(1). What is read is there then; but if it takes
        // nothing, we wait with it, and hear of nothing else meanwhile.
        Err(_) => terminal.try_clone_to_owned().context("cannot copy a descriptor"),
    }
}
