//! Checking a program: the host is made, the check runs in it, the verdict comes out.

use std::convert::Infallible;
use std::env;
use std::fmt::{self, Display};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, anyhow, bail};
use launcher::command_line::{Failure, note};
use launcher::{Caller, exit_now, program};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::unistd::geteuid;

use super::cgroup::CheckCgroup;
use super::exercise::{ALL, Exercise};
use super::host::Host;
use crate::say;

/// How the directory of a check is called, in the temporary directory; its process number follows.
pub(crate) const CHECK_DIRECTORY: &str = "workshop-check-";

/// What starts a program as root, its words before those of the program. The environment is kept:
/// the check finds the busybox that the learner's other checks use.
const DOORS_TO_ROOT: [(&str, &[&str]); 2] = [
    ("sudo", &["-E"]),
    ("su", &["--preserve-environment", "--shell=/bin/sh", "root", "--command=exec \"$0\" \"$@\""]),
];

/// Checks the program `judged`, as root where that is needed: then sudo(8) or su(1) starts us again
/// for it.
///
/// # Errors
/// Those of [`judge`]; if root is needed, and there is no way to become root.
pub fn judge_as_root(exercise: &Exercise, judged: &Path) -> Result<Result<(), CheckFailed>> {
    if !exercise.needs_cgroup || geteuid().is_root() {
        return judge(exercise, judged);
    }
    let own = env::current_exe().context("cannot tell where this program lies")?;
    let by_hand = || {
        let (own, judged) = (own.display(), judged.display());
        let later = ALL.iter().skip_while(|it| it.id != exercise.id).find(|it| !it.needs_cgroup);
        let go_on =
            later.map(|it| format!("; without root, go on: cargo workshop start {}", it.id));
        let go_on = go_on.unwrap_or_default();
        format!("as root, in a shell of your own: {own} judge {} {judged}{go_on}", exercise.id)
    };
    say!("The check makes a cgroup, which takes root: you may be asked for a password.")?;
    let found = DOORS_TO_ROOT.iter().find_map(|(door, options)| {
        let root = program::command(door).ok()?;
        Some((door, options, root))
    });
    let Some((door, options, mut root)) = found else {
        bail!("cannot find sudo or su: ENOENT: No such file or directory ({})", by_hand());
    };
    root.args(*options).arg(&own).args(["judge", exercise.id]).arg(judged);
    let output = root.stdin(Stdio::inherit()).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("cannot run {door}"))?;
    let said = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
    match output.status.success() {
        true => Ok(Ok(())),
        false if !said.is_empty() => Ok(Err(CheckFailed(said))),
        false => bail!("the check did not take place: see above ({})", by_hand()),
    }
}

/// What the check saw first that is not as it should be.
#[derive(Debug)]
pub struct CheckFailed(pub String);

impl Display for CheckFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CheckFailed {}

/// Requires something, in plain words.
///
/// # Errors
/// [`CheckFailed`] unless `is_so`: what was expected, what was seen, and where to look.
pub fn expect(is_so: bool, expected: &str, seen: &str, look_at: &str) -> Result<()> {
    if is_so {
        return Ok(());
    }
    let seen = if seen.is_empty() { "nothing" } else { seen };
    Err(CheckFailed(format!("  expected: {expected}\n  seen:     {seen}\n  look at:  {look_at}"))
        .into())
}

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
    let place = Place::make()?;
    let cgroup = exercise.needs_cgroup.then(CheckCgroup::make).transpose()?;
    let cgroup = cgroup.as_ref().map(CheckCgroup::path);
    let ended = crate::child::run(|| {
        // A terminal sends Ctrl-C to this process as well. It ends, and with it the check.
        let endings: SigSet = ENDINGS.into_iter().collect();
        endings.thread_unblock().context("cannot unblock signals")?;
        let host = Host::make(&place.0, &busybox_rootfs, program, cgroup)?;
        check(exercise, &host)
    })?;
    match ended {
        Ok(0) => Ok(Ok(())),
        Ok(INTERRUPTED) => bail!("the check of {} was interrupted", exercise.id),
        Ok(status) => Err(anyhow!("the check of {} ended with status {status}", exercise.id)),
        Err(Failure { code: NOT_RIGHT, text }) => Ok(Err(CheckFailed(text))),
        Err(failure) => Err(anyhow!("cannot check {}: {failure}", exercise.id)),
    }
}

fn check(exercise: &Exercise, host: &Host) -> Result<Infallible> {
    match (exercise.check)(host) {
        Ok(()) => exit_now(0),
        Err(error) => match error.downcast::<CheckFailed>() {
            Ok(failed) => Err(Failure { code: NOT_RIGHT, text: failed.0 }.into()),
            Err(error) => Err(error),
        },
    }
}

/// An empty directory of the machine, on which the host mounts its files.
pub struct Place(PathBuf);

impl Place {
    /// Makes it, for this process's next host.
    ///
    /// # Errors
    /// Those of mkdir(2).
    pub fn make() -> Result<Place> {
        let path = std::env::temp_dir().join(format!("{CHECK_DIRECTORY}{}", std::process::id()));
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot make {path:?}"))?;
        Ok(Place(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.0) {
            note(format_args!("left behind: {}: {error}", self.0.display()));
        }
    }
}
