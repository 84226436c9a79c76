//! Which layer wins?
//!
//! An image lists its layers from the bottom to the top: each one changes what those before it
//! have. The launcher below takes them in that order, above the rootfs:
//!
//!     mkdir -p /tmp/below /tmp/above; echo old > /tmp/below/page; echo new > /tmp/above/page
//!     cd exercises && cargo run -q --bin layer-order -- \
//!         --layer /tmp/below --layer /tmp/above cat /page
//!
//! You see the old page. Mount the layers such that the last one is on top. What the container
//! writes goes to none of them: keep it that way.

use anyhow::{Context, Result};
use clap::Parser;
use launcher::{Container, become_root, exec, finish, parse};
use nix::mount::{MsFlags, mount};
use std::fs;
use std::path::{Path, PathBuf};
use v1_chroot::{ContainerArgs, enter_rootfs};
use v2_mountns::{CloneFlags, private_mounts, unshare};

/// Run a command on top of layers
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    container: ContainerArgs,

    /// A layer above those before it; the rootfs is below them all
    #[arg(long = "layer", value_name = "DIR")]
    layers: Vec<PathBuf>,
}

fn main() {
    finish(run())
}

fn run() -> Result<u8> {
    let (args, caller) = parse::<Args>()?;
    let rootfs = rootfs::prepare(&caller, args.container.rootfs.as_deref())?;
    become_root(caller)?;
    let container = Container::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNS)?;
        private_mounts()?;
        mount_layers(&rootfs, &args.layers)?;
        enter_rootfs(&rootfs)?;
        exec(&args.container.command)
    })?;
    container.wait()
}

/// Mounts an overlay of all layers on the rootfs, which is the lowest of them (mount(8), overlay).
fn mount_layers(rootfs: &Path, layers: &[PathBuf]) -> Result<()> {
    // What the container writes goes to memory, and is gone with it. In this mount namespace only,
    // /mnt is the place for it.
    mount_new("tmpfs", Path::new("/mnt"), "")?;
    for name in ["/mnt/upper", "/mnt/work"] {
        fs::create_dir(name).with_context(|| format!("cannot make {name}"))?;
    }
    let all = [&[rootfs.to_owned()], layers].concat();
    //[ starter
    // YOUR TURN: overlayfs has its own idea of which one is on top.
    let lower: Vec<_> = all.iter().map(|layer| layer.display().to_string()).collect();
    let upper = Path::new("/mnt/upper");
    //[ solution
    let lower: Vec<_> = all.iter().rev().map(|layer| layer.display().to_string()).collect();
    let upper = Path::new("/mnt/upper");
    //[ fault top-only
    let lower: Vec<_> = all.last().iter().map(|layer| layer.display().to_string()).collect();
    let upper = Path::new("/mnt/upper");
    //[ fault written
    let lower: Vec<_> = all.iter().rev().skip(1).map(|it| it.display().to_string()).collect();
    let upper = all.last().context("no layer")?.as_path();
    let work = upper.with_file_name("work");
    fs::create_dir_all(&work).context("cannot make the work directory")?;
    //]
    let lower = lower.join(":");
    //[ starter
    let work = Path::new("/mnt/work");
    //[ solution
    let work = Path::new("/mnt/work");
    //[ fault top-only
    let work = Path::new("/mnt/work");
    //[ fault written
    //]
    // userxattr: it works without real root, too.
    let (upper, work) = (upper.display(), work.display());
    let options = format!("userxattr,lowerdir={lower},upperdir={upper},workdir={work}");
    mount_new("overlay", rootfs, &options)
}

/// Mounts a new file system of this type.
fn mount_new(kind: &str, target: &Path, options: &str) -> Result<()> {
    mount(Some(kind), target, Some(kind), MsFlags::empty(), Some(options))
        .with_context(|| format!("cannot mount {kind} on {target:?} ({options})"))
}
