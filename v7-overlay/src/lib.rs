//! Step 7: layers. Images, one directory for each of their layers, and a writable layer that goes
//! away (overlayfs: the kernel's Documentation/filesystems/overlayfs.rst).
//!
//! The new idea is [`Overlay::mount`]: one mount shows many directories as one, and puts what is
//! written into another. The modules around it:
//!
//! | module | what it does |
//! |---|---|
//! | [`arguments`] | the options |
//! | [`layers`] | which directories the layers are: `--image`, `--layer` or a rootfs |
//! | [`upper`] | the directory that takes the writes, in memory or `--upper` |
//! | `directory` | a directory, opened for overlayfs |
//! | `changes` | what a container added, changed and deleted: `--changes` |
//! | [`process`] | how an image wants its command to be run: user, directory, environment |

pub mod arguments;
mod changes;
mod directory;
pub mod layers;
pub mod process;
pub mod upper;

pub use arguments::{OverlayArgs, ProcessArgs};
pub use layers::Layers;
pub use process::exec_in_image;

use crate::directory::{number, open};
use crate::upper::Upper;
use anyhow::{Context, Result, ensure};
use image::MAX_LAYERS;
use image::cache::Unpacked;
use image::rights::Rights;
use launcher::lookup::by_descriptor;
use launcher::mountinfo::{self, mounts_of};
use launcher::{Advise, AsRoot};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use std::env::set_current_dir;
use std::fs::{self, File};
use std::path::PathBuf;
use v2_mountns::Mount;

/// A root directory of several layers: the lower ones are only read, the upper one takes the
/// writes.
#[derive(Debug)]
pub struct Overlay {
    /// The lower layers, the first one on top.
    lower: Vec<PathBuf>,
    /// The one of them whose root directory is that of all.
    root: PathBuf,
    upper: Upper,
    rights: Rights,
}

impl Overlay {
    // ANCHOR: create
    /// Gets the layers ready: those of an image are unpacked if the cache has not got them.
    /// To be called by the supervisor.
    ///
    /// # Errors
    /// If there are too many layers, or an image is damaged, too large or hostile.
    pub fn create(_as_root: &AsRoot, layers: &Layers, args: &OverlayArgs) -> Result<Overlay> {
        let rights = Rights::of_this_process()?;
        let count = layers.count();
        ensure!(count <= MAX_LAYERS, "{count} layers are too many: overlayfs takes {MAX_LAYERS}");
        let Unpacked { layers: lower, root } = layers.directories(&rights, args.max_size)?;
        let upper = Upper::create(args, layers, &root, &rights)?;
        Ok(Overlay { lower, root, upper, rights })
    }
    // ANCHOR_END: create

    // ANCHOR: mount
    /// Mounts the layers as one directory. To be called by the child, in its own mount namespace.
    ///
    /// mount(2) takes its options as one text of at most a page (4096 bytes), and cuts what is
    /// longer without a word; 40 names of layers are that long. So the directories are opened, and
    /// the text holds the numbers of their descriptors: each is a link in /proc/self/fd. That way a
    /// `:` or `,` in a path does no harm either.
    ///
    /// # Errors
    /// EINVAL if the upper directory is on a file system that cannot be one.
    pub fn mount(&self) -> Result<Mount> {
        let layers = self.lower.iter().map(|layer| open(layer)).collect::<Result<Vec<_>>>()?;
        let root = open(&self.root)?;
        let on_disk = self.upper.open_on_disk(&root, &self.rights)?;
        let tmpfs = mount_tmpfs(&layers[0])?; // create() has refused an overlay without layers
        let directory = by_descriptor(&tmpfs);
        let (upper, work) = match on_disk {
            Some(on_disk) => on_disk,
            None => self.upper.make_in(&directory, &root, &self.rights)?,
        };
        let merged = directory.join("merged");
        fs::create_dir(&merged).context("cannot make a mount point")?;
        let place = open(&merged)?;

        let lower = layers.iter().map(number).collect::<Vec<_>>().join(":");
        let [upper, work, target] = [&upper, &work, &place].map(number);
        let more = self.rights.xattrs.mount_options();
        let options = format!("lowerdir={lower},upperdir={upper},workdir={work},{more}");
        ensure!(options.len() < 4096, "the options of mount(2) are too long, with {lower}");
        mount_in_proc(&target, &options)?
            .advise(|errno| self.cure(errno))
            .with_context(|| format!("cannot mount an overlay of {} layers", self.lower.len()))?;
        Ok(Mount::of_root(open(&merged)?.into()))
    }
    // ANCHOR_END: mount

    // ANCHOR: cure
    /// mount(2) answers with a number; overlayfs tells its reason only to the kernel's log.
    fn cure(&self, errno: Errno) -> String {
        match errno {
            Errno::ENODEV => "this kernel has no overlayfs: sudo modprobe overlay".to_owned(),
            Errno::EPERM => "without root overlayfs needs Linux 5.11 or newer".to_owned(),
            Errno::ELOOP => "the same directory is given twice".to_owned(),
            _ => self.upper.why_not().or_else(|| self.mount_in_a_layer()).unwrap_or_else(|| {
                "a layer on overlayfs that is on overlayfs itself? The kernel's log says more"
                    .to_owned()
            }),
        }
    }
    // ANCHOR_END: cure

    /// overlayfs looks below what is mounted in a layer. That could show what somebody has covered
    /// with good reason, so without root the kernel refuses it (EINVAL).
    fn mount_in_a_layer(&self) -> Option<String> {
        let is_covered = |mount: &mountinfo::Mount| {
            let is_below = |layer: &PathBuf| mount.mount_point.starts_with(layer);
            self.lower.iter().any(|layer| mount.mount_point != *layer && is_below(layer))
        };
        let covered = mounts_of("self").ok()?.into_iter().find(is_covered)?.mount_point;
        Some(format!("{covered:?} in a layer is a mount point: without root that is refused"))
    }

    /// Prints what the container added, changed and deleted, if that was asked for. To be called
    /// when the container has ended.
    ///
    /// # Errors
    /// Those of reading the upper directory.
    pub fn print_changes(&self) -> Result<()> {
        match self.upper.directory()? {
            Some(upper) => changes::print(&upper, &self.lower, self.rights.xattrs),
            None => Ok(()),
        }
    }
}

// ANCHOR: mount_in_proc
/// mount(2) of an overlay, with options and target that are names in /proc/self/fd: the numbers of
/// descriptors. They are seen from the current directory, so that one is there for this call. The
/// inner result is the mount's own.
fn mount_in_proc(target: &str, options: &str) -> Result<nix::Result<()>> {
    set_current_dir("/proc/self/fd").context("cannot enter /proc/self/fd")?;
    let mounted = mount(Some("overlay"), target, Some("overlay"), MsFlags::empty(), Some(options));
    set_current_dir("/").context("cannot leave /proc/self/fd")?;
    Ok(mounted)
}
// ANCHOR_END: mount_in_proc

// ANCHOR: mount_tmpfs
/// Mounts a file system in memory. It holds the mount point and, without `--upper`, what the
/// container writes. It is in the container's mount namespace only, so it goes when the container
/// does, whatever happens to us.
///
/// It needs a place; `cover` is a directory that has one, and whose name nobody will need any more.
fn mount_tmpfs(cover: &File) -> Result<Mount> {
    // Half of the memory at most, the kernel's own choice; with a limit of memory (v6) on the
    // container, what it writes here counts.
    Mount::new("tmpfs", MsFlags::empty(), "mode=700,size=50%")
        .and_then(|tmpfs| tmpfs.attach(cover).map(|()| tmpfs))
        .context("cannot mount tmpfs on the top layer")
}
// ANCHOR_END: mount_tmpfs
