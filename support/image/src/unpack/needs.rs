//! What a layer needs of those below it.

use crate::attributes::xattrs_of;
use crate::lower::Lower;
use anyhow::{Context, Result};
use launcher::lookup::is_directory;
use launcher::signals::check_not_asked_to_end;
use nix::sys::stat::FileStat;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Longer than this is no list: the layer is unpacked over those below in any case.
const MAX_NEEDS: usize = 1 << 20;

/// What an item costs beside its bytes.
const OVERHEAD: usize = 32;

/// What a layer says about lower ones without an entry of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// A kind, and a path behind it.
    items: BTreeSet<Vec<u8>>,
    size: usize,
    /// It has no entry for its root directory.
    implies_root: bool,
}

/// A directory that the layer has no entry for.
const IMPLIED: u8 = b'd';
/// The same, with the group of a set-group-ID directory around it.
const OF_GROUP: u8 = b'g';
/// A directory from which something is deleted.
const WHITED_OUT: u8 = b'w';
/// A hard link to a file that the layer has not got.
const LINKED: u8 = b'l';
/// There is no entry for the root directory.
const ROOT: u8 = b'r';
/// What is not in the layer, and must not be seen either.
const HIDDEN: u8 = b'h';

impl Needs {
    pub(super) fn implies_root(&mut self) {
        self.implies_root = true;
    }

    pub(super) fn implies(&mut self, directory: &Path) {
        self.add(IMPLIED, directory);
    }

    pub(super) fn implies_of_group(&mut self, directory: &Path) {
        self.add(OF_GROUP, directory);
    }

    pub(super) fn deletes_in(&mut self, directory: &Path) {
        self.add(WHITED_OUT, directory);
    }

    pub(super) fn links_to(&mut self, file: &Path) {
        self.add(LINKED, file);
    }

    pub(super) fn hides(&mut self, file: &Path) {
        self.add(HIDDEN, file);
    }

    fn add(&mut self, kind: u8, path: &Path) {
        let item = [&[kind], path.as_os_str().as_bytes()].concat();
        let size = self.size + item.len() + OVERHEAD;
        if self.is_complete() && self.items.insert(item) {
            self.size = size;
        }
    }

    fn is_complete(&self) -> bool {
        self.size <= MAX_NEEDS
    }

    /// Reads them from where [`Needs::write`] has put them. `None` if there is no such file.
    ///
    /// # Errors
    /// Those of reading a file.
    pub fn read(file: &Path) -> Result<Option<Needs>> {
        let text = match fs::read(file) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            text => text.with_context(|| format!("cannot read {file:?}"))?,
        };
        let mut needs = Needs::default();
        for item in text.split(|byte| *byte == 0) {
            match item.split_first() {
                Some((&ROOT, _)) => needs.implies_root(),
                Some((kind, path)) => needs.add(*kind, Path::new(OsStr::from_bytes(path))),
                None => {}
            }
        }
        Ok(Some(needs))
    }

    /// Writes them to a file, with a zero byte behind each.
    ///
    /// # Errors
    /// Those of writing a file.
    pub fn write(&self, file: &Path) -> Result<()> {
        let root = self.implies_root.then(|| vec![ROOT]);
        let text: Vec<_> = root.iter().chain(&self.items).flat_map(|it| [it, &b"\0"[..]]).collect();
        fs::write(file, text.concat()).with_context(|| format!("cannot write {file:?}"))
    }

    /// Whether the layer says nothing about its own root directory.
    pub fn has_root_of_lower(&self) -> bool {
        self.implies_root
    }

    /// Whether the layer, unpacked alone, would be another one over these.
    ///
    /// # Errors
    /// Those of looking at the lower layers.
    pub fn are_in(&self, lower: &Lower) -> Result<bool> {
        if !self.is_complete() {
            return Ok(true);
        }
        for item in &self.items {
            check_not_asked_to_end()?; // the list may be long, and there may be many layers
            let Some((kind, path)) = item.split_first() else { continue };
            let path = Path::new(OsStr::from_bytes(path));
            let is_needed = match (*kind, path.as_os_str().is_empty()) {
                (LINKED, _) => true,
                (_, true) => false, // the root directory: overlayfs takes that of the upper one
                (HIDDEN | OF_GROUP, _) => lower.look_up(path)?.is_some(),
                (WHITED_OUT, _) => !lower.look_up(path)?.as_ref().is_some_and(is_directory),
                _ => match lower.find(path)? {
                    Some((place, found)) => !is_usual(&place, &found)?,
                    None => false,
                },
            };
            if is_needed {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether it is what the unpacker makes of a directory that is only implied.
fn is_usual(place: &Path, found: &FileStat) -> Result<bool> {
    let usual = (0o755, 0, 0);
    let is = (found.st_mode & 0o7777, found.st_uid, found.st_gid);
    Ok(is_directory(found) && is == usual && xattrs_of(place)?.is_empty())
}
