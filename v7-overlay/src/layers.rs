//! Which directories the layers are: those of an image, the user's own, or one rootfs.

use crate::arguments::OverlayArgs;
use anyhow::{Context, Result, anyhow};
use image::cache::{self, Unpacked};
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
    Image(Box<Image>),
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
            (Some(name), _) => Source::Image(Box::new(wanted(Image::open(name)?, args))),
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

    /// How many there are. An image's are not unpacked for that.
    pub(crate) fn count(&self) -> usize {
        match &self.source {
            Source::Image(image) => image.stack().len(),
            Source::Directories(directories) => directories.len(),
        }
    }

    /// The layers as directories.
    pub(crate) fn directories(&self, rights: &Rights, max_size: u64) -> Result<Unpacked> {
        match &self.source {
            Source::Image(image) => {
                cache::unpacked(image, &self.cache("layers")?, rights, max_size)
            }
            Source::Directories(directories) => {
                let layers = directories.clone();
                let root = layers.first().cloned().unwrap_or_default();
                Ok(Unpacked { layers, root })
            }
        }
    }
}

/// What of an image's wishes is left: with `--upper` everything is kept. An image that names no
/// user still has a root, with the home that its /etc/passwd says.
fn wanted(mut image: Image, args: &OverlayArgs) -> Image {
    let config = &mut image.config;
    config.user.get_or_insert_default();
    config.volumes = config.volumes.take().filter(|_| args.upper.is_none());
    image
}
