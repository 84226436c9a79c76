//! Fork and wait, and what passes between a process and its child: errors up, signals down.

use crate::command_line::Failure;
use crate::signals::{HeldSignals, Interrupts, default_actions, hold_signals};
use crate::system_calls::{self, exit_now, try_wait, wait_for_signal};
use crate::terminal::Terminal;
use anyhow::{Context, Result, anyhow};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::{set_child_subreaper, set_pdeathsig};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::{ForkResult, Pid, getpgid, getpid, setpgid};
use std::convert::Infallible;
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicI32, Ordering};

/// As much of a child's report as is read. It is a line.
const MAX_REPORT: u64 = 64 << 10;

/// A forked process. It cannot outlive its parent, and its parent waits for it.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    taken: SigSet,
    terminal: Option<Terminal>,
}

/// Where one is after a fork.
#[derive(Debug)]
pub enum Forked {
    /// In the parent.
    Parent(Child),
    /// In the child, which dies with its parent; an error says why it would not. Whoever gets that
    /// must end here, and never return to what is the parent's to clean up.
    Child(Result<()>),
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

impl Child {
    // ANCHOR: spawn
    /// Forks a child that prepares itself with `prepare`, which ends in [`crate::exec`].
    ///
    /// Returns when the command runs: then every copy of the report pipe's writing end is closed,
    /// by execve(2) or by the end of a process. Text in the pipe says that something failed first.
    ///
    /// # Errors
    /// Whatever `prepare` failed with, or why there is no child at all.
    pub fn spawn(prepare: impl FnOnce() -> Result<Infallible>) -> Result<Child> {
        let HeldSignals { taken, ignored } = hold_signals()?;
        let (mut report, mut reporter) = io::pipe().context("cannot make a pipe")?;
        let terminal = Terminal::of_caller();
        let mut child = match Child::fork(&taken)? {
            Forked::Parent(child) => child,
            Forked::Child(bound) => {
                REPORTER.store(reporter.as_raw_fd(), Ordering::Relaxed);
                let Err(error) = bound
                    .and_then(|()| leave_caller(ignored, terminal.is_some()))
                    .and_then(|()| prepare());
                let failure = Failure::from(error);
                // Nobody reads this if the supervisor is gone, and then nobody is left to tell.
                let _ = reporter.write_all(&failure.to_bytes());
                exit_now(failure.code);
            }
        };
        drop(reporter);
        child.terminal = terminal;
        let mut bytes = Vec::new();
        let read = report.by_ref().take(MAX_REPORT).read_to_end(&mut bytes);
        read.context("cannot read the child's report")?;
        drop(report); // who has more to say is not kept from ending
        match Failure::from_bytes(&bytes) {
            None => Ok(child),
            Some(failure) => {
                child.reap()?;
                Err(failure.into())
            }
        }
    }
    // ANCHOR_END: spawn

    /// fork(2), such that the child is killed when its parent ends, in whatever way. (Not if it
    /// changes its user later: that clears the death signal, prctl(2).)
    /// The signals in `taken` are to be blocked already; they stay so until [`crate::exec`].
    ///
    /// # Errors
    /// Those of fork(2) and pidfd_open(2): there is no child then.
    pub fn fork(taken: &SigSet) -> Result<Forked> {
        let parent = system_calls::pidfd_open(getpid()).context("cannot open a pidfd")?;
        match system_calls::fork()? {
            ForkResult::Child => Ok(Forked::Child(die_with(parent.as_fd()))),
            ForkResult::Parent { child: pid } => {
                Ok(Forked::Parent(Child { pid, taken: *taken, terminal: None }))
            }
        }
    }

    // ANCHOR: wait
    /// Waits for the end of the container, and passes on what other processes send us meanwhile.
    /// Returns the exit status of the command. After a [`Child::fork`] it hears of the end only if
    /// the signals are held since before: [`crate::signals::hold_signals`].
    ///
    /// What the terminal sends (Ctrl-C) is not passed on: the terminal sends it to every process of
    /// its foreground group, so the command has it already. Only the third Ctrl-C within two
    /// seconds is ours, and the hang-up of the terminal: they kill the container.
    ///
    /// # Errors
    /// Those of waitpid(2) and sigwaitinfo(2): none is expected.
    pub fn wait(self) -> Result<u8> {
        let mut interrupts = Interrupts::default();
        let code = loop {
            match self.next_event()? {
                Event::Ended(code) => break code,
                Event::FromTerminal(Signal::SIGHUP) => break self.kill_container()?,
                Event::FromTerminal(Signal::SIGINT) if interrupts.third_in_a_row() => {
                    break self.kill_container()?;
                }
                Event::FromTerminal(_) => {}
                // A shell passes its hang-up on to its jobs: this one looks like any process's.
                Event::FromProcess(Signal::SIGHUP, _) if self.terminal_is_gone() => {
                    break self.kill_container()?;
                }
                Event::FromProcess(signal, _) => self.kill(signal)?,
            }
        };
        self.take_back_terminal()?;
        Ok(code)
    }
    // ANCHOR_END: wait

    /// When the child has ended: see [`Terminal::take_back`].
    fn take_back_terminal(&self) -> Result<()> {
        self.terminal.as_ref().map_or(Ok(()), Terminal::take_back)
    }

    /// Blocks until the child ends or one of the taken signals arrives.
    ///
    /// # Errors
    /// Those of waitpid(2) and sigwaitinfo(2).
    pub fn next_event(&self) -> Result<Event> {
        loop {
            let info = wait_for_signal(&self.taken)
                .map_err(|errno| anyhow!("cannot wait for signals: {errno}"))?;
            let signal =
                Signal::try_from(info.number).context("a signal that was not asked for")?;
            if signal == Signal::SIGCHLD {
                match self.try_wait()? {
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

    /// The number of the child.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The exit status of the child, if it has ended; then it is forgotten. For who has several.
    ///
    /// # Errors
    /// ECHILD if it was waited for already.
    pub fn try_wait(&self) -> Result<Option<u8>> {
        let ended = try_wait(self.pid)
            .map_err(|errno| anyhow!("cannot wait for process {}: {errno}", self.pid))?;
        Ok(ended.map(|(_, status)| exit_code(status)))
    }

    /// Sends a signal to the child. Its number cannot be another's yet: only we reap it.
    ///
    /// # Errors
    /// EPERM if the child has become a user whom we may not signal.
    pub fn kill(&self, signal: Signal) -> Result<()> {
        kill(self.pid, signal)
            .map_err(|errno| anyhow!("cannot send {signal} to process {}: {errno}", self.pid))
    }

    /// Whether the child is in our process group, and so gets what is sent to the whole group.
    pub fn is_in_our_group(&self) -> bool {
        getpgid(Some(self.pid)) == getpgid(None)
    }

    /// Whether the caller's terminal has hung up.
    pub fn terminal_is_gone(&self) -> bool {
        self.terminal.as_ref().is_some_and(Terminal::is_gone)
    }

    /// waitpid(2): blocks until the child has ended, and forgets how.
    ///
    /// # Errors
    /// ECHILD if it was waited for already.
    pub fn reap(&self) -> Result<()> {
        system_calls::wait(self.pid, 0)
            .map(drop)
            .map_err(|errno| anyhow!("cannot wait for process {}: {errno}", self.pid))
    }

    /// Kills the child and everything that descends from it, and waits until all of it is gone.
    ///
    /// The trick is PR_SET_CHILD_SUBREAPER (prctl(2)): from now on an orphan among our descendants
    /// becomes *our* child. So whoever loses its parent here comes to us next, and is killed too.
    /// We signal only children that nobody else can reap: no number can be another's by then. And
    /// none that we have beside it before: who executed us may have left us children of its own.
    fn kill_container(&self) -> Result<u8> {
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
                    .map_err(|errno| anyhow!("cannot kill process {pid}: {errno}"))?;
            }
            for pid in ours {
                match system_calls::wait(pid, 0) {
                    Ok(Some((_, status))) if pid == self.pid => code = exit_code(status),
                    Ok(_) => {}
                    Err(errno) => return Err(anyhow!("cannot wait for the container: {errno}")),
                }
            }
        }
    }

    /// Our other children, and what descends from them: an orphan among these is no container's.
    fn others_and_theirs(&self) -> Result<Vec<Pid>> {
        let mut all = children_of(getpid())?;
        all.retain(|pid| *pid != self.pid);
        let mut next = 0;
        while let Some(pid) = all.get(next) {
            all.extend(children_of_threads(*pid));
            next += 1;
        }
        Ok(all)
    }
}

/// The writing end of the report pipe, in a process that [`Child::spawn`] has made.
static REPORTER: AtomicI32 = AtomicI32::new(NO_REPORTER);
const NO_REPORTER: RawFd = -1;

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
    let reporter = REPORTER.load(Ordering::Relaxed);
    // SAFETY: this process is a copy of the launcher. It does not return to the frames that own the
    // launcher's descriptors: it executes the command, or writes why not to the pipe and ends.
    unsafe { system_calls::close_all_but(reporter) }
        .context("cannot close the launcher's descriptors")
}
// ANCHOR_END: close_host_descriptors

/// Asks to be killed when the parent ends, and ends if it has ended already.
fn die_with(parent: BorrowedFd) -> Result<()> {
    set_pdeathsig(Signal::SIGKILL).context("cannot ask for a parent-death signal")?;
    // The parent may have ended before the line above; a pidfd is readable then.
    // (getppid(2) cannot tell: in a new PID namespace it is 0 in any case.)
    let mut ended = [PollFd::new(parent, PollFlags::POLLIN)];
    if poll(&mut ended, PollTimeout::ZERO).context("cannot poll the parent")? > 0 {
        exit_now(128 + Signal::SIGKILL as u8);
    }
    Ok(())
}

/// Undoes what our caller has left to us: ignored signals, and its process group.
fn leave_caller(ignored: u64, has_terminal: bool) -> Result<()> {
    default_actions(ignored)?;
    if !has_terminal {
        // Without a terminal nobody needs us in one process group; and `kill 0`, which signals a
        // whole group, cannot reach from the container to our caller then.
        setpgid(Pid::from_raw(0), Pid::from_raw(0)).context("cannot leave the group")?;
    }
    Ok(())
}

/// The number of every child of a process with one thread (proc_pid_task(5)). How many there may be
/// has the kernel's limit: /proc/sys/kernel/pid_max.
///
/// # Errors
/// If there is no such process.
pub fn children_of(pid: Pid) -> Result<Vec<Pid>> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    Ok(numbers_in(&text))
}

/// The number of every child of any process; none if it has ended.
fn children_of_threads(pid: Pid) -> Vec<Pid> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let texts = threads.filter_map(|it| fs::read_to_string(it.path().join("children")).ok());
    texts.flat_map(|text| numbers_in(&text)).collect()
}

fn numbers_in(text: &str) -> Vec<Pid> {
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw).collect()
}

/// What a shell shows in `$?`: the exit status, or 128+N after a death by signal N.
///
/// (The number that wait(2) gives is neither: 256 there means "exited with 1".)
fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_a_shell() {
        assert_eq!(exit_code(ExitStatus::from_raw(256)), 1);
        assert_eq!(exit_code(ExitStatus::from_raw(9)), 137);
        assert_eq!(exit_code(ExitStatus::from_raw(64)), 192);
    }
}
