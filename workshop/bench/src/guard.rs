//! When the benchmark has ended, by Ctrl-C too, nothing of it stays: no process, no cgroup, no
//! directory. (Only who sends SIGKILL to the parent leaves the directory behind.)
//!
//! The measuring is done in a child, as root with process numbers and mounts of its own. Ctrl-C
//! reaches only the parent, which kills that child, and with it the kernel kills the rest.

use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use launcher::child::Forked;
use launcher::command_line::{note, one_line, report};
use launcher::exit_now;
use launcher::signals::hold_signals;
use launcher::supervised::{Event, Supervised};
use nix::mount::{MsFlags, mount};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::unistd::setsid;
use v2_mountns::CloneFlags;
use v3_pidns::KILL;
use workshop::host::leave_machine;
use workshop::output::NobodyReads;

use super::programs::{Programs, is_root, stage, succeed};
use super::scratch::Scratch;

/// Does `work` in a child, waits for it, and tidies up.
///
/// # Errors
/// Those of making the child, and of tidying up. An error of `work` is printed by the child.
pub fn run(
    programs: &Programs,
    work: impl FnOnce(&Scratch) -> Result<ExitCode>,
) -> Result<ExitCode> {
    let mask = SigSet::thread_get_mask().context("cannot read the signal mask")?;
    let scratch = Scratch::make_first()?;
    let passed_on = PassedOn::now();
    let child = match Supervised::fork(hold_signals()?)? {
        Forked::Parent(child) => child,
        Forked::Child(bound) => {
            let Err(error) = bound.and_then(|()| in_child(&scratch, mask, work));
            if error.is::<NobodyReads>() {
                exit_now(0);
            }
            report(&one_line(&error));
            exit_now(1);
        }
    };
    let ended = wait(&child);
    mask.thread_swap_mask(SigmaskHow::SIG_SETMASK).context("cannot set the signal mask")?;
    let (status, was_interrupted) = ended?;
    if was_interrupted && is_root()? {
        // It removes the cgroups of those that were killed.
        succeed(stage(&programs.limits).args(["--net", "none", "--pids-limit", "9", "true"]))?;
    }
    remove_cgroups(Path::new(CGROUPS), &scratch.cgroup);
    passed_on.restore();
    Ok(ExitCode::from(status))
}

const CGROUPS: &str = "/sys/fs/cgroup";

/// The controllers that the top cgroup of version 2 passes on. runc lets it pass on all, for good.
struct PassedOn(Vec<(PathBuf, String)>);

impl PassedOn {
    fn now() -> PassedOn {
        let files = [CGROUPS, "/sys/fs/cgroup/unified"]
            .map(|top| Path::new(top).join("cgroup.subtree_control"));
        let read = |file: PathBuf| {
            let text = fs::read_to_string(&file).ok()?;
            Some((file, text))
        };
        PassedOn(files.into_iter().filter_map(read).collect())
    }

    /// Takes back what has been added. If others use it by now, the kernel refuses (EBUSY).
    fn restore(&self) {
        for ((file, before), (_, after)) in self.0.iter().zip(PassedOn::now().0) {
            let before: Vec<_> = before.split_whitespace().collect();
            for added in after.split_whitespace().filter(|name| !before.contains(name)) {
                let _ = fs::write(file, format!("-{added}"));
            }
        }
    }
}

fn wait(child: &Supervised) -> Result<(u8, bool)> {
    loop {
        match child.next_event()? {
            Event::Ended(status) => return Ok((status, false)),
            event => {
                let Some(signal) = asks_to_end(&event) else { continue };
                // As root it stands between us and PID 1, and ends when all in there have ended.
                child.child().kill(if is_root()? { KILL } else { Signal::SIGKILL })?;
                child.child().wait()?;
                let number = u8::try_from(signal as i32).context("a signal's number")?;
                return Ok((128 + number, true));
            }
        }
    }
}

fn asks_to_end(event: &Event) -> Option<Signal> {
    let signal = match *event {
        Event::Ended(_) => None,
        Event::FromTerminal(signal) => Some(signal),
        Event::FromProcess(number, _) | Event::FromParent(number) => Signal::try_from(number).ok(),
    };
    let to_end = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];
    signal.filter(|signal| to_end.contains(signal))
}

fn in_child(
    scratch: &Scratch,
    mask: SigSet,
    work: impl FnOnce(&Scratch) -> Result<ExitCode>,
) -> Result<Infallible> {
    setsid().context("cannot leave the terminal's session")?;
    if is_root()? {
        leave_machine(CloneFlags::empty())?;
        cover_cache(scratch)?;
    }
    mask.thread_swap_mask(SigmaskHow::SIG_SETMASK).context("cannot set the signal mask")?;
    let status = work(scratch)?;
    exit_now(u8::from(status != ExitCode::SUCCESS))
}

/// The layers of the benchmark's images go to its own directory.
fn cover_cache(scratch: &Scratch) -> Result<()> {
    let cache = launcher::Caller::of_this_process().cache()?.join("layers");
    for directory in [&cache, &scratch.layers()] {
        fs::create_dir_all(directory).with_context(|| format!("cannot make {directory:?}"))?;
    }
    mount(Some(&scratch.layers()), &cache, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .with_context(|| format!("cannot bind a directory on {cache:?}"))
}

/// Removes cgroups that begin with our name: those of programs that were killed.
fn remove_cgroups(below: &Path, name: &str) {
    let Ok(entries) = fs::read_dir(below) else { return };
    for directory in entries.flatten().filter(|it| it.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove_cgroups(&directory.path(), name);
        if directory.file_name().as_encoded_bytes().starts_with(name.as_bytes())
            && let Err(error) = fs::remove_dir(directory.path())
        {
            note(format_args!("{} stays behind: {error}", directory.path().display()));
        }
    }
}
