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
//!
//! However many entries an archive has, nothing is kept in memory of them but what is said in
//! [`Needs`], which has a limit.
//!
//! A layer speaks of what is in lower ones, too: it puts a file into a directory of theirs without
//! an entry for that directory, or goes through a link of theirs. Unpacked alone it tells what it
//! needs of them; unpacked [over](Unpacker::over) them it has it.

mod archive;
mod attributes;
mod below;
mod content;
mod hard_link;
mod header;
mod left_out;
mod limits;
mod needs;
mod node;
mod parents;
mod paths;
mod pax;
mod set_attributes;
mod sparse;
mod times;
mod whiteout;

pub use left_out::LeftOut;
pub use limits::Allowance;
pub use needs::Needs;

use crate::lower::Lower;
use crate::rights::{Owners, Rights};
use anyhow::{Context, Result, bail, ensure};
use archive::{Archive, Entry};
use attributes::Attributes;
use launcher::lookup::{by_descriptor, is_directory, open_in};
use launcher::remove_tree;
use nix::errno::Errno;
use nix::fcntl::{OFlag, ResolveFlag, openat};
use nix::sys::stat::{Mode, SFlag, mkdirat, mknodat};
use nix::unistd::{UnlinkatFlags, symlinkat, unlinkat};
use node::{device_number, stat};
use paths::{check_whiteouts, is_of_aufs, relative};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tar::EntryType;
use times::Filling;

/// More entries than this are in no layer.
const MAX_ENTRIES: usize = 2_000_000;

/// A directory that is being filled from the archive of a layer.
#[derive(Debug)]
pub struct Unpacker<'a> {
    root: OwnedFd,
    /// The lower layers, if it is to be unpacked over them.
    lower: Option<Lower<'a>>,
    needs: Needs,
    rights: Rights,
    allowance: Allowance,
    /// The directory of the last entry: that of the next one is often the same.
    last: Option<(PathBuf, Filling)>,
    has_root: bool,
    has_opaque: bool,
    buffer: Vec<u8>,
    left_out: LeftOut,
}

impl<'a> Unpacker<'a> {
    /// Fills `root`, an empty directory. Without the machine's root there are no device nodes, and
    /// what belongs to others than the user namespace knows belongs to its root.
    pub fn new(root: OwnedFd, rights: &Rights, allowance: Allowance) -> Unpacker<'a> {
        Unpacker {
            root,
            lower: None,
            needs: Needs::default(),
            rights: rights.clone(),
            allowance,
            last: None,
            has_root: false,
            has_opaque: false,
            buffer: vec![0; 1 << 16],
            left_out: LeftOut::default(),
        }
    }

    /// Unpacks it over these layers: what it needs of them is repeated in it.
    pub fn over(self, lower: Lower<'a>) -> Unpacker<'a> {
        Unpacker { lower: Some(lower), ..self }
    }

    // ANCHOR: unpack
    /// Unpacks a whole archive. Returns what could not be made, and what it needs of lower layers.
    ///
    /// # Errors
    /// What is wrong with which entry; the directory is of no use then.
    pub fn unpack<R: Read>(mut self, archive: R) -> Result<(LeftOut, Needs)> {
        let mut archive = Archive::new(archive, self.allowance.clone());
        for count in 0.. {
            ensure!(count < MAX_ENTRIES, "it has more than {MAX_ENTRIES} entries");
            let Some(entry) = archive.next().context("it is damaged")? else {
                break;
            };
            let path = PathBuf::from(OsString::from_vec(entry.path().into_owned()));
            self.unpack_entry(&path, &entry, &mut archive)
                .with_context(|| format!("the entry {path:?}"))?;
        }
        archive.finish()?;
        self.finish()?;
        Ok((self.left_out, self.needs))
    }
    // ANCHOR_END: unpack

    fn unpack_entry<R: Read>(
        &mut self,
        path: &Path,
        entry: &Entry,
        archive: &mut Archive<R>,
    ) -> Result<()> {
        let kind = entry.kind();
        let path = relative(path)?;
        if is_of_aufs(&path) {
            return Ok(());
        }
        check_whiteouts(&path)?;
        let attributes = Attributes::of(entry)?;
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            ensure!(kind == EntryType::Directory, "the root of a layer is no directory");
            self.leave_last()?;
            self.has_root = true;
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
                self.fill(file, entry, archive)?;
            }
            EntryType::Symlink => {
                let target = entry.target()?;
                self.make(&directory, name, |directory| symlinkat(target, directory, name))?;
            }
            EntryType::Fifo => self.make_node(&directory, name, SFlag::S_IFIFO, 0)?,
            EntryType::Char | EntryType::Block => {
                let number = device_number(entry.header(), kind)?;
                if self.rights.owners != Owners::All {
                    return self.leave_out_device(&directory, name);
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

    /// Nothing more comes into the directory of the last entry, for now.
    fn leave_last(&mut self) -> Result<()> {
        match self.last.take() {
            Some((_, directory)) => directory.end(),
            None => Ok(()),
        }
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

    fn make_directory(&mut self, directory: &OwnedFd, path: &Path, name: &OsStr) -> Result<()> {
        let found = stat(directory, name)?;
        if found.as_ref().is_some_and(is_directory) {
            return Ok(());
        }
        self.make(directory, name, |directory| mkdirat(directory, name, Mode::S_IRWXU))?;
        match found {
            // A whiteout or a file, which hid what lower layers have. They stay hidden.
            Some(_) => self.make_opaque(path),
            None => Ok(()),
        }
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
        match unlinkat(directory, name, UnlinkatFlags::NoRemoveDir) {
            Err(Errno::ENOENT) => Ok(()),
            Err(Errno::EISDIR) => remove_tree(&by_descriptor(directory).join(name))
                .context("cannot remove the directory that stands there"),
            removed => removed.context("cannot remove what stands there"),
        }
    }

    /// What can only be done when all entries are there.
    fn finish(&mut self) -> Result<()> {
        self.leave_last()?;
        if self.has_opaque {
            self.remove_whiteouts_in_opaque()?;
        }
        if self.has_root {
            return Ok(());
        }
        // Whoever calls us may have a umask.
        let root = by_descriptor(&self.root).join(".");
        fs::set_permissions(&root, Permissions::from_mode(0o755)).context("cannot set its mode")?;
        self.needs.implies_root();
        Ok(())
    }

    fn set_attributes_of_directory(&mut self, path: &Path, attributes: &Attributes) -> Result<()> {
        let directory = self.open(path).context("cannot open it")?;
        self.set_attributes(&directory, OsStr::new("."), attributes)
    }
}

/// The same directory once more.
fn copy_of(directory: impl AsFd) -> Result<OwnedFd> {
    directory.as_fd().try_clone_to_owned().context("cannot copy a descriptor")
}
