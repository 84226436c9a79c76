//! `cargo workshop trace STEP`: the system calls that make a container, and what each is for.
//!
//! strace(1) shows some hundred calls of a start; most of them load libraries and get memory. Here
//! are those that make the container, up to the execve(2) that ends the making.
//!
//! | module | what it does |
//! |---|---|
//! | `record` | reads what strace wrote |
//! | `story` | picks the calls that matter, and tells which process makes them |
//! | `meaning` | what a call is for, its manual page and its chapter |

mod meaning;
mod record;
mod story;

use std::env;
use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use launcher::command_line::note;
use launcher::program;

use crate::{STEPS, checkout, say};
use story::Line;

/// What to trace.
#[derive(clap::Args)]
pub struct Args {
    /// The step: v1-chroot, v2-mountns and so on
    step: String,
    /// Its options, the command and its arguments [default: a shell]
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Runs the step below strace and prints its story. The status is the step's own.
///
/// # Errors
/// If there is no such step, no strace, or strace may not trace here.
pub fn run(args: &Args) -> Result<ExitCode> {
    let step = program_of(&args.step)?;
    let records = Directory::make()?;
    let mut strace = match program::command("strace") {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("cannot run strace: ENOENT: No such file or directory (install it: strace)")
        }
        result => result.context("cannot run strace")?,
    };
    // One file for each process, with the time of each call: no call is cut in two by another's.
    strace.args(["-ff", "-ttt", "-qq", "-y", "-s", "80", "-e", "signal=none", "-e"]);
    strace.arg(format!("trace={}", meaning::calls().join(",")));
    strace.arg("-o").arg(records.0.join("process")).arg(&step).args(&args.arguments);
    let status = strace.status().context("cannot run strace")?;
    let calls = record::read_all(&records.0)?;
    ensure!(
        !calls.is_empty(),
        "strace has seen nothing (may it trace? See /proc/sys/kernel/yama/ptrace_scope; a \
         container needs --cap-add SYS_PTRACE)"
    );
    say!("\nHow {} has made the container:\n", args.step)?;
    for line in story::tell(&calls) {
        print(&line)?;
    }
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, Into::into))
}

fn print(line: &Line) -> Result<()> {
    let mark = if line.failed { "FAILED" } else { "" };
    say!("{mark:6} {:10} {}", line.process, line.call)?;
    if let Some(meaning) = line.meaning {
        say!("{:18}{}  [{}; {}]", "", meaning.purpose, meaning.manual, meaning.chapter)?;
    }
    Ok(())
}

/// The built program of a step: it lies beside ours. Cargo builds it, if cargo runs us.
fn program_of(step: &str) -> Result<PathBuf> {
    let checkout = checkout()?;
    ensure!(
        !step.contains('/') && step.starts_with('v') && checkout.join(step).join("src").is_dir(),
        "there is no step {step:?} ({})",
        advice(step)
    );
    if let Some(cargo) = env::var_os("CARGO") {
        let mut build = program::command(cargo).context("cannot run cargo")?;
        build.args(["build", "--quiet", "--package", step]).current_dir(&checkout);
        let built = build.status().context("cannot run cargo")?;
        ensure!(built.success(), "{step} does not build");
    }
    let own = env::current_exe().context("cannot tell where this program lies")?;
    let program = own.with_file_name(step);
    ensure!(program.is_file(), "there is no {program:?} yet (cargo build -p {step})");
    Ok(program)
}

/// Which step is meant: by a name with mistakes, by a part of it, or by its number alone.
fn advice(typed: &str) -> String {
    let nearest = |typed| door::nearest(typed, STEPS.into_iter());
    match nearest(typed).or_else(|| nearest(typed.get(..2)?)) {
        Some(step) => format!("do you mean {step}?"),
        None => format!("one of {}", STEPS.join(", ")),
    }
}

/// A directory for the records, of this user only, that goes with this value.
struct Directory(PathBuf);

impl Directory {
    fn make() -> Result<Directory> {
        let path = env::temp_dir().join(format!("workshop-trace-{}", std::process::id()));
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.with_context(|| format!("cannot make {path:?}"))?;
        Ok(Directory(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let path: &Path = &self.0;
        if let Err(error) = fs::remove_dir_all(path) {
            note(format_args!("left behind: {}: {error}", path.display()));
        }
    }
}
