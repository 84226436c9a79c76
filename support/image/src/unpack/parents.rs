//! The directory of an entry: opened, and made where the archive has no entry for it.

use super::Unpacker;
use super::copy_of;
use super::header::BLOCK;
use super::node::stat;
use super::paths::check_depth;
use super::times::Filling;
use crate::lower::is_whiteout;
use anyhow::{Context, Result};
use launcher::lookup::{by_descriptor, is_directory};
use nix::errno::Errno;
use nix::fcntl::readlinkat;
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, SFlag, fchmodat};
use nix::unistd::symlinkat;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// So many links on one way are too many (path_resolution(7)).
const MAX_LINKS: usize = 40;

impl Unpacker<'_> {
    /// Opens the directory of an entry, and makes what is missing of it.
    pub(super) fn open_parent(&mut self, path: &Path) -> Result<OwnedFd> {
        if let Some((last, directory)) = &self.last
            && last == path
        {
            return copy_of(directory);
        }
        self.leave_last()?;
        let directory = match self.open(path) {
            Err(Errno::ENOENT | Errno::ENOTDIR) => self.make_parents(path)?,
            result => result.context("cannot open its directory")?,
        };
        check_depth(&directory)?;
        self.last = Some((path.to_owned(), Filling::begin(copy_of(&directory)?)?));
        Ok(directory)
    }

    /// Goes along a path, through the links of this layer and of those below, and makes what is
    /// missing.
    pub(super) fn make_parents(&mut self, path: &Path) -> Result<OwnedFd> {
        let what = "cannot make its directory";
        let mut place = PathBuf::new();
        let mut is_hidden = self.is_opaque(&place)?;
        let mut links = 0;
        let mut rest = names_of(path);
        while let Some(name) = rest.pop() {
            if name == ".." {
                place.pop();
                is_hidden = self.is_in_opaque(&place)?;
                continue;
            }
            let directory = self.open(&place).context(what)?;
            let found = match stat(&directory, &name)? {
                Some(found) if !is_whiteout(&found) => found,
                whiteout => {
                    let is_hidden = is_hidden || whiteout.is_some();
                    self.make_implied(&directory, &place.join(&name), &name, is_hidden)?;
                    stat(&directory, &name)?.context(what)?
                }
            };
            if is_link(&found) {
                links += 1;
                let target = readlinkat(&directory, name.as_os_str()).context(what)?;
                if links > MAX_LINKS {
                    return Err(Errno::ELOOP).context(what);
                }
                if Path::new(&target).is_absolute() {
                    place.clear();
                    is_hidden = self.is_opaque(&place)?;
                }
                rest.extend(names_of(Path::new(&target)));
            } else {
                place.push(name);
                is_hidden |= self.is_opaque(&place)?;
            }
        }
        self.open(&place).context(what)
    }

    // ANCHOR: make_implied
    /// Makes what a path implies, and an archive has no entry for: a directory. It says nothing
    /// about its attributes, so those of the lower layers stay; and where they have a link to a
    /// directory, the link stays. What this layer hides of them stays hidden.
    fn make_implied(
        &mut self,
        directory: &OwnedFd,
        path: &Path,
        name: &OsStr,
        is_hidden: bool,
    ) -> Result<()> {
        self.needs.implies(path);
        self.allowance.take(BLOCK)?; // as much as an entry for it
        let below = match &self.lower {
            Some(lower) if !is_hidden => lower.find(path)?,
            _ => None,
        };
        let filling = Filling::begin(copy_of(directory)?)?;
        match below {
            Some((lower, found)) if is_link(&found) => {
                let target =
                    fs::read_link(&lower).with_context(|| format!("cannot read {lower:?}"))?;
                symlinkat(&target, directory, name).context("cannot make a link of below again")?;
                self.repeat_attributes(&lower, directory, name)?;
            }
            Some((lower, found)) if is_directory(&found) => {
                self.make_directory(directory, path, name)?;
                self.repeat_attributes(&lower, directory, name)?;
            }
            Some(_) => return Err(Errno::ENOTDIR).context("below, a file stands in its place"),
            None => {
                self.make_directory(directory, path, name)?;
                // A set-group-ID directory hands that on (mkdir(2)).
                let made = stat(directory, name)?.context("the directory that was made is gone")?;
                let set_group_id = Mode::from_bits_truncate(made.st_mode) & Mode::S_ISGID;
                if !set_group_id.is_empty() {
                    self.needs.implies_of_group(path);
                }
                let mode = Mode::from_bits_truncate(0o755) | set_group_id;
                fchmodat(directory, name, mode, FchmodatFlags::FollowSymlink)
                    .context("cannot set the mode of its directory")?;
            }
        }
        filling.end()
    }
    // ANCHOR_END: make_implied

    /// Whether a directory of this layer, or one above it, is opaque: lower ones do not count in
    /// there.
    fn is_in_opaque(&self, directory: &Path) -> Result<bool> {
        for above in directory.ancestors().filter(|_| self.has_opaque) {
            if self.is_opaque(above)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_opaque(&self, path: &Path) -> Result<bool> {
        if !self.has_opaque {
            return Ok(false);
        }
        match self.open(path) {
            Err(Errno::ENOTDIR) => Ok(false), // a file, which leads nowhere
            opened => {
                let directory = opened.context("cannot open a directory of its path")?;
                Ok(self.rights.xattrs.is_opaque(&by_descriptor(&directory).join("."))?)
            }
        }
    }

    /// What lower layers show under a name of this directory, if this layer does not hide it.
    pub(super) fn find_below(
        &self,
        directory: &OwnedFd,
        name: &OsStr,
    ) -> Result<Option<(PathBuf, FileStat)>> {
        let place = self.place_of(directory)?;
        match &self.lower {
            Some(lower) if !self.is_in_opaque(&place)? => lower.find(&place.join(name)),
            _ => Ok(None),
        }
    }

    /// Where an open directory is, seen from the root of the layer.
    pub(super) fn place_of(&self, directory: &OwnedFd) -> Result<PathBuf> {
        let path = |directory| fs::read_link(by_descriptor(directory));
        let (root, path) = path(&self.root)
            .and_then(|root| Ok((root, path(directory)?)))
            .context("cannot tell where its directory is")?;
        Ok(path.strip_prefix(&root).context("its directory is not in the layer")?.to_owned())
    }
}

/// The names in a path, the last one first.
fn names_of(path: &Path) -> Vec<OsString> {
    let is_name = |name: &&OsStr| *name != "/" && *name != ".";
    path.iter().filter(is_name).map(OsStr::to_owned).rev().collect()
}

fn is_link(found: &FileStat) -> bool {
    SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == SFlag::S_IFLNK
}
