//! How to delete what one cannot change
//!
//! A layer of an image can delete a file of a layer below: it then has an empty file `.wh.NAME`,
//! a mark for whoever unpacks it. overlayfs does not know that mark. Look:
//!
//!     mkdir -p /tmp/layer; touch /tmp/layer/.wh.etc
//!     cd exercises && cargo run -q --bin whiteout -- --layer /tmp/layer ls -A /
//!
//! The directory etc is still there, and so is the mark. Write what overlayfs understands, before
//! it is mounted. (For the top directory of the layer; an unpacker does it everywhere.) The layer
//! below belongs to other containers, too.

use anyhow::{Context, Result};
use clap::Parser;
use launcher::{Container, become_root, exec, finish, parse};
use nix::mount::{MsFlags, mount};
//[ solution
use nix::sys::stat::{Mode, SFlag, mknod};
//[ starter
//[ fault deleted-below
//[ fault empty-file
//]
use std::fs;
use std::path::{Path, PathBuf};
use v1_chroot::{ContainerArgs, enter_rootfs};
use v2_mountns::{CloneFlags, private_mounts, unshare};

/// Run a command on top of a layer
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    container: ContainerArgs,

    /// The layer, unpacked; the rootfs is below it
    #[arg(long, value_name = "DIR")]
    layer: PathBuf,
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
        for name in marked(&args.layer)? {
            delete(&rootfs, &args.layer, &name)?;
        }
        mount_layers(&rootfs, &args.layer)?;
        enter_rootfs(&rootfs)?;
        exec(&args.container.command)
    })?;
    container.wait()
}

/// NAME of each `.wh.NAME` in the top directory of the layer.
fn marked(layer: &Path) -> Result<Vec<String>> {
    let cannot = || format!("cannot read {layer:?}");
    let mut names = Vec::new();
    for entry in fs::read_dir(layer).with_context(cannot)? {
        let name = entry.with_context(cannot)?.file_name();
        names.extend(name.to_str().and_then(|name| name.strip_prefix(".wh.")).map(str::to_owned));
    }
    Ok(names)
}

/// Deletes `name` for who sees the rootfs through the layer.
fn delete(rootfs: &Path, layer: &Path, name: &str) -> Result<()> {
    //[ starter
    // YOUR TURN: what does overlayfs take for a deleted file?
    let _ = (rootfs, layer, name);
    Ok(())
    //[ solution
    let _ = rootfs;
    let mark = layer.join(format!(".wh.{name}"));
    fs::remove_file(&mark).with_context(|| format!("cannot remove {mark:?}"))?;
    let whiteout = layer.join(name);
    mknod(&whiteout, SFlag::S_IFCHR, Mode::empty(), 0)
        .with_context(|| format!("cannot make the whiteout {whiteout:?}"))
    //[ fault deleted-below
    let mark = layer.join(format!(".wh.{name}"));
    fs::remove_file(&mark).with_context(|| format!("cannot remove {mark:?}"))?;
    let below = rootfs.join(name);
    fs::remove_file(&below).with_context(|| format!("cannot remove {below:?}"))
    //[ fault empty-file
    let _ = rootfs;
    let mark = layer.join(format!(".wh.{name}"));
    fs::rename(&mark, layer.join(name)).with_context(|| format!("cannot rename {mark:?}"))
    //[ fault mark-stays
    let _ = rootfs;
    let whiteout = layer.join(name);
    mknod(&whiteout, SFlag::S_IFCHR, Mode::empty(), 0)
        .with_context(|| format!("cannot make the whiteout {whiteout:?}"))
    //]
}

/// Mounts an overlay of both on the rootfs (mount(8), overlay).
fn mount_layers(rootfs: &Path, layer: &Path) -> Result<()> {
    // What the container writes goes to memory, and is gone with it. In this mount namespace only,
    // /mnt is the place for it.
    mount_new("tmpfs", Path::new("/mnt"), "")?;
    for name in ["/mnt/upper", "/mnt/work"] {
        fs::create_dir(name).with_context(|| format!("cannot make {name}"))?;
    }
    let (layer, below) = (layer.display(), rootfs.display());
    // userxattr: it works without real root, too.
    let options =
        format!("userxattr,lowerdir={layer}:{below},upperdir=/mnt/upper,workdir=/mnt/work");
    mount_new("overlay", rootfs, &options)
}

/// Mounts a new file system of this type.
fn mount_new(kind: &str, target: &Path, options: &str) -> Result<()> {
    mount(Some(kind), target, Some(kind), MsFlags::empty(), Some(options))
        .with_context(|| format!("cannot mount {kind} on {target:?} ({options})"))
}
