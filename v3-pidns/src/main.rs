//! Step 3: a process with its own process numbers. `v3-pidns --help` tells the options.

use anyhow::Result;
use clap::Parser;
use launcher::{Container, become_root, exec, finish, parse};
use v1_chroot::ContainerArgs;
use v2_mountns::volume::VolumeArgs;
use v2_mountns::{CloneFlags, NewRoot, private_mounts, unshare};
use v3_pidns::{InitArgs, fork_into_pid_namespace};

/// Run a command with its own root directory, mounts and process numbers
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    container: ContainerArgs,
    #[command(flatten)]
    volumes: VolumeArgs,
    #[command(flatten)]
    init: InitArgs,
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
        fork_into_pid_namespace()?;
        unshare(CloneFlags::CLONE_NEWNS)?;
        private_mounts()?;
        let root = NewRoot::bind(&rootfs)?;
        root.mount_proc()?;
        root.mount_dev()?;
        root.mount_volumes(&args.volumes)?;
        root.pivot()?;
        args.init.fork()?;
        exec(&args.container.command)
    })?;
    container.wait()
}
// ANCHOR_END: run
