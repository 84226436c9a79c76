//! Which directories the layers are: those of an image, the user's own, or one rootfs.

use crate::arguments::OverlayArgs;
use anyhow::{Context, Result, anyhow};
use image::cache::{self, Unpacked};
use image::missing::{BUILT_IN, Missing, WITHOUT_INTERNET};
use image::missing::{built_in, pull_line, what_is_missing};
use image::reference::Reference;
use image::rights::Rights;
use image::store::Store;
use image::{ContainerConfig, Image, is_path};
use launcher::Caller;
use launcher::command_line::one_line;
use std::fs;
use std::path::{Path, PathBuf};
use std::slice;

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
            (Some(name), _) => match is_path(name).with_context(|| cannot_use(name))? {
                true => Source::image(name, args)?,
                false => return Layers::of_name(caller, args, name),
            },
            (None, []) => Source::Directories(vec![rootfs::prepare(caller, rootfs)?]),
            (None, layers) => {
                Source::Directories(layers.iter().map(absolute).collect::<Result<_>>()?)
            }
        };
        Ok(Layers { source, cache: caller.cache() })
    }
    // ANCHOR_END: find

    // ANCHOR: pulled
    /// The layers of an image that was pulled; or that it was not. `busybox` needs no pulling: it
    /// is the rootfs of the steps before, unless an image of that name is there.
    ///
    /// # Errors
    /// If the image is damaged.
    pub fn pulled(
        caller: &Caller,
        args: &OverlayArgs,
        store: &Store,
        reference: &Reference,
    ) -> Result<Result<Layers, Missing>> {
        let source = match store.find(reference)? {
            Ok(path) => Source::image(&path, args)?,
            Err(_) if reference.is_latest_of(BUILT_IN) => {
                Source::Directories(vec![rootfs::prepare(caller, None)?])
            }
            Err(missing) => return Ok(Err(missing)),
        };
        Ok(Ok(Layers { source, cache: caller.cache() }))
    }
    // ANCHOR_END: pulled

    /// Looks for what is no file's name.
    fn of_name(caller: &Caller, args: &OverlayArgs, name: &Path) -> Result<Layers> {
        let find = || {
            let reference: Reference =
                name.to_string_lossy().parse().context("no file has this name")?;
            let found = Layers::pulled(caller, args, &Store::of(caller)?, &reference)?;
            found.map_err(|missing| {
                let what = what_is_missing(slice::from_ref(&missing), None);
                anyhow!("no file has this name, and {what} ({})", how_to_get(&missing))
            })
        };
        find().with_context(|| cannot_use(name))
    }

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

impl Source {
    fn image(name: &Path, args: &OverlayArgs) -> Result<Source> {
        Ok(Source::Image(Box::new(wanted(Image::open(name)?, args))))
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

fn cannot_use(name: &Path) -> String {
    format!("cannot use the image {name:?}")
}

/// What to do about an image that was not pulled.
fn how_to_get(missing: &Missing) -> String {
    let name = &missing.reference;
    let file = name.repository.rsplit('/').next().unwrap_or_default();
    let missing = slice::from_ref(missing);
    format!(
        "{}; without internet: docker save -o {file}.tar {name} elsewhere and --image {file}.tar, \
         or {WITHOUT_INTERNET}{}",
        pull_line(missing, None),
        built_in(missing),
    )
}
