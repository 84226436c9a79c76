//! A check that takes root: sudo(8) or su(1) starts this program again for it.

use std::env;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use launcher::program;
use nix::unistd::geteuid;

use super::exercise::Exercise;
use super::judge::judge;
use super::list::ALL;
use super::verdict::CheckFailed;
use crate::say;

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
