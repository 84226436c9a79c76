//! The options that are cut
//!
//! The launcher below mounts every directory of one directory as a layer, the last name on top. It
//! works with a few of them, and with long names it does not work with many:
//!
//!     for i in $(seq 1001 1100); do mkdir -p /tmp/many/$i-$(printf %050d $i); done
//!     cd exercises && cargo run -q --bin many-layers -- --layers /tmp/many true
//!
//! "ENOENT: No such file or directory", and all of them are there. mount(2) takes its options as
//! one text, of which it reads a page, 4096 bytes: what is longer is cut without a word, here in
//! the middle of a name. Let the launcher mount a hundred layers, whatever their names are.

use anyhow::{Context, Result};
use clap::Parser;
use launcher::{Container, become_root, exec, finish, parse};
use nix::mount::{MsFlags, mount};
//[ starter
use std::fs;
//[ solution
use std::env::set_current_dir;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
//[ fault only-what-fits
use std::fs;
//[ fault renamed
use std::env::set_current_dir;
use std::fs;
//]
use std::path::{Path, PathBuf};
use v1_chroot::{ContainerArgs, enter_rootfs};
use v2_mountns::{CloneFlags, private_mounts, unshare};

/// Run a command in many layers
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    container: ContainerArgs,

    /// A directory full of layers, which go over the rootfs, the last name on top
    #[arg(long)]
    layers: PathBuf,
}

fn main() {
    finish(run())
}

fn run() -> Result<u8> {
    let (args, caller) = parse::<Args>()?;
    let rootfs = rootfs::prepare(&caller, args.container.rootfs.as_deref())?;
    become_root(caller)?;
    let layers = from_top_to_bottom(&args.layers, &rootfs)?;
    let container = Container::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNS)?;
        private_mounts()?;
        mount_layers(&layers, &rootfs)?;
        enter_rootfs(&rootfs)?;
        exec(&args.container.command)
    })?;
    container.wait()
}

/// The layers and the rootfs, in the order of lowerdir.
fn from_top_to_bottom(directory: &Path, rootfs: &Path) -> Result<Vec<PathBuf>> {
    let cannot = || format!("cannot read the directory {directory:?}");
    let entries = fs::read_dir(directory).with_context(cannot)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut layers = paths.collect::<Result<Vec<_>, _>>().with_context(cannot)?;
    layers.sort();
    layers.reverse();
    layers.push(rootfs.to_owned());
    Ok(layers)
}

/// Mounts the layers as one, in the place of the rootfs.
fn mount_layers(layers: &[PathBuf], rootfs: &Path) -> Result<()> {
    //[ starter
    // YOUR TURN: how long is this text?
    let names: Vec<_> = layers.iter().map(|layer| layer.display().to_string()).collect();
    //[ solution
    let open = |layer| File::open(layer).with_context(|| format!("cannot open {layer:?}"));
    let opened = layers.iter().map(open).collect::<Result<Vec<_>>>()?;
    // Each descriptor is a link in there, by its number (proc_pid_fd(5)).
    set_current_dir("/proc/self/fd").context("cannot enter /proc/self/fd")?;
    let names: Vec<_> = opened.iter().map(|layer| layer.as_raw_fd().to_string()).collect();
    //[ fault only-what-fits
    let mut names: Vec<_> = layers.iter().map(|layer| layer.display().to_string()).collect();
    while names.join(":").len() > 4000 {
        names.remove(names.len() - 2);
    }
    //[ fault renamed
    let mut names = Vec::new();
    for (number, layer) in layers.iter().enumerate().take(layers.len() - 1) {
        let short = layer.with_file_name(number.to_string());
        fs::rename(layer, short).context("cannot rename a layer")?;
        names.push(number.to_string());
    }
    set_current_dir(layers[0].parent().context("no layer")?).context("cannot go there")?;
    names.push(rootfs.display().to_string());
    //]
    let options = format!("lowerdir={}", names.join(":"));
    let (kind, flags) = (Some("overlay"), MsFlags::empty());
    mount(Some("overlay"), rootfs, kind, flags, Some(options.as_str()))
        .with_context(|| format!("cannot mount {} layers", layers.len()))
}
