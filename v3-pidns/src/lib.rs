//! Step 3: a process with its own process numbers (pid_namespaces(7)).
//!
//! The new idea is the extra fork. unshare(CLONE_NEWPID) does not move its caller into the new PID
//! namespace: no process ever changes its number. It says where the *next child* will be born, and
//! that child is number 1 there.

mod init;

pub use init::InitArgs;

use anyhow::{Context, Result};
use launcher::child::Forked;
use launcher::signals::{HeldSignals, STOPS, stop_of};
use launcher::supervised::{Event, Supervised};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};
use std::convert::Infallible;
use v2_mountns::{CloneFlags, unshare};

// ANCHOR: fork_into_pid_namespace
/// Makes a PID namespace, forks once more, and returns only in the new process: PID 1 in there.
/// The caller stays outside; it waits for PID 1, and ends as PID 1 ends.
///
/// # Errors
/// Those of unshare(2) and [`Supervised::fork`].
pub fn fork_into_pid_namespace() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWPID)?;
    fork_and_stand_between()
}

/// The extra fork alone, for who has chosen the PID namespace of the next child in another way.
///
/// # Errors
/// Those of [`Supervised::fork`].
pub fn fork_and_stand_between() -> Result<()> {
    match Supervised::fork(HeldSignals::of_supervisor()?)? {
        Forked::Child(bound) => bound,
        Forked::Parent(pid1) => match stand_in_between(pid1)? {},
    }
}
// ANCHOR_END: fork_into_pid_namespace

/// Sent by the supervisor to the process in between, it kills PID 1. The kernel sends it in the
/// supervisor's name when that dies. (A SIGPWR that is only passed on comes by sigqueue(3).)
pub const KILL: Signal = Signal::SIGPWR;

// ANCHOR: stand_in_between
/// The whole life of the process between supervisor and PID 1: signals go in, the exit status out.
///
/// It keeps nothing open. PID 1 has all of it now, among it the report pipe, which must close when
/// the command runs, and whatever lock the supervisor holds, which must open when it ends. If that
/// fails, the report pipe is still there to tell it, and our end is that of PID 1.
fn stand_in_between(pid1: Supervised) -> Result<Infallible> {
    let supervisor = getppid();
    // Until here the supervisor's death was ours (SIGKILL), and ours is PID 1's. But a command that
    // changes its user loses its death signal. So from here on we live to kill it ourselves.
    set_pdeathsig(KILL).context("cannot change the parent-death signal")?;
    pid1.wait_without_descriptors(move |pid1| wait_for(pid1, supervisor))
}

fn wait_for(pid1: &Supervised, supervisor: Pid) -> Result<u8> {
    loop {
        match pid1.next_event()? {
            Event::Ended(status) => return Ok(status),
            Event::FromProcess(signal, sender) if signal == KILL as i32 && sender == supervisor => {
                pid1.child().kill(Signal::SIGKILL)?;
            }
            Event::FromParent(signal) | Event::FromProcess(signal, _)
                if stop_of(signal).is_some() =>
            {
                stop(pid1, signal)?;
            }
            Event::FromTerminal(signal) if STOPS.contains(&signal) => stop(pid1, signal as i32)?,
            Event::FromParent(signal) => pid1.child().pass_on(signal)?,
            // What was sent to our whole group has reached PID 1 already, if it is in that group;
            // or, past our own init, the command.
            Event::FromProcess(signal, sender)
                if sender == supervisor
                    || !(pid1.child().is_in_our_group() || init::is_at(pid1.child().pid())) =>
            {
                pid1.child().pass_on(signal)?;
            }
            Event::FromProcess(..) | Event::FromTerminal(_) => {}
        }
    }
}

/// A PID 1 has no default actions, so it does not stop with the others of its group. SIGSTOP from
/// outside cannot be declined. But our own init takes the signal, and stops the command.
fn stop(pid1: &Supervised, signal: i32) -> Result<()> {
    match init::is_at(pid1.child().pid()) {
        true => pid1.child().pass_on(signal),
        false => pid1.child().kill(Signal::SIGSTOP),
    }
}
// ANCHOR_END: stand_in_between
