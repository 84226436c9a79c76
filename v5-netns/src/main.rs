//! Step 5: a process with its own network. `v5-netns --help` tells the options.

use anyhow::Result;
use clap::Parser;
use launcher::{Container, become_root, exec, finish, parse};
use v1_chroot::ContainerArgs;
use v2_mountns::volume::VolumeArgs;
use v2_mountns::{CloneFlags, NewRoot, private_mounts, unshare};
use v3_pidns::{InitArgs, fork_into_pid_namespace};
use v4_utsns::{HostnameArgs, set_hostname};
use v5_netns::{Network, NetworkArgs};

/// Run a command with its own root directory, mounts, process numbers, hostname and network
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    container: ContainerArgs,
    #[command(flatten)]
    volumes: VolumeArgs,
    #[command(flatten)]
    init: InitArgs,
    #[command(flatten)]
    uts: HostnameArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

fn main() {
    finish(run())
}

// ANCHOR: run
fn run() -> Result<u8> {
    let (args, caller) = parse::<Args>()?;
    let rootfs = rootfs::prepare(&caller, args.container.rootfs.as_deref())?;
    let as_root = become_root(caller)?;
    let network = Network::create(&as_root, &args.network)?;
    let container = Container::spawn(|| {
        fork_into_pid_namespace()?;
        network.enter()?;
        unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS)?;
        set_hostname(&args.uts.hostname)?;
        private_mounts()?;
        let root = NewRoot::bind(&rootfs)?;
        root.mount_proc()?;
        root.mount_dev()?;
        network.mount_into(&root, &args.uts.hostname)?;
        root.mount_volumes(&args.volumes)?;
        root.pivot()?;
        args.init.fork()?;
        exec(&args.container.command)
    })?;
    container.wait()
}
// ANCHOR_END: run
