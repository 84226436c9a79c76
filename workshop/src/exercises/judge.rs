//! Checking a program: the host is made, the check runs in it, the verdict comes out.

use std::convert::Infallible;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use launcher::command_line::{Failure, note};
use launcher::{Caller, exit_now};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};

use super::cgroup::CheckCgroup;
use super::exercise::Exercise;
use super::judged::Judged;
use super::verdict::CheckFailed;
use crate::host::{Host, MountPoint};

/// The exit status of a check whose program is not right yet.
const NOT_RIGHT: u8 = 1;

/// The exit status of one that Ctrl-C has ended.
const INTERRUPTED: u8 = 128 + Signal::SIGINT as u8;

/// What ends a check that takes too long: Ctrl-C, kill(1), the end of the terminal.
const ENDINGS: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// As long as it lives, these signals wait: what is to be removed is removed first.
struct EndingsWait(SigSet);

impl EndingsWait {
    fn new() -> Result<EndingsWait> {
        let endings: SigSet = ENDINGS.into_iter().collect();
        let before = endings.thread_swap_mask(SigmaskHow::SIG_BLOCK);
        Ok(EndingsWait(before.context("cannot block signals")?))
    }
}

impl Drop for EndingsWait {
    fn drop(&mut self) {
        if let Err(errno) = self.0.thread_set_mask() {
            note(format_args!("signals stay blocked: {errno}"));
        }
    }
}

/// Checks `program` on a new host.
///
/// # Errors
/// If the host cannot be made, or the check itself cannot be carried out.
pub fn judge(exercise: &Exercise, program: &Path) -> Result<Result<(), CheckFailed>> {
    let program = fs::canonicalize(program).with_context(|| format!("cannot find {program:?}"))?;
    let busybox_rootfs = rootfs::prepare(&Caller::of_this_process(), None)?;
    let _until_all_is_removed = EndingsWait::new()?;
    let mount_point = MountPoint::make()?;
    let cgroup = exercise.needs_cgroup.then(CheckCgroup::make).transpose()?;
    let cgroup = cgroup.as_ref().map(CheckCgroup::path);
    let ended = crate::child::run(|| {
        // A terminal sends Ctrl-C to this process as well. It ends, and with it the check.
        let endings: SigSet = ENDINGS.into_iter().collect();
        endings.thread_unblock().context("cannot unblock signals")?;
        let host = Host::make(&mount_point, &busybox_rootfs)?;
        check(exercise, &Judged::on(host, program, cgroup)?)
    })?;
    match ended {
        Ok(0) => Ok(Ok(())),
        Ok(INTERRUPTED) => bail!("the check of {} was interrupted", exercise.id),
        Ok(status) => Err(anyhow!("the check of {} ended with status {status}", exercise.id)),
        Err(Failure { code: NOT_RIGHT, text }) => Ok(Err(CheckFailed(text))),
        Err(failure) => Err(anyhow!("cannot check {}: {failure}", exercise.id)),
    }
}

fn check(exercise: &Exercise, judged: &Judged) -> Result<Infallible> {
    match (exercise.check)(judged) {
        Ok(()) => exit_now(0),
        Err(error) => match error.downcast::<CheckFailed>() {
            Ok(failed) => Err(Failure { code: NOT_RIGHT, text: failed.0 }.into()),
            Err(error) => Err(error),
        },
    }
}
