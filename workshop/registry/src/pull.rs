//! An image, from a registry into the directory of images.

use std::collections::HashSet;
use std::fs;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use image::reference::{Reference, Version};
use image::store::Store;
use image::{Descriptor, Index, MAX_DESCRIPTION, Manifest, best, check_usable};
use nix::sys::statvfs::statvfs;

use crate::blob::{Fetching, is_here};
use crate::connection::Way;
use crate::contents::is_index;
use crate::layout::Locked;
use crate::progress::{bar, in_words};
use crate::repository::{Description, Repository};

/// As many blobs are fetched at the same time.
const AT_A_TIME: usize = 4;

/// How many indexes may stand between a tag and a manifest.
const MAX_DEPTH: usize = 3;

/// What was pulled.
pub(crate) struct Pulled {
    /// What was asked for has this digest: it can be asked for by it.
    pub(crate) digest: image::digest::Digest,
    /// Bytes of the image, compressed as in the registry.
    pub(crate) size: u64,
    /// Bytes that were not here already.
    pub(crate) fetched: u64,
    /// How many layers it has.
    pub(crate) layers: usize,
}

/// Pulls an image, with all that is checked on the way.
pub(crate) fn pull(reference: &Reference, store: &Store, way: Way) -> Result<Pulled> {
    let repository = Repository::of(reference, way)?;
    let named = repository.description(&reference.version)?;
    let digest = named.digest.clone();
    let description = for_this_machine(&repository, named)?;
    let manifest: Manifest =
        serde_json::from_slice(&description.content).context("cannot understand its manifest")?;

    let layout = Locked::create(&store.layout(reference))?;
    let progress = bar(&reference.to_string());
    let is_over = AtomicBool::new(false);
    let fetching = Fetching {
        repository: &repository,
        layout: &layout,
        progress: &progress,
        is_over: &is_over,
    };
    let done = fetching.image(&reference.version, &description, &manifest);
    progress.finish_and_clear();
    let closed = layout.close(store);
    let fetched = done?;
    closed?;
    let Manifest { config, layers } = &manifest;
    let size = distinct(layers).iter().fold(config.size, |sum, it| sum.saturating_add(it.size));
    Ok(Pulled { digest, size, fetched, layers: layers.len() })
}

/// Each blob once: a layer can be in an image several times.
fn distinct(blobs: &[Descriptor]) -> Vec<&Descriptor> {
    let mut seen = HashSet::new();
    blobs.iter().filter(|blob| seen.insert(&blob.digest)).collect()
}

/// The manifest for this machine, if what has the name is an index.
fn for_this_machine(repository: &Repository, mut found: Description) -> Result<Description> {
    for _ in 0..=MAX_DEPTH {
        if !is_index(&found.media_type) {
            return Ok(found);
        }
        let index: Index =
            serde_json::from_slice(&found.content).context("cannot understand its index")?;
        let Descriptor { digest, size, media_type, .. } = best(index)?;
        found = repository.description(&Version::Digest(digest))?;
        let length = found.content.len() as u64;
        ensure!(length == size, "its manifest has {length} bytes, and its index says {size}");
        let kind = &found.media_type;
        ensure!(*kind == media_type, "its manifest is {kind}, and its index says {media_type:?}");
    }
    bail!("its indexes are nested too deep")
}

impl Fetching<'_> {
    /// Fetches an image into the layout, and gives it its name there; how many bytes have come.
    fn image(&self, name: &Version, description: &Description, manifest: &Manifest) -> Result<u64> {
        // The configuration says whether the rest is of any use here.
        let Manifest { config, layers } = manifest;
        let (size, most) = (config.size, MAX_DESCRIPTION);
        ensure!(size <= most, "its configuration has {size} bytes, and may have {most}");
        let of_config = self.all(&[config])?;
        let path = self.layout.blob(&config.digest);
        let content = fs::read(&path).with_context(|| format!("cannot read {path:?}"))?;
        if let Err(error) = check_usable(manifest, &content) {
            self.layout.sweep()?;
            return Err(error);
        }
        let of_layers = self.all(&distinct(layers))?;
        let Description { media_type, digest, content } = description;
        self.layout.put(digest, content)?;
        self.layout.add(&name.to_string(), media_type, digest, content.len())?;
        self.layout.sweep()?;
        Ok(of_config + of_layers)
    }

    /// Fetches those that are not here, several at a time; how many bytes they have.
    fn all(&self, blobs: &[&Descriptor]) -> Result<u64> {
        let mut missing = Vec::new();
        for blob in blobs {
            if !is_here(self.layout, blob)? {
                missing.push(*blob);
            }
        }
        let bytes = missing.iter().fold(0_u64, |sum, blob| sum.saturating_add(blob.size));
        let to_come = self.ensure_room(&missing, bytes)?;
        self.progress.inc_length(bytes);
        let next = AtomicUsize::new(0);
        let first_error = Mutex::new(None);
        let work = || {
            while let Some(blob) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(error) = self.fetch(blob) {
                    // Those that stop because of this one have nothing to say.
                    if !self.is_over.swap(true, Ordering::Relaxed) {
                        *first_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    }
                    break;
                }
            }
        };
        thread::scope(|scope| {
            for _ in 1..AT_A_TIME.min(missing.len()) {
                scope.spawn(work);
            }
            work();
        });
        match first_error.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(to_come),
        }
    }

    /// Whether there is room on the disk for what is still to come: how many bytes that are.
    fn ensure_room(&self, missing: &[&Descriptor], bytes: u64) -> Result<u64> {
        let path = self.layout.path();
        let begun = |blob: &&Descriptor| self.layout.partial(&blob.digest).metadata().ok();
        let begun: u64 = missing.iter().filter_map(begun).map(|found| found.len()).sum();
        let found =
            statvfs(path).with_context(|| format!("cannot ask for the room in {path:?}"))?;
        let room = found.blocks_available().saturating_mul(found.fragment_size());
        let needed = bytes.saturating_sub(begun);
        ensure!(
            needed <= room,
            "{} are missing, and there is room for {} in {path:?} (cargo workshop images tells \
             what is there; --images DIR takes another disk)",
            in_words(needed),
            in_words(room),
        );
        Ok(needed)
    }
}
