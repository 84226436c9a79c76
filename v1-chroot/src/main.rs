//! Step 1: a process with its own root directory. `v1-chroot --help` tells the options.

use anyhow::Result;
use clap::Parser;
use launcher::{Container, become_root, exec, finish, parse};
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

// ANCHOR: run
fn run() -> Result<u8> {
    let (args, caller) = parse::<Args>()?;
    let rootfs = rootfs::prepare(&caller, args.container.rootfs.as_deref())?;
    become_root(caller)?;
    let container = Container::spawn(|| {
        enter_rootfs(&rootfs)?;
        exec(&args.container.command)
    })?;
    container.wait()
}
// ANCHOR_END: run
