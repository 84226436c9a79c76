//! Who is number 1?
//!
//! The launcher below takes a PID namespace and starts the command. Ask the command for its number:
//!
//!     cd exercises && cargo run -q --bin second-fork -- sh -c 'echo $$'
//!
//! It is not 1. And a shell in there can start one command, but no second one: "can't fork: Cannot
//! allocate memory", on a machine with plenty of it.
//!
//! Make the command process 1, and the launcher end as the command ends.

use anyhow::{Context, Result};
use clap::Parser;
//[ solution
use launcher::{Child, Forked, become_root, exec, finish, parse};
//[ starter
use launcher::{become_root, exec, finish, parse};
//]
use nix::sched::{CloneFlags, unshare};
use std::path::Path;
use v1_chroot::{ContainerArgs, enter_rootfs};

/// Run a command with its own root directory and process numbers
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
    //[ starter
    unshare(CloneFlags::CLONE_NEWPID).context("cannot make a PID namespace")?;
    // YOUR TURN: launcher::Child has a fork and a wait.
    start(&rootfs, &args.container)
    //[ solution
    unshare(CloneFlags::CLONE_NEWPID).context("cannot make a PID namespace")?;
    match Child::fork()? {
        Forked::Child(bound) => finish(bound.and_then(|()| start(&rootfs, &args.container))),
        Forked::Parent(child) => child.wait(),
    }
    //[ fault no-wait
    unshare(CloneFlags::CLONE_NEWPID).context("cannot make a PID namespace")?;
    match Child::fork()? {
        Forked::Child(bound) => finish(bound.and_then(|()| start(&rootfs, &args.container))),
        Forked::Parent(_) => Ok(0),
    }
    //[ fault lost-status
    unshare(CloneFlags::CLONE_NEWPID).context("cannot make a PID namespace")?;
    match Child::fork()? {
        Forked::Child(bound) => finish(bound.and_then(|()| start(&rootfs, &args.container))),
        Forked::Parent(child) => child.wait().map(|_| 0),
    }
    //]
}

/// Becomes the command, in its root directory.
fn start(rootfs: &Path, container: &ContainerArgs) -> Result<u8> {
    enter_rootfs(rootfs)?;
    match exec(&container.command)? {}
}
