//! The shell of the demo pod, and what passes between it and our terminal.

use crate::demo;
use crate::enter::enter;
use crate::state::Running;
use anyhow::Result;
use launcher::Container;
use nix::poll::PollFd;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use relay::console::Console;
use std::io::{self, Write};
use std::time::Duration;
use v3_pidns::KILL;

/// None at first, and in most pods for ever.
#[derive(Debug, Default)]
pub(super) struct Shell {
    process: Option<Container>,
    console: Option<Console>,
    /// That of its end, which is the pod's.
    pub(super) status: Option<u8>,
}

impl Shell {
    /// Starts it in a container that runs.
    ///
    /// # Errors
    /// Those of [`enter`].
    pub(super) fn start(&mut self, container: &Running, pause: Pid) -> Result<()> {
        // With stdout gone there is nobody to tell.
        let _ = write!(io::stdout(), "{}", demo::introduction(pause));
        let (console, ends) = Console::of_caller()?;
        self.process = Some(enter(container, &[], ends)?);
        self.console.insert(console).start()
    }

    /// Whether there is none, and nothing of it left to be printed.
    pub(super) fn is_done(&mut self) -> bool {
        self.console.take_if(|console| console.is_done());
        self.process.is_none() && self.console.is_none()
    }

    /// True once, when it has ended.
    pub(super) fn has_ended(&mut self) -> Result<bool> {
        let Some(process) = &self.process else { return Ok(false) };
        let Some(status) = process.child().try_wait()? else { return Ok(false) };
        self.status = Some(status);
        self.process = None;
        self.console.as_mut().map_or(Ok(()), Console::end)?;
        Ok(true)
    }

    /// Asks it to end.
    pub(super) fn hang_up(&self) -> Result<()> {
        self.process.as_ref().map_or(Ok(()), |it| it.child().kill(Signal::SIGHUP))
    }

    /// Ends it, and what our terminal has not taken by now is lost.
    pub(super) fn kill(&mut self) -> Result<()> {
        self.console = None;
        self.process.as_ref().map_or(Ok(()), |it| it.child().kill(KILL))
    }

    /// As [`Console::take_signal`].
    pub(super) fn take_signal(&mut self, signal: Signal) -> Result<bool> {
        self.console.as_mut().map_or(Ok(false), |console| console.take_signal(signal))
    }

    /// As [`Console::look`].
    pub(super) fn look(&mut self) -> Result<Option<Duration>> {
        self.console.as_mut().map_or(Ok(None), Console::look)
    }

    /// As [`Console::waits_for`].
    pub(super) fn waits_for(&self) -> impl Iterator<Item = PollFd<'_>> {
        self.console.iter().flat_map(Console::waits_for)
    }

    /// As [`Console::carry`].
    pub(super) fn carry(&mut self, is_ready: impl Iterator<Item = bool>) -> Result<()> {
        self.console.as_mut().map_or(Ok(()), |console| console.carry(is_ready))
    }
}
