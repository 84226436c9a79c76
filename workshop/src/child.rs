//! Trying something in a child process: whatever it does to its namespaces ends with it.

use std::convert::Infallible;
use std::fs::File;

use anyhow::{Context, Result};
use launcher::command_line::Failure;
use launcher::{Container, exit_now};
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::unistd::dup2_stderr;

/// How a child ended whose work is `work`: its exit status, or the error that it reported.
///
/// `work` ends in an error, or in [`exit_now`]. The launchers' way to start a process blocks
/// signals; here they are let through again, so that Ctrl-C ends the tool.
///
/// # Errors
/// If the child cannot be made or waited for.
pub fn run(work: impl FnOnce() -> Result<Infallible>) -> Result<Result<u8, Failure>> {
    let mask = SigSet::thread_get_mask().context("cannot read the signal mask")?;
    let ended = Container::spawn(work).and_then(Container::wait);
    mask.thread_swap_mask(SigmaskHow::SIG_SETMASK).context("cannot set the signal mask")?;
    Ok(ended.map_err(Failure::from))
}

/// Tries `attempt` in a child that says nothing on stderr; the text of its error if it fails.
pub(crate) fn attempt(attempt: impl FnOnce() -> Result<()>) -> Result<(), String> {
    let ended = run(|| {
        let null =
            File::options().write(true).open("/dev/null").context("cannot open /dev/null")?;
        dup2_stderr(&null).context("cannot redirect stderr")?;
        attempt()?;
        exit_now(0)
    });
    match ended {
        Ok(Ok(0)) => Ok(()),
        Ok(Ok(status)) => Err(format!("the attempt ended with exit status {status}")),
        Ok(Err(failure)) => Err(failure.text),
        Err(error) => Err(launcher::command_line::one_line(&error)),
    }
}
