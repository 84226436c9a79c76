//! Network is unreachable, even to oneself
//!
//! The launcher below gives its container a network namespace, and wants its loopback up. As an
//! ordinary user you get EPERM; as root it starts, and still, inside, nothing answers:
//!
//!     cd exercises && cargo root -q --bin loopback -- ping -c 1 127.0.0.1
//!
//! Set up the loopback device of the container. (The check needs no root.)

use anyhow::{Context, Result, ensure};
use clap::Parser;
use launcher::{Container, become_root, exec, finish, parse};
use nix::sched::{CloneFlags, unshare};
use std::path::Path;
use std::process::Command;
use v1_chroot::{ContainerArgs, enter_rootfs};

/// Run a command with its own root directory and network
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
    set_up("lo", &rootfs)?;
    //[ solution
    //]
    let container = Container::spawn(|| {
        //[ starter
        unshare(CloneFlags::CLONE_NEWNET).context("cannot make a network namespace")?;
        //[ solution
        unshare(CloneFlags::CLONE_NEWNET).context("cannot make a network namespace")?;
        set_up("lo", &rootfs)?;
        //[ fault twice
        unshare(CloneFlags::CLONE_NEWNET).context("cannot make a network namespace")?;
        set_up("lo", &rootfs)?;
        unshare(CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWNET)
            .context("cannot make namespaces")?;
        //[ fault host-network
        unshare(CloneFlags::CLONE_NEWUTS).context("cannot make a UTS namespace")?;
        set_up("lo", &rootfs)?;
        //]
        enter_rootfs(&rootfs)?;
        exec(&args.container.command)
    })?;
    container.wait()
}

/// Sets a link up, in the network of this process. (`ip` does it by rtnetlink(7).)
fn set_up(link: &str, rootfs: &Path) -> Result<()> {
    let mut ip = Command::new(rootfs.join("bin/busybox"));
    ip.args(["ip", "link", "set", link, "up"]);
    let status = ip.status().with_context(|| format!("cannot run ip for {link}"))?;
    ensure!(status.success(), "cannot set {link} up: ip says why, above");
    Ok(())
}
