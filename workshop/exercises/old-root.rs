//! The old root stays
//!
//! Out of a chroot(2) one can walk, out of a root by pivot_root(2) one cannot, because the host's
//! files are not there any more. If one finishes the work, that is. The launcher below does not:
//!
//!     cd exercises && cargo run -q --bin old-root -- ls /old
//!
//! shows the whole machine, and as root the container may write to it. Finish the work.
//!
//! (It leaves an empty directory in your rootfs. When you are done: `v1-chroot rmdir /old`.)

use anyhow::{Context, Result};
use clap::Parser;
use launcher::{Container, become_root, exec, finish, parse};
//[ starter
use nix::mount::{MsFlags, mount};
//[ solution
use nix::mount::{MntFlags, MsFlags, mount, umount2};
//[ fault covered
use nix::mount::{MsFlags, mount};
//]
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{chdir, pivot_root};
use std::fs;
use std::path::Path;
use v1_chroot::ContainerArgs;
use v2_mountns::private_mounts;

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
    let container = Container::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNS).context("cannot make a mount namespace")?;
        private_mounts()?;
        change_root(&rootfs)?;
        exec(&args.container.command)
    })?;
    container.wait()
}

fn change_root(rootfs: &Path) -> Result<()> {
    // pivot_root wants the new root to be a mount point.
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(rootfs), rootfs, None::<&str>, flags, None::<&str>)
        .with_context(|| format!("cannot bind {rootfs:?} onto itself"))?;
    let old = rootfs.join("old");
    fs::create_dir_all(&old).with_context(|| format!("cannot make {old:?}"))?;
    pivot_root(rootfs, &old).context("cannot pivot_root")?;
    //[ starter
    // YOUR TURN: the root is the new one, and the old one is /old. What is left to do?
    chdir("/").context("cannot enter the new root")
    //[ solution
    chdir("/").context("cannot enter the new root")?;
    umount2("/old", MntFlags::MNT_DETACH).context("cannot unmount the old root")
    //[ fault busy
    chdir("/").context("cannot enter the new root")?;
    umount2("/old", MntFlags::empty()).context("cannot unmount the old root")
    //[ fault covered
    chdir("/").context("cannot enter the new root")?;
    mount(Some("tmpfs"), "/old", Some("tmpfs"), MsFlags::empty(), None::<&str>)
        .context("cannot cover the old root")
    //[ fault still-inside
    chdir("/old/proc/self/cwd").context("cannot enter the working directory")?;
    umount2("/old", MntFlags::MNT_DETACH).context("cannot unmount the old root")
    //]
}
