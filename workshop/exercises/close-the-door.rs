//! A new root, and the old working directory
//!
//! The launcher below calls chroot(2), and still its command sees files of the host: chroot
//! changes what / means, and nothing else. Start it and list the working directory:
//!
//!     cd exercises && cargo run -q --bin close-the-door -- ls
//!
//! You see the files of `exercises`, from inside the container. Close this door.

use anyhow::{Context, Result};
use clap::Parser;
use launcher::{Container, become_root, exec, finish, parse};
//[ starter
use nix::unistd::chroot;
//[ solution
use nix::unistd::{chdir, chroot};
//]
use std::path::Path;
use v1_chroot::ContainerArgs;

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
    let container = Container::spawn(|| {
        change_root(&rootfs)?;
        exec(&args.container.command)
    })?;
    container.wait()
}

fn change_root(rootfs: &Path) -> Result<()> {
    //[ starter
    // YOUR TURN: after this, the process must stand in the root directory of the container.
    chroot(rootfs).with_context(|| format!("cannot chroot to {rootfs:?}"))
    //[ solution
    chroot(rootfs).with_context(|| format!("cannot chroot to {rootfs:?}"))?;
    chdir("/").context("cannot enter the new root")
    //[ fault before
    chdir("/").context("cannot enter the new root")?;
    chroot(rootfs).with_context(|| format!("cannot chroot to {rootfs:?}"))
    //[ fault old-path
    chroot(rootfs).with_context(|| format!("cannot chroot to {rootfs:?}"))?;
    chdir(rootfs).context("cannot enter the new root")
    //]
}
