//! `exec`: a command in a container that runs already.

use crate::arguments::ExecArgs;
use crate::hardening::harden;
use crate::session::Session;
use crate::shared::{Namespaces, started};
use crate::state::{Running, find};
use anyhow::{Context, Result, ensure};
use image::ContainerConfig;
use launcher::caller::replace_null;
use launcher::command_line::{errno_of, note, one_line};
use launcher::terminal::leave_session;
use launcher::users::{Digits, number_of_user};
use launcher::{Caller, Container, bounded, close_host_descriptors};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, ResolveFlag};
use nix::unistd::Pid;
use relay::console::{Console, Ends};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use v2_mountns::CloneFlags;
use v3_pidns::fork_and_stand_between;
use v6_cgroups::enter_that_of;
use v7_overlay::{ProcessArgs, exec_in_image};

/// Runs a command in a container of a running pod, with a terminal of its own if the caller is on
/// one, and returns its exit status.
///
/// # Errors
/// If there is no such pod or container, or it cannot be entered.
pub fn exec(caller: &Caller, args: &ExecArgs) -> Result<u8> {
    let container = find(&caller.pods()?, args.pause, args.container.as_deref())?;
    let (console, ends) = Console::of_caller()?;
    let signals = Session::signals()?; // what can fail, fails before the command runs
    let child = enter(&container, &args.command, ends)?;
    Session::new(child, console, signals).run()
}

// ANCHOR: enter
/// Starts a command in a container: its user, working directory, environment and cgroup, and all
/// its namespaces.
///
/// # Errors
/// Those of setns(2), or why the command cannot be executed.
pub fn enter(container: &Running, command: &[OsString], ends: Ends) -> Result<Container> {
    let pid = Pid::from_raw(container.pid);
    let user = container.user.clone().filter(|user| !user.is_empty());
    let user = user.unwrap_or_else(|| "0".to_owned());
    let workdir = container.workdir.clone();
    let namespaces = Namespaces::of(pid)?;
    ensure!(
        started(pid)? == container.started && !namespaces.are_ours()?,
        "the container has ended: process {pid} is another one now"
    );
    Container::spawn(move || {
        leave_session();
        if let Err(error) = enter_that_of(pid) {
            note(format_args!("outside of the container's limits: {}", one_line(&error)));
        }
        namespaces.join_all_but_mounts()?;
        harden()?;
        // As root of its user namespace: the process may be another user's.
        let env = environment_of(pid)?;
        ensure!(started(pid)? == container.started, "the container has ended meanwhile");
        let process =
            ProcessArgs { env, workdir, user: Some(user.clone()), digits: Digits::Number };
        // Who is born in the container holds nothing of the host but 0, 1, 2 and the report pipe.
        let mounts = namespaces.only(CloneFlags::CLONE_NEWNS);
        fork_and_stand_between()?;
        let terminal = ends.connect()?; // of the caller's, nothing is left
        mounts.join(CloneFlags::CLONE_NEWNS)?; // its root is the container's
        drop(mounts);
        close_host_descriptors()?;
        replace_null(AT_FDCWD, Path::new("/dev/null"))?;
        terminal.open(number_of_user(&user, Digits::Number)?)?;
        exec_in_image(&ContainerConfig::default(), &process, command)
    })
}
// ANCHOR_END: enter

/// An environment may have this many bytes. execve(2) takes 2 MiB of arguments and environment with
/// the usual limit of the stack, and what is in our command has to fit too.
const MAX_ENVIRONMENT: u64 = 1 << 20;

// ANCHOR: environment_of
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
// ANCHOR_END: environment_of
