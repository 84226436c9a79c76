//! The upper directory: where the writes of a container go.

use crate::arguments::OverlayArgs;
use crate::directory;
use crate::layers::Layers;
use anyhow::{Context, Result, bail, ensure};
use image::attributes::copy_attributes_of_root;
use image::rights::Rights;
use image::temporary::Temporary;
use image::xattrs::{Xattrs, tmpfs_has_user_attributes};
use launcher::command_line::{note, tell_left_behind};
use launcher::handover::{receive_descriptor, send_descriptor};
use launcher::locked_directory::{Attempt, LockedDirectory};
use launcher::lookup::{self, by_descriptor};
use launcher::{Advise, remove_tree};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, ResolveFlag};
use nix::sys::statfs::{FsType, statfs};
use nix::unistd::geteuid;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// Where the writes go.
#[derive(Debug)]
pub struct Upper {
    storage: Storage,
    /// Through these the child hands its upper directory, which only it can see, to the supervisor.
    handover: Option<(UnixDatagram, UnixDatagram)>,
}

// ANCHOR: place
#[derive(Debug)]
enum Storage {
    /// In memory, new for each mount.
    Memory,
    /// New for each mount too, but on disk, in the cache. In a user namespace overlayfs needs
    /// `user.*` attributes, and tmpfs has had those since Linux 6.6 only.
    Disk(Temporary),
    /// `--upper`.
    Kept(Kept),
}
// ANCHOR_END: place

/// A directory of the user's.
#[derive(Debug)]
struct Kept {
    directory: PathBuf,
    /// Where overlayfs prepares what it then renames into the upper directory. It must be on the
    /// same mount, and not in the upper directory itself: it is beside it.
    work: PathBuf,
    /// Two overlays with one upper directory would spoil each other.
    _lock: LockedDirectory,
}

impl Upper {
    /// Makes what has to be there before the child is: `--upper` and `--changes`.
    pub(crate) fn create(
        args: &OverlayArgs,
        layers: &Layers,
        root: &Path,
        rights: &Rights,
    ) -> Result<Upper> {
        let storage = match &args.upper {
            Some(directory) => Storage::Kept(Kept::lock(directory, root, rights)?),
            None if rights.xattrs == Xattrs::User && !tmpfs_has_user_attributes() => {
                Storage::Disk(on_disk(&layers.cache("upper")?, rights)?)
            }
            None => Storage::Memory,
        };
        let handover = match args.changes {
            true => Some(UnixDatagram::pair().context("cannot make a pair of sockets")?),
            false => None,
        };
        Ok(Upper { storage, handover })
    }

    /// Opens the upper and its work directory, if they are on disk. `None` if they are to be in
    /// memory.
    pub(crate) fn open_on_disk(
        &self,
        root: &File,
        rights: &Rights,
    ) -> Result<Option<(File, File)>> {
        match &self.storage {
            Storage::Memory => Ok(None),
            Storage::Kept(Kept { directory, work, .. }) => {
                Ok(Some((open(directory, OFlag::O_PATH)?, open_work(work)?)))
            }
            Storage::Disk(temporary) => {
                temporary.empty()?; // of what the container wrote before it was started again
                self.make_in(temporary.path(), root, rights).map(Some)
            }
        }
    }

    // ANCHOR: make_in
    /// Makes `upper` and `work` in this directory, and opens them.
    ///
    /// The root directory of a container is the upper one: it gets the attributes of the image's.
    pub(crate) fn make_in(
        &self,
        directory: &Path,
        root: &File,
        rights: &Rights,
    ) -> Result<(File, File)> {
        let (upper, work) = (directory.join("upper"), directory.join("work"));
        fs::create_dir(&upper)
            .and_then(|()| fs::create_dir(&work))
            .with_context(|| format!("cannot make {upper:?}"))?;
        copy_attributes_of_root(&by_descriptor(root).join("."), &upper, rights)?;
        let opened = File::open(&upper).context("cannot open the upper directory")?;
        if let Some((_, child)) = &self.handover {
            send_descriptor(child, &opened).context("cannot hand over the upper directory")?;
        }
        Ok((opened, directory::open(&work)?))
    }
    // ANCHOR_END: make_in

    /// The upper directory, if it is to be read at the end. In the supervisor, once.
    pub(crate) fn directory(&self) -> Result<Option<OwnedFd>> {
        let Some((supervisor, _)) = &self.handover else { return Ok(None) };
        if let Storage::Kept(Kept { directory, .. }) = &self.storage {
            return Ok(Some(open(directory, OFlag::O_RDONLY)?.into()));
        }
        match receive_descriptor(supervisor) {
            // Nothing was sent: the container came to its end before it had one, and has said why.
            Err(Errno::EAGAIN) => Ok(None),
            failed => failed.map(Some).context("cannot receive the upper directory"),
        }
    }

    /// What the file system of the upper directory is, if it is one that cannot be used so.
    pub(crate) fn why_not(&self) -> Option<String> {
        let directory = match &self.storage {
            Storage::Memory => return None,
            Storage::Kept(kept) => kept.directory.as_path(),
            Storage::Disk(temporary) => temporary.path(),
        };
        let kind = kind_that_cannot(statfs(directory).ok()?.filesystem_type())?;
        Some(format!(
            "{directory:?} is on {kind}, which cannot hold an upper directory: give one on ext4, \
             xfs, btrfs or tmpfs"
        ))
    }
}

impl Kept {
    fn lock(directory: &Path, root: &Path, rights: &Rights) -> Result<Kept> {
        let cannot = || format!("cannot use {directory:?} as upper directory");
        match fs::create_dir(directory) {
            Ok(()) => copy_attributes_of_root(root, directory, rights)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made.advise(cure).with_context(cannot)?,
        }
        let directory = fs::canonicalize(directory).with_context(cannot)?;
        ensure!(
            fs::metadata(&directory).with_context(cannot)?.is_dir(),
            "{}: it is no directory (give one, or a name that is free)",
            cannot()
        );
        let Attempt::Taken(lock) = LockedDirectory::try_take(AT_FDCWD, &directory)? else {
            bail!("{}: a container is using it", cannot());
        };
        let (Some(parent), Some(name)) = (directory.parent(), directory.file_name()) else {
            bail!("{}: it has no directory around it", cannot());
        };
        let mut work = OsString::from(".");
        work.push(name);
        work.push(".work");
        let work = parent.join(work);
        // Left by a launcher that was killed, it is as good as new: overlayfs empties it. So one of
        // somebody else's, or a link of theirs to what is ours, would be emptied too.
        match fs::create_dir(&work) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made
                .advise(cure)
                .with_context(|| format!("cannot make the work directory {work:?}"))?,
        }
        open_work(&work)?;
        if everybody_can_enter(&directory) {
            note(format_args!(
                "everybody on this host can enter {directory:?}: a set-uid program that the \
                 container leaves in it is one of yours, or of your range of ids, and they can run \
                 it (give a directory in one that only you can enter: mkdir -m 700)"
            ));
        }
        Ok(Kept { directory, work, _lock: lock })
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // The next container uses it: that is no harm, but is not passed over in silence.
        tell_left_behind(remove_tree(&self.work));
    }
}

/// What to do where no upper directory can be made.
fn cure(errno: Errno) -> &'static str {
    match errno {
        Errno::ENOENT => "the directory around it is missing: mkdir -p",
        Errno::EACCES | Errno::EPERM | Errno::EROFS => "give one where this user may write",
        _ => "",
    }
}

/// Opens a directory whose path had no symbolic link in it when the launcher started.
fn open(directory: &Path, access: OFlag) -> Result<File> {
    let flags = access | OFlag::O_DIRECTORY;
    let opened = lookup::open_in(AT_FDCWD, directory, flags, ResolveFlag::RESOLVE_NO_SYMLINKS);
    let opened = opened.map(File::from).advise(|errno| match errno {
        Errno::ELOOP => "a symbolic link is on its path: remove it if it is not yours",
        Errno::ENOTDIR => "it is no directory: remove it if it is not needed",
        _ => "see openat2(2)",
    });
    opened.with_context(|| format!("cannot open {directory:?}"))
}

/// Opens the work directory, which must be ours: the kernel empties it with our rights.
fn open_work(work: &Path) -> Result<File> {
    let opened = open(work, OFlag::O_PATH).context("cannot use the work directory")?;
    let found = opened.metadata().with_context(|| format!("cannot look at {work:?}"))?;
    ensure!(
        found.uid() == geteuid().as_raw(),
        "cannot use {work:?} as work directory: it is somebody else's (give --upper a directory in \
         one where only you can write)"
    );
    Ok(opened)
}

// ANCHOR: everybody_can_enter
/// Whether users who are neither the owner nor in the group can name what is in `directory`: for
/// that they need the x of every directory on the way (path_resolution(7)).
///
/// The mode of the upper directory cannot keep them out. It is the mode of the container's `/`.
fn everybody_can_enter(directory: &Path) -> bool {
    let lets_in = |above: &Path| fs::metadata(above).is_ok_and(|found| found.mode() & 0o001 != 0);
    // Its own mode is the container's to change.
    directory.ancestors().skip(1).all(lets_in)
}
// ANCHOR_END: everybody_can_enter

fn on_disk(parent: &Path, rights: &Rights) -> Result<Temporary> {
    let temporary = Temporary::create(parent)?;
    if rights.xattrs.set_opaque(temporary.path()).is_err() {
        note(format_args!(
            "no user.* attributes in {parent:?}: a directory of a layer cannot be deleted and made \
             again (on ext4, xfs and btrfs it can)"
        ));
    }
    Ok(temporary)
}

/// The name of a file system that cannot hold an upper directory: it lacks extended attributes, or
/// whiteouts, or d_type in readdir(3).
fn kind_that_cannot(kind: FsType) -> Option<&'static str> {
    const KINDS: [(i64, &str); 6] = [
        (0x794c_7630, "overlayfs (inside a container?)"),
        (0x6969, "NFS"),
        (0x6573_5546, "FUSE"),
        (0x0102_1997, "9p"),
        (0x4d44, "FAT"),
        (0x5346_544e, "NTFS"),
    ];
    let found = KINDS.iter().find(|(magic, _)| i128::from(kind.0) == i128::from(*magic));
    found.map(|(_, name)| *name)
}
