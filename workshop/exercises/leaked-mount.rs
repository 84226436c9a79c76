//! A mount that leaks out of its namespace
//!
//! The launcher below takes a mount namespace and gives the container a /tmp and a /run in memory.
//! One expects them to be visible inside only. On a machine with systemd they appear on the host
//! as well, and stay there when the container has ended.
//!
//! `cargo workshop check leaked-mount` makes a host with shared mounts and shows you. (By hand, as
//! an ordinary user, you see no leak: what a user namespace gets are copies that listen to the
//! host, but do not answer.)
//!
//! Make the mounts stay inside, and leave the host's own mounts as they are.

use anyhow::{Context, Result};
use clap::Parser;
use launcher::{Container, become_root, exec, finish, parse};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use std::path::Path;
use v1_chroot::{ContainerArgs, enter_rootfs};

/// Run a command with its own root directory and mounts
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
    //[ fault too-early
    make_private()?;
    //[ solution
    //]
    let container = Container::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNS).context("cannot make a mount namespace")?;
        //[ starter
        // YOUR TURN: what is mounted from here on must stay in this namespace.
        mount_in_memory(&rootfs.join("tmp"))?;
        //[ solution
        make_private()?;
        mount_in_memory(&rootfs.join("tmp"))?;
        //[ fault too-late
        mount_in_memory(&rootfs.join("tmp"))?;
        make_private()?;
        //[ fault too-early
        mount_in_memory(&rootfs.join("tmp"))?;
        //]
        mount_in_memory(&rootfs.join("run"))?;
        enter_rootfs(&rootfs)?;
        exec(&args.container.command)
    })?;
    container.wait()
}

/// Mounts an empty file system.
fn mount_in_memory(path: &Path) -> Result<()> {
    mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::MS_NOSUID, Some("mode=1777"))
        .with_context(|| format!("cannot mount tmpfs on {path:?}"))
}
//[ solution

/// Cuts all mounts of this namespace off from their copies in others.
fn make_private() -> Result<()> {
    let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, flags, None::<&str>)
        .context("cannot make the mounts private")
}
//]
