//! What an image is: a list of layers and a configuration, both named by their checksums.
//!
//! An OCI image layout begins with `index.json`, which names manifests; a manifest names the
//! configuration and the layers. An archive of docker save begins with `manifest.json`, which does
//! both. (Newer ones hold both beginnings.)

mod choice;
mod description;
mod machine;

pub use choice::{best, is_path};
pub(crate) use choice::{has_tag, names_of};
pub use description::{ContainerConfig, Descriptor, Index, MAX_DESCRIPTION, Manifest};
pub use machine::Platform;

use crate::blobs::{Blob, Blobs};
use crate::digest::Digest;
use anyhow::{Context, Result, bail, ensure};
use choice::{Listed, begins_like_path, find_manifest, pick, split_tag};
use description::{Config, Saved, check, parse, read_json};
use std::collections::HashSet;
use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};

/// What is behind the error about a directory that has the name of an image.
const OF_THIS_NAME: &str = " (a pulled image of this name: from another working directory)";

/// As many lower layers as overlayfs takes (OVL_MAX_STACK in the kernel).
pub const MAX_LAYERS: usize = 500;

/// An image: its layers, and how its command is to be run.
#[derive(Debug)]
pub struct Image {
    /// How its command is to be run.
    pub config: ContainerConfig,
    /// The layers, the lowest one first.
    pub layers: Vec<Layer>,
    blobs: Blobs,
}

/// One layer of an image.
#[derive(Debug)]
pub struct Layer {
    /// The digest of the archive, decompressed: the name that all images have for this content.
    pub diff_id: Digest,
    /// How the archive is compressed.
    pub compression: Compression,
    /// Where it is in the image.
    file: PathBuf,
    /// Digest and size of the file, if the image says so. (docker save does not.)
    sum: Option<(Digest, u64)>,
}

/// How a layer is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names say it all")]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Image {
    /// Reads the description of an image at `PATH` or `PATH:TAG`, and checks every part of it.
    ///
    /// # Errors
    /// If there is no image, several without a tag, none for this machine, or a checksum is wrong.
    pub fn open(name: &Path) -> Result<Image> {
        let read = || {
            let (path, tag) = split_tag(name)?;
            let blobs = Blobs::open(&path, || how_to_get(&path))?;
            let is_saved = blobs.has(Path::new("manifest.json"))?;
            match read_index(&blobs)? {
                // docker save by a digest gives the image no name, and leaves the index empty.
                Some(index) if !(index.manifests.is_empty() && is_saved) => {
                    Image::from_layout(blobs, index, tag.as_deref())
                }
                _ if is_saved => Image::from_docker_save(blobs, tag.as_deref()),
                _ => bail!(
                    "it has neither an index.json (OCI) nor a manifest.json (docker save){}",
                    if begins_like_path(name) { "" } else { OF_THIS_NAME }
                ),
            }
        };
        read().with_context(|| format!("cannot use the image {name:?}"))
    }

    fn from_layout(blobs: Blobs, index: Index, tag: Option<&str>) -> Result<Image> {
        let manifest = find_manifest(&blobs, index, tag)?;
        let config: Config = read_json(&blobs, &manifest.config, "configuration")?;
        let (config, diff_ids) = config.for_layers(manifest.layers.len())?;
        let layer = |(layer, diff_id): (Descriptor, Digest)| {
            Ok(Layer {
                diff_id,
                compression: compression(&layer)?,
                file: layer.digest.path(),
                sum: Some((layer.digest, layer.size)),
            })
        };
        let layers = manifest.layers.into_iter().zip(diff_ids).map(layer);
        let layers = layers.collect::<Result<_>>()?;
        Ok(Image { config, layers, blobs })
    }

    fn from_docker_save(blobs: Blobs, tag: Option<&str>) -> Result<Image> {
        let list = blobs.read(Path::new("manifest.json"), MAX_DESCRIPTION)?;
        let list: Vec<Saved> = parse("manifest.json", &list)?;
        // For which machine it is, the configuration says.
        let said = |saved: &Saved| (saved.repo_tags.clone(), saved.config.clone(), Some(0));
        let listed = Listed::all(list, said);
        let Saved { config, layers, .. } = &pick(&listed, tag, |_| String::new())?.item;
        let config_file = inside(config)?;
        let content = blobs.read(config_file, MAX_DESCRIPTION)?;
        let stem = config_file.file_stem().unwrap_or_default().to_string_lossy();
        if let Ok(digest) = Digest::from_hex(&stem) {
            check(&format!("the configuration {config}"), &digest, &Digest::of(&content))?;
        }
        let config: Config = parse(config, &content)?;
        let (config, diff_ids) = config.for_layers(layers.len())?;
        let layer = |(name, diff_id): (&String, Digest)| {
            let file = inside(name)?.to_owned();
            let compression = sniff(&blobs.get(&file)?).context("cannot read a layer")?;
            Ok(Layer { diff_id, compression, file, sum: None })
        };
        let layers = layers.iter().zip(diff_ids).map(layer).collect::<Result<_>>()?;
        Ok(Image { config, layers, blobs })
    }

    /// The layers that show, the first one on top. The same layer can be in an image twice: what
    /// is on top hides the copy below it.
    pub fn stack(&self) -> Vec<&Layer> {
        let mut seen = HashSet::new();
        self.layers.iter().rev().filter(|layer| seen.insert(&layer.diff_id)).collect()
    }

    /// Opens the archive of a layer.
    ///
    /// # Errors
    /// If it is not there, does not have the size that the manifest says, or is compressed in
    /// another way.
    pub fn open_layer(&self, layer: &Layer) -> Result<Blob> {
        let blob = self.blobs.get(&layer.file).with_context(|| format!("cannot open {layer}"))?;
        if let Some((_, size)) = &layer.sum {
            let found = blob.len();
            ensure!(found == *size, "{layer} has {found} bytes, and the manifest says {size}");
        }
        let found = sniff(&blob).with_context(|| format!("cannot read {layer}"))?;
        let said = layer.compression;
        ensure!(
            found == said || found == Compression::None,
            "{layer} is {found}, and its media type says {said}: its manifest is wrong"
        );
        Ok(blob)
    }
}

impl Layer {
    /// Compares the digest of the file with what the image says.
    ///
    /// # Errors
    /// If they differ.
    pub fn check_blob(&self, found: &Digest) -> Result<()> {
        match &self.sum {
            Some((wanted, _)) => check(&self.to_string(), wanted, found),
            None => Ok(()),
        }
    }

    /// Compares the digest of the decompressed archive with what the configuration says.
    ///
    /// # Errors
    /// If they differ.
    pub fn check_content(&self, found: &Digest) -> Result<()> {
        check(&format!("{self}, decompressed"), &self.diff_id, found)
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Compression::None => "a plain archive",
            Compression::Gzip => "compressed by gzip",
            Compression::Zstd => "compressed by zstd",
        })
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.sum {
            Some((digest, _)) => write!(f, "the layer {digest}"),
            None => write!(f, "the layer {:?}", self.file),
        }
    }
}

/// Whether an image can be used here, before its layers are there: it is for this machine, its
/// layers are archives, and there are not too many.
///
/// # Errors
/// Why not.
pub fn check_usable(manifest: &Manifest, config: &[u8]) -> Result<()> {
    let layers = manifest.layers.len();
    ensure!(layers <= MAX_LAYERS, "it has {layers} layers, and overlayfs takes {MAX_LAYERS}");
    manifest.layers.iter().try_for_each(|layer| compression(layer).map(drop))?;
    let config: Config = parse("its configuration", config)?;
    config.for_layers(layers).map(drop)
}

/// What to do about a file that is not there.
fn how_to_get(path: &Path) -> String {
    let (directory, file) = (path.display(), path.file_name().unwrap_or_default().display());
    format!(
        "where there is internet: skopeo copy docker://NAME oci:{directory}, or docker save -o \
         {file}.tar NAME and --image {file}.tar"
    )
}

/// A path in docker save's manifest.json, which must stay in the image.
fn inside(path: &str) -> Result<&Path> {
    let is_inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    ensure!(
        is_inside && !path.is_empty(),
        "its manifest.json names {path:?}, outside of the image"
    );
    Ok(Path::new(path))
}

/// What a layer's media type says: image-spec, media-types.md.
fn compression(layer: &Descriptor) -> Result<Compression> {
    let known = [
        "application/vnd.oci.image.layer.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.docker.image.rootfs.foreign.diff.tar",
    ];
    let rest = known.iter().find_map(|prefix| layer.media_type.strip_prefix(prefix));
    match rest {
        Some("") => Ok(Compression::None),
        Some("+gzip" | ".gzip") => Ok(Compression::Gzip),
        Some("+zstd" | ".zstd") => Ok(Compression::Zstd),
        _ => bail!("the layer {} is of an unknown media type {:?}", layer.digest, layer.media_type),
    }
}

/// What the first bytes of a layer say.
fn sniff(blob: &Blob) -> io::Result<Compression> {
    Ok(match blob.first_bytes()? {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd] => Compression::Zstd,
        _ => Compression::None,
    })
}

/// The index of an OCI image layout, if there is one.
pub(crate) fn read_index(blobs: &Blobs) -> Result<Option<Index>> {
    let path = Path::new("index.json");
    if !blobs.has(path)? {
        return Ok(None);
    }
    parse("index.json", &blobs.read(path, MAX_DESCRIPTION)?).map(Some)
}
