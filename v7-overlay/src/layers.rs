//! Which directories the layers are: those of an image, the user's own, or one rootfs.

use crate::arguments::OverlayArgs;
use anyhow::{Context, Result, anyhow};
use image::cache;
use image::rights::Rights;
use image::{ContainerConfig, Image};
use launcher::Caller;
use launcher::command_line::one_line;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the layers of a container come from.
#[derive(Debug)]
pub struct Layers {
    source: Source,
    /// The cache, if this user has one: a user without a home directory has none.
    cache: Result<PathBuf>,
}

#[derive(Debug)]
enum Source {
    Image(Image),
    /// Directories, the first one on top.
    Directories(Vec<PathBuf>),
}

impl Layers {
    // ANCHOR: find
    /// Looks at what the command line names; without `--image` and `--layer`, a rootfs is the one
    /// layer.
    ///
    /// # Errors
    /// If there is no such image or directory, or the image's description is damaged.
    pub fn find(caller: &Caller, args: &OverlayArgs, rootfs: Option<&Path>) -> Result<Layers> {
        let absolute = |layer: &PathBuf| {
            fs::canonicalize(layer).with_context(|| format!("cannot use {layer:?} as a layer"))
        };
        let source = match (&args.image, &args.layers[..]) {
            (Some(name), _) => Source::Image(Image::open(name)?),
            (None, []) => Source::Directories(vec![rootfs::prepare(caller, rootfs)?]),
            (None, layers) => {
                Source::Directories(layers.iter().map(absolute).collect::<Result<_>>()?)
            }
        };
        Ok(Layers { source, cache: caller.cache() })
    }
    // ANCHOR_END: find

    /// A directory in the cache.
    pub(crate) fn cache(&self, name: &str) -> Result<PathBuf> {
        match &self.cache {
            Ok(cache) => Ok(cache.join(name)),
            Err(error) => Err(anyhow!("cannot use the cache: {}", one_line(error))),
        }
    }

    /// How the image wants its command to be run; without an image nothing is said about it.
    pub fn config(&self) -> ContainerConfig {
        match &self.source {
            Source::Image(image) => image.config.clone(),
            Source::Directories(_) => ContainerConfig::default(),
        }
    }

    /// The layers as directories, the first one on top.
    pub(crate) fn directories(&self, rights: &Rights, max_size: u64) -> Result<Vec<PathBuf>> {
        match &self.source {
            Source::Image(image) => {
                cache::unpacked(image, &self.cache("layers")?, rights, max_size)
            }
            Source::Directories(directories) => Ok(directories.clone()),
        }
    }
}
