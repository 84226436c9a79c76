//! Step 7: a process with layers. `v7-overlay --help` tells the options.

use anyhow::Result;
use clap::Parser;
use launcher::{Container, become_root_with_subordinate_ids, finish, parse};
use v1_chroot::ContainerArgs;
use v2_mountns::volume::VolumeArgs;
use v2_mountns::{CloneFlags, NewRoot, private_mounts, unshare};
use v3_pidns::{InitArgs, fork_into_pid_namespace};
use v4_utsns::{HostnameArgs, set_hostname};
use v5_netns::{Network, NetworkArgs};
use v6_cgroups::{Cgroup, Limits};
use v7_overlay::{Layers, Overlay, OverlayArgs, ProcessArgs, exec_in_image};

/// Run a command, or an image, with its own files, mounts, process numbers, hostname, network and
/// limits. It is no sandbox: run as root only what you trust
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
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    overlay: OverlayArgs,
    #[command(flatten)]
    process: ProcessArgs,
}

fn main() {
    finish(run())
}

// ANCHOR: run
fn run() -> Result<u8> {
    let (args, caller) = parse::<Args>()?;
    let layers = Layers::find(&caller, &args.overlay, args.container.rootfs.as_deref())?;
    let as_root = become_root_with_subordinate_ids(caller)?;
    let network = Network::create(&as_root, &args.network)?;
    let cgroup = Cgroup::create(&as_root, &args.limits)?;
    let overlay = Overlay::create(&as_root, &layers, &args.overlay)?;
    // ANCHOR: recipe
    let container = Container::spawn(|| {
        fork_into_pid_namespace()?;
        cgroup.enter()?;
        network.enter()?;
        unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS)?;
        set_hostname(&args.uts.hostname)?;
        private_mounts()?;
        let root = NewRoot::of(overlay.mount()?);
        root.mount_proc()?;
        root.mount_dev()?;
        network.mount_into(&root, &args.uts.hostname)?;
        cgroup.mount_into(&root)?;
        root.mount_volumes(&args.volumes)?;
        root.pivot()?;
        args.init.fork()?;
        exec_in_image(&layers.config(), &args.process, &args.container.command)
    })?;
    // ANCHOR_END: recipe
    let status = container.wait()?;
    cgroup.report()?;
    overlay.print_changes()?;
    Ok(status)
}
// ANCHOR_END: run
