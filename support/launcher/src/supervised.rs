//! A child whose parent waits for whatever comes first: its end, or a signal to be passed on.

use crate::child::{Child, Forked};
use crate::command_line::{one_line, report};
use crate::signals::{HeldSignals, STOPS};
use crate::system_calls::{close_those_of_parent, exit_now, wait_for_signal};
use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpid, getppid};
use std::convert::Infallible;

/// A child, and the signals that have been held since before there was one.
///
/// That order is the point. The kernel tells of a child's end by SIGCHLD. One that came before the
/// signal was held would be lost, and the wait would never end.
#[derive(Debug)]
pub struct Supervised {
    child: Child,
    signals: HeldSignals,
}

/// What a waiting parent can learn.
#[derive(Debug)]
pub enum Event {
    /// The child has ended, with this exit status in the manner of a shell: 128+N for signal N.
    Ended(u8),
    /// A process sent the signal with this number to us (kill(2)), or a clock of ours did, such as
    /// the one that alarm(2) sets.
    FromProcess(i32, Pid),
    /// Our parent passes this signal on to us ([`Child::pass_on`]).
    FromParent(i32),
    /// The terminal sent this signal to us, and to all of its foreground: Ctrl-C, Ctrl-Z, another
    /// size of the window, a hang-up.
    FromTerminal(Signal),
}

/// What a terminal sends: the kernel, in its name.
const OF_TERMINAL: [Signal; 5] =
    [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP, Signal::SIGCONT, Signal::SIGWINCH];

impl Supervised {
    /// [`Child::fork`], by a process that holds these signals. In the child they stay blocked until
    /// [`crate::exec`].
    ///
    /// # Errors
    /// Those of [`Child::fork`].
    pub fn fork(signals: HeldSignals) -> Result<Forked<Supervised>> {
        Ok(match Child::fork()? {
            Forked::Parent(child) => Forked::Parent(Supervised { child, signals }),
            Forked::Child(bound) => Forked::Child(bound),
        })
    }

    /// From here on the child's parent hears of [`STOPS`], too, instead of stopping alone.
    ///
    /// # Errors
    /// Those of sigprocmask(2): none is expected.
    pub fn and_stops(self) -> Result<Supervised> {
        Ok(Supervised { signals: self.signals.and_stops()?, ..self })
    }

    /// The child alone.
    pub fn child(&self) -> &Child {
        &self.child
    }

    /// Closes every descriptor but 0, 1 and 2, and makes `wait` the rest of this process's life: it
    /// ends with the status that comes out, or with an error on stderr. To be called in a child of
    /// fork itself; `wait` is `Copy`, and so owns no descriptor.
    ///
    /// # Errors
    /// Those of close_range(2). Success does not return.
    pub fn wait_without_descriptors(
        self,
        wait: impl Fn(&Supervised) -> Result<u8> + Copy + 'static,
    ) -> Result<Infallible> {
        close_those_of_parent(None).context("cannot close descriptors")?;
        exit_now(wait(&self).unwrap_or_else(|error| {
            report(&one_line(&error));
            125
        }))
    }

    /// Blocks until the child ends or one of the held signals arrives.
    ///
    /// # Errors
    /// Those of waitpid(2) and sigwaitinfo(2).
    pub fn next_event(&self) -> Result<Event> {
        loop {
            let info = wait_for_signal(self.signals.as_set()).context("cannot wait for signals")?;
            let signal = Signal::try_from(info.number).ok(); // None: a real-time signal
            if signal == Some(Signal::SIGCHLD) {
                match self.child.try_wait()? {
                    Some(status) => return Ok(Event::Ended(status)),
                    None => continue, // it stopped or went on
                }
            }
            // man 2 sigaction, si_code: positive if the kernel made it, else a process did.
            match signal.filter(|it| OF_TERMINAL.contains(it) || STOPS.contains(it)) {
                Some(signal) if info.code > 0 => return Ok(Event::FromTerminal(signal)),
                _ if info.code == libc::SI_QUEUE && info.sender == getppid() => {
                    return Ok(Event::FromParent(info.number));
                }
                // Who writes to a pipe that nobody reads sends SIGPIPE to itself.
                _ if info.sender == getpid() => {}
                _ => return Ok(Event::FromProcess(info.number, info.sender)),
            }
        }
    }
}
