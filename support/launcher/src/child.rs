//! A forked process: it ends with its parent, and its parent waits for it.

use crate::system_calls::{self, exit_now};
use anyhow::{Context, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{ForkResult, Pid, getpgid, getpid};
use std::cell::Cell;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// A forked process. It cannot outlive its parent.
///
/// For who hears of more than its end there is [`crate::supervised::Supervised`].
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    /// Whether it was waited for: then its number can be another's.
    is_reaped: Cell<bool>,
}

/// Where one is after a fork.
#[derive(Debug)]
pub enum Forked<T = Child> {
    /// In the parent.
    Parent(T),
    /// In the child, which dies with its parent; an error says why it would not. Whoever gets that
    /// must end here, and never return to what is the parent's to clean up.
    Child(Result<()>),
}

impl Child {
    /// fork(2), such that the child is killed when its parent ends, in whatever way. (Not if it
    /// changes its user later: that clears the death signal, prctl(2).)
    ///
    /// # Errors
    /// Those of fork(2) and pidfd_open(2): there is no child then.
    pub fn fork() -> Result<Forked> {
        let parent = system_calls::pidfd_open(getpid()).context("cannot open a pidfd")?;
        Ok(match system_calls::fork()? {
            ForkResult::Child => Forked::Child(die_with(parent.as_fd())),
            ForkResult::Parent { child: pid } => {
                Forked::Parent(Child { pid, is_reaped: Cell::new(false) })
            }
        })
    }

    /// The number of the child.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// waitpid(2): blocks until the child has ended. Returns its exit status in the manner of a
    /// shell: 128+N for signal N.
    ///
    /// # Errors
    /// ECHILD if it was waited for already.
    pub fn wait(&self) -> Result<u8> {
        let status = wait_for(self.pid).with_context(|| self.cannot_wait())?;
        self.is_reaped.set(true);
        Ok(status)
    }

    /// The exit status of the child, if it has ended; then it is forgotten.
    ///
    /// # Errors
    /// ECHILD if it was waited for already.
    pub fn try_wait(&self) -> Result<Option<u8>> {
        let ended = system_calls::try_wait(self.pid).with_context(|| self.cannot_wait())?;
        self.is_reaped.set(ended.is_some());
        Ok(ended.map(exit_code))
    }

    /// Sends a signal that ends the child, and waits for that; nothing, if it has ended and was
    /// waited for.
    ///
    /// # Errors
    /// Those of kill(2) and waitpid(2).
    pub fn end(&self, signal: Signal) -> Result<()> {
        if self.is_reaped.get() {
            return Ok(());
        }
        self.kill(signal)?;
        self.wait().map(drop)
    }

    fn cannot_wait(&self) -> String {
        format!("cannot wait for process {}", self.pid)
    }

    /// Sends a signal to the child. Its number cannot be another's yet: only we reap it.
    ///
    /// # Errors
    /// EPERM if the child has become a user whom we may not signal.
    pub fn kill(&self, signal: Signal) -> Result<()> {
        kill(self.pid, signal)
            .with_context(|| format!("cannot send {signal} to process {}", self.pid))
    }

    /// Sends a signal on to the child that somebody has sent to us: any signal, by its number. A
    /// SIGPWR the child can tell from one of ours, for it comes by sigqueue(3).
    ///
    /// (Not the others: where too many signals wait already, the kernel forgets who has queued one,
    /// and a container can let as many wait as its user may.)
    ///
    /// # Errors
    /// EPERM if the child has become a user whom we may not signal.
    pub fn pass_on(&self, signal: i32) -> Result<()> {
        let sent = match signal {
            libc::SIGPWR => system_calls::queue_signal(self.pid, signal),
            _ => system_calls::send_signal(self.pid, signal),
        };
        sent.with_context(|| format!("cannot send signal {signal} to process {}", self.pid))
    }

    /// Whether the child is in our process group, and so gets what is sent to the whole group.
    pub fn is_in_our_group(&self) -> bool {
        getpgid(Some(self.pid)) == getpgid(None)
    }
}

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

/// [`Child::wait`] for a child that has come to us in another way: an orphan.
pub(crate) fn wait_for(pid: Pid) -> nix::Result<u8> {
    system_calls::wait(pid).map(exit_code)
}

/// What a shell shows in `$?`: the exit status, or 128+N after a death by signal N.
///
/// (The number that wait(2) gives is neither: 256 there means "exited with 1".)
fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
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
pub(crate) fn children_of_threads(pid: Pid) -> Vec<Pid> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let texts = threads.filter_map(|it| fs::read_to_string(it.path().join("children")).ok());
    texts.flat_map(|text| numbers_in(&text)).collect()
}

fn numbers_in(text: &str) -> Vec<Pid> {
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw).collect()
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
