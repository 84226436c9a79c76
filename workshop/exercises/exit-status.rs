//! How did it end?
//!
//! Whoever starts a container wants to know how its command ended: a script tests `$?`, Kubernetes
//! decides whether to restart. The launcher below loses it. Kill the command, and all seems well:
//!
//!     cd exercises && cargo run -q --bin exit-status -- sh -c 'kill -9 $$'; echo $?
//!
//! Make the launcher end as a shell says it: with the command's exit status, and with 128+N when
//! signal N has killed the command.

use anyhow::{Context, Result};
use clap::Parser;
use launcher::{Child, Forked, become_root, exec, finish, parse};
use nix::sys::wait::{WaitStatus, waitpid};
use std::path::Path;
use v1_chroot::{ContainerArgs, enter_rootfs};

/// Run a command with its own root directory
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
    match Child::fork()? {
        Forked::Child(bound) => finish(bound.and_then(|()| start(&rootfs, &args.container))),
        Forked::Parent(_) => {
            let status = waitpid(None, None).context("cannot wait for the command")?;
            Ok(exit_status(status))
        }
    }
}

/// What the child does.
fn start(rootfs: &Path, container: &ContainerArgs) -> Result<u8> {
    enter_rootfs(rootfs)?;
    match exec(&container.command)? {}
}

/// How the launcher ends, for a command that has ended like this.
fn exit_status(status: WaitStatus) -> u8 {
    match status {
        //[ starter
        WaitStatus::Exited(_, code) => u8::try_from(code).unwrap_or(u8::MAX),
        // YOUR TURN: this is not the only way to end.
        _ => 0,
        //[ solution
        WaitStatus::Exited(_, code) => u8::try_from(code).unwrap_or(u8::MAX),
        WaitStatus::Signaled(_, signal, _) => u8::try_from(128 + signal as i32).unwrap_or(u8::MAX),
        _ => u8::MAX,
        //[ fault bare-number
        WaitStatus::Exited(_, code) => u8::try_from(code).unwrap_or(u8::MAX),
        WaitStatus::Signaled(_, signal, _) => u8::try_from(signal as i32).unwrap_or(u8::MAX),
        _ => u8::MAX,
        //[ fault failure
        WaitStatus::Exited(_, code) => u8::try_from(code).unwrap_or(u8::MAX),
        _ => 1,
        //[ fault wait-status
        // The number that wait(2) writes has the exit status in its second byte.
        WaitStatus::Exited(_, code) => ((code << 8) & 0xff) as u8,
        WaitStatus::Signaled(_, signal, _) => u8::try_from(128 + signal as i32).unwrap_or(u8::MAX),
        _ => u8::MAX,
        //]
    }
}
