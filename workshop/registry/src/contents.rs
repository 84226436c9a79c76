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

/// Where a layout has a blob.
pub(crate) fn blob(layout: &Path, digest: &Digest) -> PathBuf {
    layout.join(BLOBS).join(digest.hex())
}

/// Marks a blob of a layout, and what it names.
pub(crate) fn mark(
    layout: &Path,
    descriptor: &Descriptor,
    marked: &mut HashSet<Digest>,
) -> Result<()> {
    let Descriptor { digest, media_type, .. } = descriptor;
    let is_new = marked.insert(digest.clone());
    let is_index = media_type.contains("index") || media_type.contains("list");
    if !is_new || !(is_index || media_type.contains("manifest")) {
        return Ok(());
    }
    let path = blob(layout, digest);
    let content = bounded::read_file(&path, ResolveFlag::empty(), MAX_DESCRIPTION)
        .with_context(|| format!("cannot read {path:?}"))?;
    let parsed = if is_index {
        serde_json::from_slice(&content).map(|Index { manifests }| manifests)
    } else {
        serde_json::from_slice(&content)
            .map(|Manifest { config, layers }| [vec![config], layers].concat())
    };
    let named = parsed.with_context(|| format!("cannot understand {path:?}"))?;
    // An index can name the manifests of machines whose images were not fetched.
    let named = named.iter().filter(|it| !is_index || blob(layout, &it.digest).exists());
    named.into_iter().try_for_each(|it| mark(layout, it, marked))
}

/// What an image of a layout is called.
pub(crate) fn name_of(image: &Descriptor) -> String {
    let said = image.annotations.as_ref().and_then(|all| all.get(REF_NAME)).cloned();
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
