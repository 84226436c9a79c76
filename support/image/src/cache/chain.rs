//! Which directories in the cache an image is made of: found out once.

use super::once::make_once;
use crate::digest::Digest;
use crate::image::Layer;
use crate::rights::Rights;
use anyhow::{Context, Result};
use nix::errno::Errno;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The files of a layer, in its directory in the cache.
pub(super) const TREE: &str = "tree";

/// An image as directories.
#[derive(Debug)]
pub struct Unpacked {
    /// Its layers, the first one on top.
    pub layers: Vec<PathBuf>,
    /// The one of them whose root directory is that of the image: not every layer has an entry for
    /// its own.
    pub root: PathBuf,
}

/// The file with the names of the directories, one on a line: that of the root directory, then the
/// layers, the first one on top.
const LAYERS: &str = "layers";

/// Layers over each other, as their contents name them.
#[derive(Debug)]
pub(super) struct Chain {
    name: String,
    hex: String,
}

impl Chain {
    /// The lowest one first.
    pub(super) fn of(layers: &[Layer], rights: &Rights) -> Chain {
        let digests: Vec<_> = layers.iter().map(|layer| layer.diff_id.hex()).collect();
        let hex = Digest::of(digests.join("\n").as_bytes()).hex().to_owned();
        Chain { name: format!("{hex}{}.image", rights.suffix()), hex }
    }

    pub(super) fn hex(&self) -> &str {
        &self.hex
    }

    /// Finds the directories; `None` if they are not all there.
    pub(super) fn read(&self, cache: &Path, rights: &Rights) -> Result<Option<Unpacked>> {
        let file = cache.join(&self.name).join(LAYERS);
        let text = match fs::read_to_string(&file) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            text => text.with_context(|| format!("cannot read {file:?}"))?,
        };
        let mut paths = text.lines().map(|name| cache.join(name).join(TREE));
        let Some(root) = paths.next() else { return Ok(None) };
        let mut layers = Vec::new();
        for path in paths {
            // One question for both: is it there, and does it hide what is below it?
            let is_opaque = match rights.xattrs.is_opaque(&path) {
                Err(Errno::ENOENT) => return Ok(None),
                asked => asked.with_context(|| format!("cannot look at {path:?}"))?,
            };
            layers.push(path);
            if is_opaque {
                break; // overlayfs does not ask the root of a layer, so we do
            }
        }
        Ok(Some(Unpacked { layers, root }))
    }

    /// Writes them down.
    pub(super) fn write(&self, cache: &Path, names: &[String], root: &str) -> Result<()> {
        let text = format!("{root}\n{}\n", names.join("\n"));
        // Of one that is there already, a layer was gone: it is made anew.
        make_once(
            cache,
            &self.name,
            |_| Ok(false),
            |directory| {
                let file = directory.join(LAYERS);
                fs::write(&file, &text).with_context(|| format!("cannot write {file:?}"))
            },
        )?;
        Ok(())
    }
}
