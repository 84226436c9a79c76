//! What the lower layers show at a path, as overlayfs looks it up: from the top layer down, until
//! one of them has the last word.

use crate::xattrs::Xattrs;
use anyhow::{Context, Result};
use launcher::lookup::{self, is_directory};
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{FileStat, SFlag};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// The lower layers of an overlay, the first one on top.
#[derive(Clone, Copy, Debug)]
pub struct Lower<'a> {
    layers: &'a [PathBuf],
    xattrs: Xattrs,
}

/// What one layer says about a path.
enum Word {
    /// It has it.
    Has(FileStat),
    /// Nothing: ask the layer below.
    Silent,
    /// There is no such thing, whatever lower layers have.
    Hides,
}

impl<'a> Lower<'a> {
    /// The layers of an overlay that keeps its marks in `xattrs`.
    pub fn new(layers: &'a [PathBuf], xattrs: Xattrs) -> Lower<'a> {
        Lower { layers, xattrs }
    }

    // ANCHOR: look_up
    /// What the layers show at `path`, which is relative to their root.
    ///
    /// # Errors
    /// Those of lstat(2) and lgetxattr(2), but for a file that is not there.
    pub fn look_up(&self, path: &Path) -> Result<Option<FileStat>> {
        Ok(self.find(path)?.map(|(_, found)| found))
    }

    /// The same, and in which layer it is: with the path there.
    ///
    /// # Errors
    /// As [`Lower::look_up`].
    pub fn find(&self, path: &Path) -> Result<Option<(PathBuf, FileStat)>> {
        for layer in self.layers {
            match self.ask(layer, path)? {
                Word::Has(found) => return Ok(Some((layer.join(path), found))),
                Word::Hides => return Ok(None),
                Word::Silent => {}
            }
        }
        Ok(None)
    }

    fn ask(&self, layer: &Path, path: &Path) -> Result<Word> {
        let mut hides = false;
        let mut place = layer.to_owned();
        for name in path {
            place.push(name);
            let found = match stat(&place)? {
                None => return Ok(if hides { Word::Hides } else { Word::Silent }),
                Some(found) if is_whiteout(&found) => return Ok(Word::Hides),
                Some(found) => found,
            };
            if place.strip_prefix(layer).is_ok_and(|so_far| so_far == path) {
                return Ok(Word::Has(found));
            }
            if !is_directory(&found) {
                return Ok(Word::Hides); // a file in place of a directory of a lower layer
            }
            hides |= self.is_opaque(&place)?;
        }
        Ok(Word::Silent)
    }
    // ANCHOR_END: look_up

    /// The names in a directory of the lower layers.
    ///
    /// # Errors
    /// Those of reading the directories.
    pub fn names(&self, directory: &Path) -> Result<BTreeSet<OsString>> {
        let mut names = BTreeSet::new();
        for layer in self.layers {
            let place = layer.join(directory);
            if !matches!(self.ask(layer, directory)?, Word::Has(found) if is_directory(&found)) {
                continue;
            }
            for entry in fs::read_dir(&place).with_context(|| format!("cannot read {place:?}"))? {
                let name = entry.with_context(|| format!("cannot read {place:?}"))?.file_name();
                if self.look_up(&directory.join(&name))?.is_some() {
                    names.insert(name);
                }
            }
        }
        Ok(names)
    }

    /// Whether a directory says that it shows nothing of lower layers.
    ///
    /// # Errors
    /// Those of lgetxattr(2).
    pub fn is_opaque(&self, directory: &Path) -> Result<bool> {
        self.xattrs
            .is_opaque(directory)
            .with_context(|| format!("cannot read the attributes of {directory:?}"))
    }
}

/// Whether a file stands for a deleted one: a character device 0:0, which no driver has.
pub fn is_whiteout(found: &FileStat) -> bool {
    found.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFCHR.bits() && found.st_rdev == 0
}

fn stat(path: &Path) -> Result<Option<FileStat>> {
    lookup::stat(AT_FDCWD, path).with_context(|| format!("cannot look at {path:?}"))
}
