//! What belongs to an image: its manifest, and the blobs that the manifest names.

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use image::digest::Digest;
use image::reference::Version;
use image::store::{BLOBS, PARTIAL};
use image::{Descriptor, Index, MAX_DESCRIPTION, Manifest};
use launcher::bounded;
use nix::fcntl::ResolveFlag;

/// The annotation that is an image's name in an index.
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// What an image is called behind the name of its repository: as the index says; or by its digest,
/// if that says nothing, or what nobody could type.
pub(crate) fn name(said: Option<String>, digest: &str) -> String {
    said.filter(|it| it.parse::<Version>().is_ok()).unwrap_or_else(|| digest.to_owned())
}

/// Whether a description of this media type names others: manifests, or indexes again.
pub(crate) fn is_index(media_type: &str) -> bool {
    media_type.contains("index") || media_type.contains("list")
}

/// Where a layout has a blob.
pub(crate) fn blob(layout: &Path, digest: &Digest) -> PathBuf {
    layout.join(BLOBS).join(digest.hex())
}

/// Marks an image of a layout, and all that it names. What a blob is, its place says, and not the
/// media type that a registry gives it: a configuration that calls itself a manifest is none, and
/// a layer that is the manifest of another image hides nothing of that one.
pub(crate) fn mark(layout: &Path, image: &Descriptor, marked: &mut HashSet<Digest>) -> Result<()> {
    let (mut to_read, mut read) = (vec![image.clone()], HashSet::new());
    while let Some(Descriptor { digest, media_type, .. }) = to_read.pop() {
        marked.insert(digest.clone());
        let is_index = is_index(&media_type);
        if !(is_index || media_type.contains("manifest"))
            || !read.insert((digest.clone(), is_index))
        {
            continue;
        }
        let path = blob(layout, &digest);
        let content = bounded::read_file(&path, ResolveFlag::empty(), MAX_DESCRIPTION)
            .with_context(|| format!("cannot read {path:?}"))?;
        let cannot = || format!("cannot understand {path:?}");
        if is_index {
            let Index { mut manifests } = serde_json::from_slice(&content).with_context(cannot)?;
            // It can name the manifests of machines whose images were not fetched.
            manifests.retain(|it| blob(layout, &it.digest).exists());
            manifests.sort_by(|a, b| a.digest.cmp(&b.digest));
            manifests.dedup_by(|a, b| a.digest == b.digest && a.media_type == b.media_type);
            to_read.extend(manifests);
        } else {
            let Manifest { config, layers } =
                serde_json::from_slice(&content).with_context(cannot)?;
            marked.extend(layers.into_iter().chain([config]).map(|it| it.digest));
        }
    }
    Ok(())
}

/// What an image of a layout is called.
pub(crate) fn name_of(image: &Descriptor) -> String {
    let said = image.annotations.as_ref().and_then(|all| all.ref_name.clone());
    name(said, &image.digest.to_string())
}

/// The same behind the name of its repository.
pub(crate) fn full_name(repository: &str, image: &Descriptor) -> String {
    let version = name_of(image);
    let separator = if version.contains(':') { '@' } else { ':' };
    format!("{repository}{separator}{version}")
}

/// The size of a file, if it is there.
pub(crate) fn size_of(path: &Path) -> Result<Option<u64>> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(if found.is_file() { found.len() } else { 0 })),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot look at {path:?}")),
    }
}

/// How many bytes are in the files of a directory, if it is there.
pub(crate) fn size_of_all(directory: &Path) -> Result<u64> {
    let cannot = || format!("cannot list {directory:?}");
    let entries = match fs::read_dir(directory) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(0);
        }
        entries => entries.with_context(cannot)?,
    };
    let mut size = 0;
    for entry in entries {
        size += size_of(&entry.with_context(cannot)?.path())?.unwrap_or(0);
    }
    Ok(size)
}

/// How many bytes are in a layout: in blobs, and in parts of such.
pub(crate) fn size_of_layout(layout: &Path) -> Result<u64> {
    Ok(size_of_all(&layout.join(BLOBS))? + size_of_all(&layout.join(PARTIAL))?)
}
