//! A command of `exec` while it runs: bytes go in and out, signals in, the exit status out.

use anyhow::{Context, Result};
use launcher::Container;
use launcher::command_line::tell_left_behind;
use launcher::signals::{Interrupts, hold_signals};
use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::Signal;
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use relay::console::Console;
use relay::wait_for;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use v3_pidns::KILL;

/// How long who hears that the terminal is gone may take to end.
const GRACE: Duration = Duration::from_secs(1);

/// A command that runs, and what is carried for it meanwhile.
pub(crate) struct Session {
    container: Container,
    console: Console,
    signals: SignalFd,
    interrupts: Interrupts,
    /// Who has not ended by then is killed.
    deadline: Option<Instant>,
    status: Option<u8>,
}

impl Session {
    /// The signals that a session takes, from here on.
    ///
    /// # Errors
    /// Those of sigprocmask(2) and signalfd(2).
    pub(crate) fn signals() -> Result<SignalFd> {
        let taken = Console::with_its_signals(hold_signals()?.as_set());
        SignalFd::with_flags(&taken, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .context("cannot make a signalfd")
    }

    /// Of a command that has just been started, by who has held the signals since before.
    pub(crate) fn new(container: Container, console: Console, signals: SignalFd) -> Session {
        let interrupts = Interrupts::default();
        Session { container, console, signals, interrupts, deadline: None, status: None }
    }

    /// Carries and waits until the command has ended and what it has printed is carried.
    /// Returns its exit status.
    ///
    /// # Errors
    /// Those of the system calls in it. The command is killed then.
    pub(crate) fn run(mut self) -> Result<u8> {
        self.console.start()?;
        loop {
            self.wait_for_events()?;
            while let Some(info) = self.signals.read_signal().context("cannot read a signal")? {
                self.take_signal(&info)?;
            }
            if let Some(status) = self.status.filter(|_| self.console.is_done()) {
                return Ok(status);
            }
            if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                self.deadline = None;
                self.container.child().kill(KILL)?;
            }
        }
    }

    // ANCHOR: take_signal
    /// What other processes send us is passed on. So is a key of the caller's terminal (Ctrl-C), if
    /// it still sends signals: the command is in a session of its own, so it has not got it.
    fn take_signal(&mut self, info: &siginfo) -> Result<()> {
        let number = info.ssi_signo.cast_signed();
        let Ok(signal) = Signal::try_from(number) else {
            return self.container.child().pass_on(number); // a real-time signal
        };
        let is_from_terminal = info.ssi_code > 0; // sigaction(2): the kernel has made it
        // Who writes to a pipe that nobody reads sends SIGPIPE to itself.
        if info.ssi_pid == std::process::id() || self.console.take_signal(signal)? {
            return Ok(());
        }
        match signal {
            Signal::SIGCHLD if self.status.is_none() => {
                self.status = self.container.child().try_wait()?;
                self.status.map_or(Ok(()), |_| self.console.end())?;
            }
            Signal::SIGCHLD => {}
            // It has ended, and the terminal does not take its last words.
            _ if self.status.is_some() => self.console.hang_up(),
            Signal::SIGHUP if is_from_terminal || self.container.terminal_is_gone() => {
                self.hang_up()?;
            }
            Signal::SIGINT if is_from_terminal && self.interrupts.third_in_a_row() => {
                self.container.child().kill(KILL)?;
            }
            _ => self.container.child().pass_on(number)?,
        }
        Ok(())
    }
    // ANCHOR_END: take_signal

    // ANCHOR: hang_up
    fn hang_up(&mut self) -> Result<()> {
        // Who has a terminal hears of it from the kernel, when it is closed.
        self.console.hang_up();
        if !self.console.has_hung_up() {
            self.container.child().kill(Signal::SIGHUP)?;
        }
        self.deadline.get_or_insert_with(|| Instant::now() + GRACE);
        Ok(())
    }
    // ANCHOR_END: hang_up

    fn wait_for_events(&mut self) -> Result<()> {
        let look = self.console.look()?;
        let left = self.deadline.map(|it| it.saturating_duration_since(Instant::now()));
        let signals = PollFd::new(self.signals.as_fd(), PollFlags::POLLIN);
        let mut waited: Vec<_> = std::iter::once(signals).chain(self.console.waits_for()).collect();
        let ready = wait_for(&mut waited, look.into_iter().chain(left).min())?;
        drop(waited);
        self.console.carry(ready.into_iter().skip(1))?; // the first is of the signals
        if self.console.has_hung_up() && self.status.is_none() {
            self.deadline.get_or_insert_with(|| Instant::now() + GRACE);
        }
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.status.is_none() {
            // An error of ours: nobody carries any more.
            tell_left_behind(self.container.child().end(KILL).context("the command"));
        }
    }
}
