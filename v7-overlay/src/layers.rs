//! Which directories the layers are: those of an image, the user's own, or one rootfs.

use crate::arguments::OverlayArgs;
use crate::image::{ContainerConfig, Image};
use crate::xattrs::Xattrs;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use v1_chroot::rootfs;

/// Where the layers of a container come from.
#[derive(Debug)]
pub enum Layers {
    /// An image, and the directory where its layers are unpacked.
    Image(Box<Image>, PathBuf),
    /// Directories, the first one on top.
    Directories(Vec<PathBuf>),
}

impl Layers {
    /// Looks at what the command line names; without `--image` and `--layer`, a rootfs is the one
    /// layer. To be called before the process becomes root in a user namespace: until then it
    /// knows whose cache it uses.
    ///
    /// # Errors
    /// If there is no such image or directory, or the image's description is damaged.
    pub fn find(args: &OverlayArgs, rootfs: Option<&Path>) -> Result<Layers> {
        if let Some(name) = &args.image {
            let cache = rootfs::default_path()?.with_file_name("layers");
            return Ok(Layers::Image(Box::new(Image::open(name)?), cache));
        }
        if args.layers.is_empty() {
            return Ok(Layers::Directories(vec![rootfs::prepare(rootfs)?]));
        }
        let absolute = |layer: &PathBuf| {
            fs::canonicalize(layer).with_context(|| format!("cannot use {layer:?} as a layer"))
        };
        Ok(Layers::Directories(args.layers.iter().map(absolute).collect::<Result<_>>()?))
    }

    /// How the image wants its command to be run; without an image nothing is said about it.
    pub fn config(&self) -> ContainerConfig {
        match self {
            Layers::Image(image, _) => image.config.clone(),
            Layers::Directories(_) => ContainerConfig::default(),
        }
    }

    /// The layers as directories, the first one on top.
    pub(crate) fn directories(&self, xattrs: Xattrs, max_size: u64) -> Result<Vec<PathBuf>> {
        match self {
            Layers::Image(image, cache) => crate::cache::unpacked(image, cache, xattrs, max_size),
            Layers::Directories(directories) => Ok(directories.clone()),
        }
    }
}
