//! `--init`: a small process 1 of ours, with the command as its child.
//!
//! A command that is process 1 has duties that most programs do not know of. An **init** does them
//! for it: it passes signals on, waits for orphans, and ends as the command ends.

use anyhow::{Context, Result};
use launcher::child::Forked;
use launcher::in_memory::run_from_memory;
use launcher::memory::erase_environment;
use launcher::signals::HeldSignals;
use launcher::supervised::{Event, Supervised};
use nix::sys::prctl::{set_dumpable, set_name};
use nix::unistd::Pid;
use std::ffi::{CStr, CString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

// ANCHOR: init
/// `--init`, for the command lines of all steps from here on.
#[derive(Debug, clap::Args)]
pub struct InitArgs {
    /// A small init as process 1, which reaps orphans
    #[arg(long)]
    pub init: bool,
}

impl InitArgs {
    /// To be called first: what stays in the container as process 1 shows its own file to everybody
    /// in there (/proc/1/exe). So that file is a sealed copy in memory, and not one of the host's.
    ///
    /// # Errors
    /// Those of [`run_from_memory`].
    pub fn run_from_memory(&self) -> Result<()> {
        if !self.init {
            return Ok(());
        }
        let own = std::env::args_os().next().unwrap_or_default();
        let name = Path::new(&own).file_name().unwrap_or_default().as_bytes();
        run_from_memory(&CString::new(name).context("cannot read the name of this program")?)
    }

    /// Forks once more, and returns only in the new process, which becomes the command. The caller
    /// is process 1, and stays that.
    ///
    /// # Errors
    /// Those of [`Supervised::fork`].
    pub fn fork(&self) -> Result<()> {
        if !self.init {
            return Ok(());
        }
        match Supervised::fork(HeldSignals::of_supervisor()?)? {
            Forked::Child(bound) => bound,
            Forked::Parent(command) => {
                // Nor is it to show the host's environment (/proc/1/environ), or its memory.
                erase_environment()?;
                set_dumpable(false).context("cannot hide the memory of process 1")?;
                set_name(NAME).context("cannot set the name of process 1")?;
                match command.reaping_orphans().wait_without_descriptors(live)? {}
            }
        }
    }
}

/// The life of process 1. When it ends, the kernel kills what is left.
fn live(command: &Supervised) -> Result<u8> {
    loop {
        match command.next_event()? {
            Event::Ended(status) => return Ok(status),
            Event::FromProcess(signal, _) | Event::FromParent(signal) => {
                command.child().pass_on(signal)?;
            }
            Event::FromTerminal(_) => {} // the command is in the same group, and has it already
        }
    }
}
// ANCHOR_END: init

/// What process 1 is called then, in `ps` too.
const NAME: &CStr = c"steps-init";

/// Whether the process with this number is our init.
pub(crate) fn is_at(pid: Pid) -> Result<bool> {
    let path = format!("/proc/{pid}/comm");
    let name = fs::read(&path).with_context(|| format!("cannot read {path}"))?;
    Ok(name.trim_ascii_end() == NAME.to_bytes())
}
