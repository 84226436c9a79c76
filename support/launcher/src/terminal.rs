//! The terminal that the container inherits: whose turn it is to read, how it is set, and whether
//! it still exists.

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use nix::unistd::{dup2_stdin, getpgrp, setsid, tcgetpgrp, tcsetpgrp};
use std::fs::File;

/// The controlling terminal of this process, and of all others of its session (credentials(7)).
#[derive(Debug)]
pub struct Terminal {
    /// `None` if it cannot be opened, in a container without /dev/tty, say.
    device: Option<File>,
    was_in_foreground: bool,
    /// As it was set before. In the background, somebody else has set it, and these are none.
    settings: Option<Termios>,
}

impl Terminal {
    /// Opens it, or `None` if this process has none: it was started by a service, say.
    pub fn of_caller() -> Option<Terminal> {
        // tty(4): whatever the controlling terminal's name is, this opens it. ENXIO: there is none.
        let device = match File::options().read(true).write(true).open("/dev/tty") {
            Err(error) if error.raw_os_error() == Some(libc::ENXIO) => return None,
            result => result.ok(),
        };
        let foreground = device.as_ref().and_then(|device| tcgetpgrp(device).ok());
        // In a PID namespace, a group of outside has the number 0. So may ours.
        let ours = getpgrp();
        let was_in_foreground = ours.as_raw() != 0 && foreground == Some(ours);
        let settings = device.as_ref().filter(|_| was_in_foreground);
        let settings = settings.and_then(|device| tcgetattr(device).ok());
        Some(Terminal { device, was_in_foreground, settings })
    }

    /// True after a hang-up: the window is closed, the connection lost. The kernel then answers
    /// every question about the terminal with EIO.
    pub fn is_gone(&self) -> bool {
        self.device.as_ref().is_some_and(|device| tcgetpgrp(device) == Err(Errno::EIO))
    }

    /// Makes our process group the terminal's foreground group again, if it was before and the
    /// group that has it now is gone. An interactive shell in the container takes the terminal for
    /// itself, and killed, or in a PID namespace where our group has no number, does not return it.
    ///
    /// # Errors
    /// Those of tcsetpgrp(3), except that the terminal is gone.
    pub fn take_back(&self) -> Result<()> {
        let Some(device) = self.device.as_ref().filter(|_| self.was_in_foreground) else {
            return Ok(());
        };
        let Ok(holder) = tcgetpgrp(device) else { return Ok(()) };
        if killpg(holder, None) != Err(Errno::ESRCH) {
            return Ok(());
        }
        // A background process that touches the terminal's foreground is stopped by SIGTTOU,
        // except if it has that signal blocked (tcsetpgrp(3)).
        SigSet::from(Signal::SIGTTOU).thread_block().context("cannot block SIGTTOU")?;
        match tcsetpgrp(device, getpgrp()) {
            Ok(()) | Err(Errno::EIO | Errno::ENOTTY) => Ok(()),
            Err(errno) => Err(errno).context("cannot take back the terminal"),
        }
    }

    /// Sets the terminal as it was before, if we are in its foreground. To be called when a signal
    /// has ended the container: an editor that is killed leaves it without echo and line ends. A
    /// shell does the same for its jobs, but what it sees of ours is an exit status.
    ///
    /// # Errors
    /// Those of tcsetattr(3), except that the terminal is gone.
    pub fn restore(&self) -> Result<()> {
        let (Some(device), Some(settings)) = (&self.device, &self.settings) else { return Ok(()) };
        if tcgetpgrp(device) != Ok(getpgrp()) {
            return Ok(());
        }
        match tcsetattr(device, SetArg::TCSANOW, settings) {
            Ok(()) | Err(Errno::EIO) => Ok(()),
            Err(errno) => Err(errno).context("cannot restore the settings of the terminal"),
        }
    }
}

/// Leaves the session of our caller: no terminal can signal this process, and it can type nothing
/// into one. From stdin there is nothing to read any more: it is the null device.
///
/// # Errors
/// Those of open(2) and dup2(2).
pub fn leave_terminal() -> Result<()> {
    leave_session();
    let path = "/dev/null";
    let null = File::open(path).with_context(|| format!("cannot open {path}"))?;
    dup2_stdin(&null).context("cannot replace stdin")
}

/// setsid(2), in the child of a [`crate::Container`].
pub fn leave_session() {
    // EPERM: it leads a process group, made for it by Container, for there is no terminal.
    let _ = setsid();
}
