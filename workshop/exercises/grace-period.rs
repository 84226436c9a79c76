//! The duty of number 1
//!
//! Process 1 of a PID namespace inherits every orphan in there. The program below starts the
//! command as its child, as `docker run --init` does, but neglects the orphans. Make one:
//!
//!     cd exercises && cargo run -q --bin zombies -- sh -c \
//!         "sh -c 'sleep 1 &'; sleep 2; ps -o pid,ppid,stat,args"
//!
//! The line in state Z is a zombie: it has ended, and nobody has asked how. Let process 1 reap
//! them all, and end with the exit status of the command, when that one ends.

use anyhow::{Context, Result, bail};
use clap::Parser;
use launcher::{Child, Forked, become_root, finish, parse};
use nix::sched::{CloneFlags, unshare};
//[ solution
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use std::path::Path;
use std::process::Command;
//[ starter
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
//]
use v1_chroot::ContainerArgs;
use v2_mountns::{NewRoot, private_mounts};

/// Run a command below a process 1 that reaps
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    container: ContainerArgs,
}

fn main() {
    finish(run())
}

fn run() -> Result<u8> {
    let (args, caller) = parse::<Args>()?;
    let rootfs = rootfs::prepare(&caller, args.container.rootfs.as_deref())?;
    become_root(caller)?;
    unshare(CloneFlags::CLONE_NEWPID).context("cannot make a PID namespace")?;
    match Child::fork()? {
        Forked::Child(bound) => finish(bound.and_then(|()| be_process_1(&rootfs, &args.container))),
        Forked::Parent(child) => child.wait(),
    }
}

/// Mounts and root directory of a container.
fn enter(rootfs: &Path) -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS).context("cannot make a mount namespace")?;
    private_mounts()?;
    let root = NewRoot::bind(rootfs)?;
    root.mount_proc()?;
    root.mount_dev()?;
    root.pivot()
}

/// The life of process 1: starts the command and waits. Returns the exit status of the command.
fn be_process_1(rootfs: &Path, container: &ContainerArgs) -> Result<u8> {
    enter(rootfs)?;
    let [program, arguments @ ..] = &container.command[..] else { bail!("no command given") };
    //[ starter
    let mut command = Command::new(program)
        .args(arguments)
        .spawn()
        .with_context(|| format!("cannot execute {program:?}"))?;
    // YOUR TURN: this waits for one child. Process 1 gets others, whom it has never started.
    let status = command.wait().context("cannot wait for the command")?;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    Ok(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))
    //[ solution
    let command = Command::new(program)
        .args(arguments)
        .spawn()
        .with_context(|| format!("cannot execute {program:?}"))?;
    let command = Pid::from_raw(i32::try_from(command.id())?);
    loop {
        let ended = match waitpid(None, None) {
            // Killed by a real-time signal, for which nix has no name: it is gone all the same. (If
            // it was the command, we end with an error. v1's own `wait` knows all signals.)
            Err(nix::errno::Errno::EINVAL) => continue,
            ended => ended.context("cannot wait")?,
        };
        match ended {
            WaitStatus::Exited(pid, code) if pid == command => return Ok(u8::try_from(code)?),
            WaitStatus::Signaled(pid, signal, _) if pid == command => {
                return Ok(u8::try_from(128 + signal as i32)?);
            }
            _ => {} // an orphan, and it is gone now
        }
    }
    //[ fault first-one
    let command = Command::new(program)
        .args(arguments)
        .spawn()
        .with_context(|| format!("cannot execute {program:?}"))?;
    let _ = Pid::from_raw(i32::try_from(command.id())?);
    match waitpid(None, None).context("cannot wait")? {
        WaitStatus::Exited(_, code) => Ok(u8::try_from(code)?),
        _ => Ok(u8::MAX),
    }
    //[ fault lost-status
    let command = Command::new(program)
        .args(arguments)
        .spawn()
        .with_context(|| format!("cannot execute {program:?}"))?;
    let command = Pid::from_raw(i32::try_from(command.id())?);
    loop {
        match waitpid(None, None).context("cannot wait")? {
            WaitStatus::Exited(pid, _) if pid == command => return Ok(0),
            _ => {}
        }
    }
    //]
}
