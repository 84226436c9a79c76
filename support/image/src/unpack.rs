//! From a layer's tar archive to a directory.
//!
//! The archive is not trusted: its names may hold `..`, its links may point anywhere, and a link
//! made by one entry may stand in the path of the next. So nothing here follows a path by itself.
//! The directory of an entry is opened with openat2(2) and RESOLVE_IN_ROOT, for which the layer's
//! root is `/`, also for absolute links, which are legal. In that open directory the entry is made
//! under its last name, always new: what stands there is removed first, never written through.
//!
//! (The tar crate could unpack too, but not a layer: it leaves out devices and FIFOs and refuses
//! absolute links.)

mod attributes;
mod content;
mod hard_link;
mod left_out;
mod limits;
mod node;
mod paths;
mod times;
mod whiteout;

pub use left_out::LeftOut;
pub use limits::Allowance;

use crate::lower::is_whiteout;
use crate::rights::{Owners, Rights};
use anyhow::{Context, Result, bail, ensure};
use attributes::Attributes;
use launcher::lookup::{by_descriptor, is_directory, open_in};
use launcher::remove_tree;
use limits::Limited;
use nix::errno::Errno;
use nix::fcntl::{OFlag, ResolveFlag, openat};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, fchmodat, mkdirat, mknodat};
use nix::unistd::{UnlinkatFlags, symlinkat, unlinkat};
use node::{device_number, stat};
use paths::{check_depth, relative};
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use tar::EntryType;
use times::Times;

/// More entries than this are in no layer.
const MAX_ENTRIES: usize = 2_000_000;

/// A directory that is being filled from the archive of a layer.
#[derive(Debug)]
pub struct Unpacker {
    root: OwnedFd,
    rights: Rights,
    allowance: Allowance,
    /// The directory of the last entry: that of the next one is often the same.
    last: Option<(PathBuf, OwnedFd)>,
    /// When directories were changed; set at the end, since filling one changes its time.
    times: Times,
    /// What `.wh.` entries say is gone from lower layers.
    hidden: HashSet<PathBuf>,
    opaque: HashSet<PathBuf>,
    buffer: Vec<u8>,
    left_out: LeftOut,
}

impl Unpacker {
    /// Fills `root`, an empty directory. Without the machine's root there are no device nodes, and
    /// what belongs to others than the user namespace knows belongs to its root.
    pub fn new(root: OwnedFd, rights: &Rights, allowance: Allowance) -> Unpacker {
        Unpacker {
            root,
            rights: rights.clone(),
            allowance,
            last: None,
            times: Times::default(),
            hidden: HashSet::new(),
            opaque: HashSet::new(),
            buffer: vec![0; 1 << 16],
            left_out: LeftOut::default(),
        }
    }

    // ANCHOR: unpack
    /// Unpacks a whole archive. Returns what could not be made.
    ///
    /// # Errors
    /// What is wrong with which entry; the directory is of no use then.
    pub fn unpack<R: Read>(mut self, archive: R) -> Result<LeftOut> {
        let allowance = self.allowance.clone();
        let mut archive = tar::Archive::new(Limited::new(archive, allowance.clone()));
        let mut entries = archive.entries().context("it is no tar archive")?;
        for count in 0.. {
            ensure!(count < MAX_ENTRIES, "it has more than {MAX_ENTRIES} entries");
            allowance.limit_headers();
            let Some(entry) = entries.next() else { break };
            allowance.limit_content();
            let mut entry = entry.context("it is damaged")?;
            let path = PathBuf::from(OsString::from_vec(entry.path_bytes().into_owned()));
            self.unpack_entry(&path, &mut entry).with_context(|| format!("the entry {path:?}"))?;
        }
        allowance.limit_content();
        // What stands behind the last entry counts for the digest.
        io::copy(&mut archive.into_inner(), &mut io::sink()).context("it is damaged at its end")?;
        self.finish()?;
        Ok(self.left_out)
    }
    // ANCHOR_END: unpack

    fn unpack_entry<R: Read>(&mut self, path: &Path, entry: &mut tar::Entry<R>) -> Result<()> {
        let mut kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            return Ok(()); // a comment, such as git writes
        }
        if kind == EntryType::Regular && path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            kind = EntryType::Directory; // as the oldest tar programs wrote it
        }
        let path = relative(path)?;
        let attributes = Attributes::of(entry)?;
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            ensure!(kind == EntryType::Directory, "the root of a layer is no directory");
            return self.set_attributes_of_directory(Path::new("."), &attributes);
        };
        if let Some(deleted) = name.as_encoded_bytes().strip_prefix(b".wh.") {
            return self.white_out(parent, OsStr::from_bytes(deleted));
        }
        let directory = self.open_parent(parent)?;
        match kind {
            EntryType::Directory => {
                self.make_directory(&directory, &path, name)?;
                return self.set_attributes_of_directory(&path, &attributes);
            }
            EntryType::Link => return self.make_hard_link(&directory, name, entry),
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let file = self.make_file(&directory, name)?;
                self.fill(file, entry)?;
            }
            EntryType::Symlink => {
                let target = entry.link_name_bytes().context("it has no target")?;
                self.make(&directory, name, |directory| {
                    symlinkat(OsStr::from_bytes(&target), directory, name)
                })?;
            }
            EntryType::Fifo => self.make_node(&directory, name, SFlag::S_IFIFO, 0)?,
            EntryType::Char | EntryType::Block => {
                let number = device_number(entry.header(), kind)?;
                if self.rights.owners != Owners::All {
                    self.left_out.devices += 1;
                    return self.remove(&directory, name);
                }
                let kind = if kind == EntryType::Char { SFlag::S_IFCHR } else { SFlag::S_IFBLK };
                self.make_node(&directory, name, kind, number)?;
            }
            other => bail!("it is of the unknown type {:?}", char::from(other.as_byte())),
        }
        match kind {
            EntryType::Symlink => self.set_attributes_of_link(&directory, name, &attributes),
            _ => self.set_attributes(&directory, name, &attributes),
        }
    }

    /// Opens the directory of an entry, and makes what is missing of it.
    fn open_parent(&mut self, path: &Path) -> Result<OwnedFd> {
        if let Some((last, directory)) = &self.last
            && last == path
        {
            return directory.try_clone().context("cannot copy a descriptor");
        }
        let directory = match self.open(path) {
            Err(Errno::ENOENT | Errno::ENOTDIR) => self.make_parents(path)?,
            result => result.context("cannot open its directory")?,
        };
        check_depth(&directory)?;
        let copy = directory.try_clone().context("cannot copy a descriptor")?;
        self.last = Some((path.to_owned(), copy));
        Ok(directory)
    }

    // ANCHOR: open
    /// Opens a directory of the layer. Links and `..` in the path lead wherever they would lead if
    /// the layer were `/`.
    fn open(&self, path: &Path) -> nix::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        open_in(&self.root, path, flags, ResolveFlag::RESOLVE_IN_ROOT)
    }
    // ANCHOR_END: open

    /// Makes the directories that an archive should have had an entry for, as Docker makes them.
    fn make_parents(&mut self, path: &Path) -> Result<OwnedFd> {
        let mut so_far = PathBuf::new();
        let what = "cannot make its directory";
        let mut directory = self.open(&so_far).context(what)?;
        for name in path {
            so_far.push(name);
            let is_free = stat(&directory, name)?.is_none_or(|found| is_whiteout(&found));
            if is_free {
                self.make_directory(&directory, &so_far, name)?;
                let mode = Mode::from_bits_truncate(0o755);
                fchmodat(&directory, name, mode, FchmodatFlags::FollowSymlink).context(what)?;
            }
            directory = self.open(&so_far).context(what)?;
        }
        Ok(directory)
    }

    fn make_directory(&mut self, directory: &OwnedFd, path: &Path, name: &OsStr) -> Result<()> {
        let found = stat(directory, name)?;
        if found.as_ref().is_some_and(is_directory) {
            return Ok(());
        }
        let was_hidden = found.as_ref().is_some_and(is_whiteout);
        self.make(directory, name, |directory| mkdirat(directory, name, Mode::S_IRWXU))?;
        if was_hidden || self.hidden.contains(path) {
            self.make_opaque(path)?;
        }
        Ok(())
    }

    fn make_file(&mut self, directory: &OwnedFd, name: &OsStr) -> Result<File> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        self.make(directory, name, |directory| {
            openat(directory, name, flags, Mode::S_IRUSR | Mode::S_IWUSR).map(File::from)
        })
    }

    fn make_node(&mut self, at: &OwnedFd, name: &OsStr, kind: SFlag, number: u64) -> Result<()> {
        self.make(at, name, |directory| mknodat(directory, name, kind, Mode::S_IRUSR, number))
    }

    /// Makes something under a name, and removes what stands there, if it does.
    fn make<T>(
        &mut self,
        directory: &OwnedFd,
        name: &OsStr,
        make: impl Fn(&OwnedFd) -> nix::Result<T>,
    ) -> Result<T> {
        let made = match make(directory) {
            Err(Errno::EEXIST) => {
                self.remove(directory, name)?;
                make(directory)
            }
            result => result,
        };
        made.context("cannot make it")
    }

    /// Removes what stands under a name, with all that is in it.
    fn remove(&mut self, directory: &OwnedFd, name: &OsStr) -> Result<()> {
        self.last = None; // it may be about to go
        match unlinkat(directory, name, UnlinkatFlags::NoRemoveDir) {
            Err(Errno::ENOENT) => Ok(()),
            Err(Errno::EISDIR) => remove_tree(&by_descriptor(directory).join(name))
                .context("cannot remove the directory that stands there"),
            removed => removed.context("cannot remove what stands there"),
        }
    }

    /// What can only be done when all entries are there.
    fn finish(&mut self) -> Result<()> {
        self.remove_whiteouts_in_opaque()?;
        std::mem::take(&mut self.times).set(|path| self.open(path))
    }

    fn set_attributes_of_directory(&mut self, path: &Path, attributes: &Attributes) -> Result<()> {
        let directory = self.open(path).context("cannot open it")?;
        self.set_attributes(&directory, OsStr::new("."), attributes)?;
        self.times.remember(path, attributes.time, &self.allowance)
    }
}
