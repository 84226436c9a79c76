//! The last thing that every step does: the process becomes the command.

use crate::command_line::Failure;
use crate::executable;
use crate::system_calls::close_on_exec_from_3;
use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::signal::SigSet;
use nix::unistd::execve;
use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where commands are looked for inside, as in Docker's default.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What runs when no command is given.
const SHELL: &str = "/bin/sh";

// ANCHOR: exec
/// execve(2): replaces this program with `command`, or a shell if that is empty, in a clean
/// environment.
///
/// The process stays: its number, its root directory, its terminal. What the command must not
/// inherit ends here: blocked signals, every descriptor but 0, 1 and 2, and the host's environment,
/// which says nothing true about the inside and may hold secrets.
///
/// # Errors
/// Always an error, since success does not return: a [`Failure`] with 127 if the command is not
/// there, 126 if it is but cannot be executed.
pub fn exec(command: &[OsString]) -> Result<Infallible> {
    exec_with(command, &environment())
}

/// [`exec`] with an environment of the caller's choice: `NAME=VALUE`, each name once. A command
/// without a slash is looked for in its PATH.
///
/// # Errors
/// As [`exec`].
pub fn exec_with(command: &[OsString], environment: &[OsString]) -> Result<Infallible> {
    let shell = [OsString::from(SHELL)];
    let command = if command.is_empty() { &shell } else { command };
    let arguments = command.iter().map(|word| c_string(word)).collect::<Result<Vec<_>>>()?;
    let variables = environment.iter().map(|word| c_string(word)).collect::<Result<Vec<_>>>()?;
    let program = &command[0]; // there is one: given, or the shell

    SigSet::empty().thread_set_mask().context("cannot unblock signals")?;
    close_on_exec_from_3().context("cannot mark descriptors close-on-exec")?;

    let mut failures = Vec::new();
    for path in candidates(program, environment) {
        let name = c_string(path.as_os_str())?;
        let Err(errno) = match executable::check(&path) {
            Ok(()) => execve(&name, &arguments, &variables),
            Err(errno) => Err(errno),
        };
        failures.push((path, errno));
        if !matches!(errno, Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES) {
            break; // the command was found, and cannot be executed
        }
    }
    // In most directories of PATH there is no such file; an answer about one that is there says
    // more. (ENOENT can be about such a file too: its interpreter is missing.)
    let says_more = |(path, errno): &&(PathBuf, Errno)| {
        !matches!(errno, Errno::ENOENT | Errno::ENOTDIR) || executable::has_entry(path)
    };
    let failure = failures.iter().find(says_more);
    let failure = failure.map(|(path, errno)| explain(program, path, *errno));
    Err(failure.unwrap_or_else(|| not_found(program)).into())
}
// ANCHOR_END: exec

/// PATH, HOME and TERM, as they are true inside.
pub fn environment() -> Vec<OsString> {
    let terminal = std::env::var_os("TERM").filter(|term| !term.is_empty());
    let mut term = OsString::from("TERM=");
    term.push(terminal.unwrap_or_else(|| "xterm".into()));
    vec![format!("PATH={PATH}").into(), "HOME=/root".into(), term]
}

/// The files that `program` may mean: itself if it has a slash, else one in each directory of PATH.
fn candidates(program: &OsStr, environment: &[OsString]) -> Vec<PathBuf> {
    if program.is_empty() || program.as_bytes().contains(&b'/') {
        return vec![PathBuf::from(program)];
    }
    let path = environment.iter().find_map(|variable| variable.as_bytes().strip_prefix(b"PATH="));
    let directories = path.unwrap_or(PATH.as_bytes()).split(|&byte| byte == b':');
    directories.map(|directory| Path::new(OsStr::from_bytes(directory)).join(program)).collect()
}

fn c_string(text: &OsStr) -> Result<CString> {
    CString::new(text.as_bytes()).with_context(|| format!("a zero byte in {text:?}"))
}

fn not_found(program: &OsStr) -> Failure {
    let (errno, advice) = (Errno::ENOENT, "there is no such command in the container");
    Failure { code: 127, text: format!("cannot execute {program:?}: {errno} ({advice})") }
}

/// Says why execve(2) of a file that exists failed: its ENOENT and EACCES have several meanings.
fn explain(program: &OsStr, path: &Path, errno: Errno) -> Failure {
    let found = executable::metadata(path).ok();
    let is_file = found.as_ref().is_some_and(Metadata::is_file);
    let is_executable = found.as_ref().is_some_and(|it| it.permissions().mode() & 0o111 != 0);
    let interpreter = executable::interpreters(path).ok().and_then(|all| all.into_iter().next());
    let advice = match (errno, interpreter) {
        (Errno::ENOENT, Some(interpreter)) => {
            &format!("the file is there, but its interpreter {interpreter:?} is not")
        }
        (Errno::ENOENT, None) => "it is a symbolic link to nothing",
        (Errno::ENOEXEC, _) => "no program of this architecture, no script with a first line #!",
        (Errno::ELOOP, _) => {
            "it, or its interpreter, is a link that leads in a circle, or out of the container \
             through /proc/PID"
        }
        (Errno::EACCES, _) if found.as_ref().is_some_and(Metadata::is_dir) => "it is a directory",
        (Errno::EACCES, _) if found.is_some() && !is_file => "it is not a regular file",
        (Errno::EACCES, _) if !is_executable => "it is not executable: chmod +x",
        (Errno::EACCES, _) => {
            "a directory that cannot be entered, or a mount with noexec; or this user cannot read \
             it: then nobody can see beforehand what would interpret it"
        }
        (Errno::E2BIG, _) => "its arguments and its environment are too long together",
        _ => "see execve(2)",
    };
    Failure { code: 126, text: format!("cannot execute {program:?}: {errno} ({advice})") }
}
