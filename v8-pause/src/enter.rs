//! `exec`: a command in a container that runs already.

use crate::arguments::ExecArgs;
use crate::hardening::harden;
use crate::shared::Namespaces;
use crate::state::{Running, find, runtime_directory};
use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::ResolveFlag;
use nix::unistd::Pid;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use v1_chroot::command_line::{errno_of, note, one_line};
use v1_chroot::{Child, bounded, close_host_descriptors};
use v2_mountns::CloneFlags;
use v3_pidns::fork_and_stand_between;
use v6_cgroups::enter_that_of;
use v7_overlay::image::ContainerConfig;
use v7_overlay::{Digits, ProcessArgs, exec_in_image};

/// Runs a command in a container of a running pod, on the caller's terminal, and returns its exit
/// status.
///
/// # Errors
/// If there is no such pod or container, or it cannot be entered.
pub fn exec(args: &ExecArgs) -> Result<u8> {
    let container = find(&runtime_directory()?, args.pause, args.container.as_deref())?;
    enter(&container, &args.command)?.wait()
}

// ANCHOR: enter
/// Starts a command in a container: its user, environment and cgroup, and all its namespaces.
///
/// # Errors
/// Those of setns(2), or why the command cannot be executed.
pub fn enter(container: &Running, command: &[OsString]) -> Result<Child> {
    let pid = Pid::from_raw(container.pid);
    let namespaces = Namespaces::of(pid)?;
    let process = ProcessArgs {
        env: environment_of(pid)?,
        workdir: None,
        user: Some(container.user.unwrap_or(0).to_string()),
        digits: Digits::Number,
    };
    Child::spawn(move || {
        if let Err(error) = enter_that_of(pid) {
            note(format_args!("outside of the container's limits: {}", one_line(&error)));
        }
        namespaces.join_all_but_mounts()?;
        harden()?;
        // Who is born in the container holds nothing of the host but 0, 1, 2 and the report pipe.
        let mounts = namespaces.only(CloneFlags::CLONE_NEWNS);
        fork_and_stand_between()?;
        mounts.join(CloneFlags::CLONE_NEWNS)?; // its root is the container's
        drop(mounts);
        close_host_descriptors()?;
        exec_in_image(&ContainerConfig::default(), &process, command)
    })
}
// ANCHOR_END: enter

/// An environment may have this many bytes. execve(2) takes 2 MiB of arguments and environment with
/// the usual limit of the stack, and what is in our command has to fit too.
const MAX_ENVIRONMENT: u64 = 1 << 20;

/// The variables that a process was started with (proc_pid_environ(5)); or none, if there cannot be
/// so many: a process may say that they are anywhere in its memory, which it need not have touched
/// (PR_SET_MM of prctl(2)). Who looks after it from outside is let in nevertheless.
fn environment_of(pid: Pid) -> Result<Vec<OsString>> {
    let path = format!("/proc/{pid}/environ");
    let read = bounded::read_file(Path::new(&path), ResolveFlag::empty(), MAX_ENVIRONMENT);
    let variables = match read {
        Err(error) if errno_of(&error) == Errno::EFBIG => {
            note(format_args!(
                "without the container's environment: {path} has more than {MAX_ENVIRONMENT} \
                 bytes: {}",
                Errno::EFBIG
            ));
            return Ok(Vec::new());
        }
        read => read.with_context(|| format!("cannot read {path}"))?,
    };
    let variables = variables.split(|&byte| byte == 0).filter(|it| !it.is_empty());
    Ok(variables.map(|variable| OsString::from_vec(variable.to_vec())).collect())
}
