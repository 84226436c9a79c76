//! Whose name is it?
//!
//! The launcher below wants to give its container the name "container". Do not run it as root by
//! hand: it renames your machine. (As an ordinary user you get EPERM, since the machine's name is
//! not yours.) `cargo workshop check whose-name` runs it on a host of its own.
//!
//! Give the name to the container, and to nobody else.

use anyhow::{Context, Result};
use clap::Parser;
use launcher::{Container, become_root, exec, finish, parse};
use nix::sched::{CloneFlags, unshare};
use v1_chroot::{ContainerArgs, enter_rootfs};
//[ starter
use v4_utsns::set_hostname;
//[ solution
use v4_utsns::set_hostname;
//[ fault nobody
//]

/// Run a command with its own root directory and hostname
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
    // YOUR TURN: the right call, at the wrong place.
    set_hostname("container")?;
    //[ solution
    //]
    let container = Container::spawn(|| {
        unshare(CloneFlags::CLONE_NEWUTS).context("cannot make a UTS namespace")?;
        //[ solution
        set_hostname("container")?;
        //[ fault nobody
        //[ fault wrong-process
        //]
        enter_rootfs(&rootfs)?;
        exec(&args.container.command)
    })?;
    //[ fault wrong-process
    set_hostname("container")?;
    //[ solution
    //]
    container.wait()
}
