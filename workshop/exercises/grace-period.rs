//! A second for those who are left
//!
//! When process 1 ends, the kernel kills what is left in its PID namespace: by SIGKILL, at once,
//! and nobody can save anything. `--init` of v3 leaves it at that. Here is such an init, with a
//! command that leaves somebody behind:
//!
//!     cd exercises && cargo run -q --bin grace-period -- sh -c \
//!         "sh -c 'trap \"echo saved; exit\" TERM; while :; do sleep 0.1; done' & sleep 1; exit 7"
//!
//! When the command has ended, let process 1 ask all others to end, by SIGTERM, and wait for them:
//! a second, no longer. Then it ends with the exit status of the command, as it does now.

use anyhow::{Context, Result, bail};
use clap::Parser;
use launcher::{Child, Forked, become_root, finish, parse};
//[ solution
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};
//[ starter
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use std::path::Path;
use std::process::Command;
//]
use v1_chroot::ContainerArgs;
use v2_mountns::{NewRoot, private_mounts};

/// Run a command below a process 1 that is patient
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
    let command = Command::new(program)
        .args(arguments)
        .spawn()
        .with_context(|| format!("cannot execute {program:?}"))?;
    let status = wait_for(Pid::from_raw(i32::try_from(command.id())?))?;
    say_goodbye()?;
    Ok(status)
}

/// Waits for the command, and for every orphan that ends before.
fn wait_for(command: Pid) -> Result<u8> {
    loop {
        let ended = match waitpid(None, None) {
            // Killed by a real-time signal, for which nix has no name: it is gone all the same.
            Err(Errno::EINVAL) => continue,
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
}

/// The command has ended. What has it left?
fn say_goodbye() -> Result<()> {
    //[ starter
    // YOUR TURN: in a moment we end, and the kernel kills them.
    Ok(())
    //[ solution
    let everybody_else = Pid::from_raw(-1);
    match kill(everybody_else, Signal::SIGTERM) {
        Err(Errno::ESRCH) => return Ok(()), // there is nobody
        asked => asked.context("cannot ask the others to end")?,
    }
    let deadline = Instant::now() + Duration::from_secs(1);
    while Instant::now() < deadline {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Err(Errno::ECHILD) => break, // the last one has ended
            Ok(WaitStatus::StillAlive) => sleep(Duration::from_millis(10)),
            _ => {}
        }
    }
    Ok(())
    //[ fault for-ever
    let everybody_else = Pid::from_raw(-1);
    match kill(everybody_else, Signal::SIGTERM) {
        Err(Errno::ESRCH) => return Ok(()),
        asked => asked.context("cannot ask the others to end")?,
    }
    let deadline = Instant::now() + Duration::from_secs(1000);
    while Instant::now() < deadline {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Err(Errno::ECHILD) => break,
            Ok(WaitStatus::StillAlive) => sleep(Duration::from_millis(10)),
            _ => {}
        }
    }
    Ok(())
    //[ fault whole-second
    let everybody_else = Pid::from_raw(-1);
    let _ = kill(everybody_else, Signal::SIGTERM);
    let deadline = Instant::now() + Duration::from_secs(1);
    while Instant::now() < deadline {
        let _ = waitpid(None, Some(WaitPidFlag::WNOHANG));
        sleep(Duration::from_millis(10));
    }
    Ok(())
    //]
}
