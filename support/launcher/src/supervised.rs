//! A child whose parent waits for whatever comes first: its end, or a signal to be passed on.

use crate::child::{Child, Forked};
use crate::signals::HeldSignals;
use crate::system_calls::{close_those_of_parent, exit_now, wait_for_signal};
use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
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
    /// A process sent this signal to us (kill(2), sigqueue(3)).
    FromProcess(Signal, Pid),
    /// The kernel sent this signal to us: the terminal's Ctrl-C, Ctrl-Z or hang-up.
    FromTerminal(Signal),
}

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

    /// The child alone.
    pub fn child(&self) -> &Child {
        &self.child
    }

    /// Closes every descriptor but 0, 1 and 2, and makes `wait` the rest of this process's life: it
    /// ends with the status that comes out. To be called in a child of fork itself; `wait` is a
    /// function, which captures nothing that has a descriptor.
    ///
    /// # Errors
    /// Those of close_range(2). Success does not return.
    pub fn wait_without_descriptors(self, wait: fn(&Supervised) -> u8) -> Result<Infallible> {
        close_those_of_parent(None).context("cannot close descriptors")?;
        exit_now(wait(&self))
    }

    /// Blocks until the child ends or one of the held signals arrives.
    ///
    /// # Errors
    /// Those of waitpid(2) and sigwaitinfo(2).
    pub fn next_event(&self) -> Result<Event> {
        loop {
            let info = wait_for_signal(self.signals.as_set()).context("cannot wait for signals")?;
            let signal =
                Signal::try_from(info.number).context("a signal that was not asked for")?;
            if signal == Signal::SIGCHLD {
                match self.child.try_wait()? {
                    Some(status) => return Ok(Event::Ended(status)),
                    None => continue, // it stopped or went on
                }
            }
            // man 2 sigaction, si_code: positive if the kernel made it, else a process did.
            return Ok(match info.code {
                1.. => Event::FromTerminal(signal),
                _ => Event::FromProcess(signal, info.sender),
            });
        }
    }
}
