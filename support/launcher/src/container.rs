//! A container as its supervisor has it: started, waited for, killed.

use crate::child::{Child, Forked, children_of, children_of_threads, wait_for};
use crate::report::report_pipe;
use crate::signals::{IgnoredSignals, Interrupts, STOPS, check_not_asked_to_end, stop_by, stop_of};
use crate::supervised::{Event, Supervised};
use crate::terminal::Terminal;
use anyhow::{Context, Result};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid, setpgid};
use std::convert::Infallible;

/// A child that has become a command, and all that descends from it.
#[derive(Debug)]
pub struct Container {
    first: Supervised,
    terminal: Option<Terminal>,
}

impl Container {
    // ANCHOR: spawn
    /// Forks a child that prepares itself with `prepare`, which ends in [`crate::exec`].
    ///
    /// Returns when the command runs: then every copy of the report pipe's writing end is closed,
    /// by execve(2) or by the end of a process. Text in the pipe says that something failed first.
    ///
    /// # Errors
    /// Whatever `prepare` failed with, or why there is no child at all.
    pub fn spawn(prepare: impl FnOnce() -> Result<Infallible>) -> Result<Container> {
        let ignored = IgnoredSignals::of_caller()?;
        let signals = ignored.hold_others()?;
        // What came before there is a child, nobody else has heard.
        check_not_asked_to_end().context("cannot start the container")?;
        let (report, reporter) = report_pipe()?;
        let terminal = Terminal::of_caller();
        let first = match Supervised::fork(signals)? {
            Forked::Parent(first) => first,
            Forked::Child(bound) => {
                reporter.keep_open();
                let Err(error) = bound
                    .and_then(|()| leave_caller(ignored, terminal.is_some()))
                    .and_then(|()| prepare());
                reporter.fail(error)
            }
        };
        drop(reporter); // else the pipe would never end
        let container = Container { first, terminal };
        match report.read() {
            Ok(None) => Ok(container),
            Ok(Some(failure)) => {
                container.child().wait()?;
                Err(failure.into())
            }
            Err(error) => {
                container.kill_all()?;
                Err(error)
            }
        }
    }
    // ANCHOR_END: spawn

    // ANCHOR: wait
    /// Waits for the end of the container, and passes on what other processes send us meanwhile.
    /// Returns the exit status of the command.
    ///
    /// What the terminal sends (Ctrl-C) is not passed on: the terminal sends it to every process of
    /// its foreground group, so the command has it already. Only the third Ctrl-C within two
    /// seconds is ours, and the hang-up of the terminal: they kill the container.
    ///
    /// What stops us (Ctrl-Z) stops the container first.
    ///
    /// # Errors
    /// Those of waitpid(2) and sigwaitinfo(2): none is expected.
    pub fn wait(mut self) -> Result<u8> {
        self.first = self.first.and_stops()?;
        let mut interrupts = Interrupts::default();
        let code = loop {
            match self.first.next_event()? {
                Event::Ended(code) => break code,
                Event::FromTerminal(Signal::SIGHUP) => break self.kill_all()?,
                Event::FromTerminal(Signal::SIGINT) if interrupts.third_in_a_row() => {
                    break self.kill_all()?;
                }
                Event::FromTerminal(signal) if STOPS.contains(&signal) => {
                    stop_by(signal).context("cannot stop")?;
                }
                Event::FromTerminal(_) => {}
                // A shell passes its hang-up on to its jobs: this one looks like any process's.
                Event::FromProcess(libc::SIGHUP, _) if self.terminal_is_gone() => {
                    break self.kill_all()?;
                }
                Event::FromProcess(signal, _) | Event::FromParent(signal) => {
                    self.child().pass_on(signal)?;
                    if let Some(stop) = stop_of(signal)
                        && !stop_by(stop).context("cannot stop")?
                    {
                        // Nothing has stopped us, so nobody will tell the container to go on.
                        self.child().pass_on(libc::SIGCONT)?;
                    }
                }
            }
        };
        if let Some(terminal) = &self.terminal {
            terminal.take_back()?;
            if code > 128 {
                terminal.restore()?; // by a signal: what it had set, nobody has set back
            }
        }
        Ok(code)
    }
    // ANCHOR_END: wait

    /// The child, for who waits for several containers at once.
    pub fn child(&self) -> &Child {
        self.first.child()
    }

    /// Whether the caller's terminal has hung up.
    pub fn terminal_is_gone(&self) -> bool {
        self.terminal.as_ref().is_some_and(Terminal::is_gone)
    }

    /// Kills the child and everything that descends from it, and waits until all of it is gone.
    ///
    /// The trick is PR_SET_CHILD_SUBREAPER (prctl(2)): from now on an orphan among our descendants
    /// becomes *our* child. So whoever loses its parent here comes to us next, and is killed too.
    /// We signal only children that nobody else can reap: no number can be another's by then. And
    /// none that we have beside it before: who executed us may have left us children of its own.
    fn kill_all(&self) -> Result<u8> {
        let others = self.others_and_theirs()?;
        set_child_subreaper(true).context("cannot adopt the container's orphans")?;
        let mut code = 128 + Signal::SIGKILL as u8;
        loop {
            let mut ours = children_of(getpid())?;
            ours.retain(|pid| !others.contains(pid));
            if ours.is_empty() {
                return Ok(code);
            }
            for pid in &ours {
                kill(*pid, Signal::SIGKILL)
                    .with_context(|| format!("cannot kill process {pid}"))?;
            }
            for pid in ours {
                let status = wait_for(pid).context("cannot wait for the container")?;
                if pid == self.child().pid() {
                    code = status;
                }
            }
        }
    }

    /// Our other children, and what descends from them: an orphan among these is no container's.
    fn others_and_theirs(&self) -> Result<Vec<Pid>> {
        let mut all = children_of(getpid())?;
        all.retain(|pid| *pid != self.child().pid());
        let mut next = 0;
        while let Some(pid) = all.get(next) {
            all.extend(children_of_threads(*pid));
            next += 1;
        }
        Ok(all)
    }
}

/// Undoes what our caller has left to us: ignored signals, and its process group.
fn leave_caller(ignored: IgnoredSignals, has_terminal: bool) -> Result<()> {
    ignored.set_to_default()?;
    if !has_terminal {
        // Without a terminal nobody needs us in one process group; and `kill 0`, which signals a
        // whole group, cannot reach from the container to our caller then.
        setpgid(Pid::from_raw(0), Pid::from_raw(0)).context("cannot leave the group")?;
    }
    Ok(())
}
