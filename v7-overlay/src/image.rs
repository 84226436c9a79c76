//! What an image is: a list of layers and a configuration, both named by their checksums.
//!
//! An OCI image layout begins with `index.json`, which names manifests; a manifest names the
//! configuration and the layers. An archive of docker save begins with `manifest.json`, which does
//! both. (Newer ones hold both beginnings.)

use crate::blobs::{Blob, Blobs};
use crate::digest::Digest;
use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

/// How large the parts of the description may be; registries have this limit for manifests.
const MAX_DESCRIPTION: u64 = 4 << 20;

/// How many indexes may stand between index.json and a manifest.
const MAX_DEPTH: usize = 3;

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

/// The part of an image's configuration that says how to run it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerConfig {
    /// What comes before the arguments.
    pub entrypoint: Option<Vec<String>>,
    /// The arguments, if none are given.
    pub cmd: Option<Vec<String>>,
    /// `NAME=VALUE`.
    pub env: Option<Vec<String>>,
    /// Where it starts.
    pub working_dir: Option<String>,
    /// `USER` or `USER:GROUP`, by name or number.
    pub user: Option<String>,
}

#[derive(Deserialize)]
struct Config {
    architecture: String,
    os: String,
    config: Option<ContainerConfig>,
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Vec<Digest>,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

/// The name of a blob, and what it is.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: Digest,
    size: u64,
    platform: Option<Platform>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Deserialize)]
struct Platform {
    os: String,
    architecture: String,
}

/// An entry of docker save's manifest.json.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

impl Image {
    /// Reads the description of an image at `PATH` or `PATH:TAG`, and checks every part of it.
    ///
    /// # Errors
    /// If there is no image, several without a tag, none for this machine, or a checksum is wrong.
    pub fn open(name: &Path) -> Result<Image> {
        let (path, tag) = split_tag(name);
        let read = || {
            let blobs = Blobs::open(&path)?;
            if blobs.has(Path::new("index.json")) {
                Image::from_layout(blobs, tag.as_deref())
            } else if blobs.has(Path::new("manifest.json")) {
                Image::from_docker_save(blobs, tag.as_deref())
            } else {
                bail!("it has neither an index.json (OCI) nor a manifest.json (docker save)")
            }
        };
        read().with_context(|| format!("cannot use the image {name:?}"))
    }

    fn from_layout(blobs: Blobs, tag: Option<&str>) -> Result<Image> {
        let index = blobs.read(Path::new("index.json"), MAX_DESCRIPTION)?;
        let index: Index = parse("index.json", &index)?;
        let manifest = find_manifest(&blobs, index, tag)?;
        let config: Config = read_json(&blobs, &manifest.config, "configuration")?;
        let diff_ids = config.diff_ids(manifest.layers.len())?;
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
        Ok(Image { config: config.config.unwrap_or_default(), layers, blobs })
    }

    fn from_docker_save(blobs: Blobs, tag: Option<&str>) -> Result<Image> {
        let list = blobs.read(Path::new("manifest.json"), MAX_DESCRIPTION)?;
        let list: Vec<Saved> = parse("manifest.json", &list)?;
        let names = |saved: &Saved| saved.repo_tags.clone().unwrap_or_default();
        let Saved { config, layers, .. } = pick(list, names, tag)?;
        let config_file = inside(&config)?;
        let content = blobs.read(config_file, MAX_DESCRIPTION)?;
        let stem = config_file.file_stem().unwrap_or_default().to_string_lossy();
        if let Ok(digest) = Digest::from_hex(&stem) {
            check(&format!("the configuration {config}"), &digest, &Digest::of(&content))?;
        }
        let config: Config = parse(&config, &content)?;
        let diff_ids = config.diff_ids(layers.len())?;
        let layer = |(name, diff_id): (&String, Digest)| {
            let file = inside(name)?.to_owned();
            let compression = sniff(&mut blobs.get(&file)?)?;
            Ok(Layer { diff_id, compression, file, sum: None })
        };
        let layers = layers.iter().zip(diff_ids).map(layer).collect::<Result<_>>()?;
        Ok(Image { config: config.config.unwrap_or_default(), layers, blobs })
    }

    /// Opens the archive of a layer.
    ///
    /// # Errors
    /// If it is not there, or does not have the size that the manifest says.
    pub fn open_layer(&self, layer: &Layer) -> Result<Blob> {
        let blob = self.blobs.get(&layer.file).with_context(|| format!("cannot open {layer}"))?;
        if let Some((_, size)) = &layer.sum {
            let found = blob.len();
            ensure!(found == *size, "{layer} has {found} bytes, and the manifest says {size}");
        }
        Ok(blob)
    }
}

impl Config {
    /// The digests of the decompressed layers, of which there are `count`; if the image is for
    /// this machine.
    fn diff_ids(&self, count: usize) -> Result<Vec<Digest>> {
        let (os, architecture, here) = (&self.os, &self.architecture, architecture());
        ensure!(
            os == "linux" && architecture == here,
            "it is for {os} on {architecture}, and this machine is linux on {here}"
        );
        let diff_ids = self.rootfs.diff_ids.clone();
        let found = diff_ids.len();
        ensure!(count == found, "it has {count} layers, and diff_ids for {found}");
        Ok(diff_ids)
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

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.sum {
            Some((digest, _)) => write!(f, "the layer {digest}"),
            None => write!(f, "the layer {:?}", self.file),
        }
    }
}

/// The manifest for this machine, of the image that is asked for.
fn find_manifest(blobs: &Blobs, index: Index, tag: Option<&str>) -> Result<Manifest> {
    let of_machine = for_this_machine(index.manifests)?;
    let mut descriptor = pick(of_machine, names_of, tag)?;
    for _ in 0..MAX_DEPTH {
        match descriptor.media_type.as_str() {
            "application/vnd.oci.image.manifest.v1+json"
            | "application/vnd.docker.distribution.manifest.v2+json" => {
                return read_json(blobs, &descriptor, "manifest");
            }
            "application/vnd.oci.image.index.v1+json"
            | "application/vnd.docker.distribution.manifest.list.v2+json" => {
                let index: Index = read_json(blobs, &descriptor, "index")?;
                let mut of_machine = for_this_machine(index.manifests)?.into_iter();
                descriptor = of_machine.next().context("its index is empty")?;
            }
            other => bail!("{} is of an unknown media type {other:?}", descriptor.digest),
        }
    }
    bail!("its indexes are nested too deep")
}

/// Those that are for this machine, or do not say.
fn for_this_machine(manifests: Vec<Descriptor>) -> Result<Vec<Descriptor>> {
    let is_for = |platform: &Platform| format!("{}/{}", platform.os, platform.architecture);
    let here = format!("linux/{}", architecture());
    let all: Vec<_> = manifests.iter().filter_map(|it| it.platform.as_ref().map(is_for)).collect();
    let of_machine: Vec<_> = manifests
        .into_iter()
        .filter(|it| it.platform.as_ref().is_none_or(|platform| is_for(platform) == here))
        .collect();
    ensure!(!of_machine.is_empty(), "it is for {}, and this machine is {here}", all.join(", "));
    Ok(of_machine)
}

/// The names that an index has for an image.
fn names_of(descriptor: &Descriptor) -> Vec<String> {
    let names = ["org.opencontainers.image.ref.name", "io.containerd.image.name"];
    let annotations = descriptor.annotations.iter().flatten();
    annotations
        .filter(|(key, _)| names.contains(&key.as_str()))
        .map(|(_, name)| name.clone())
        .collect()
}

/// The one with this tag; without a tag the only one there is, or `latest`.
fn pick<T>(all: Vec<T>, names: impl Fn(&T) -> Vec<String>, tag: Option<&str>) -> Result<T> {
    let is_named = |name: &String, tag: &str| {
        name == tag || name.rsplit_once(':').is_some_and(|(_, last)| last == tag)
    };
    let known = all.iter().flat_map(&names).collect::<Vec<_>>().join(", ");
    let count = all.len();
    let wanted = tag.unwrap_or("latest");
    let mut all = all.into_iter();
    if tag.is_none() && count == 1 {
        return all.next().context("it is empty");
    }
    let has_name = |it: &T| names(it).iter().any(|name| is_named(name, wanted));
    all.find(has_name).ok_or_else(|| match tag {
        Some(tag) => anyhow!("it has no tag {tag:?}, only: {known}"),
        None => anyhow!("it holds {count} images: choose one with PATH:TAG, of: {known}"),
    })
}

/// Reads a blob that is JSON, and checks its size and digest first.
fn read_json<T: DeserializeOwned>(blobs: &Blobs, blob: &Descriptor, what: &str) -> Result<T> {
    let Descriptor { digest, size, .. } = blob;
    let name = format!("the {what} {digest}");
    ensure!(*size <= MAX_DESCRIPTION, "{name} has {size} bytes, and may have {MAX_DESCRIPTION}");
    let content = blobs
        .read(&digest.path(), MAX_DESCRIPTION)
        .with_context(|| format!("cannot read {name}"))?;
    let found = content.len() as u64;
    ensure!(found == *size, "{name} has {found} bytes, and its descriptor says {size}");
    check(&name, digest, &Digest::of(&content))?;
    parse(&name, &content)
}

fn parse<T: DeserializeOwned>(name: &str, content: &[u8]) -> Result<T> {
    serde_json::from_slice(content).map_err(|error| anyhow!("cannot understand {name}: {error}"))
}

fn check(name: &str, wanted: &Digest, found: &Digest) -> Result<()> {
    ensure!(wanted == found, "{name} is damaged: its content has the digest {found}, not {wanted}");
    Ok(())
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

/// What the first bytes of a layer say, where there is no media type.
fn sniff(blob: &mut Blob) -> Result<Compression> {
    let mut start = Vec::new();
    blob.take(4).read_to_end(&mut start).context("cannot read a layer")?;
    Ok(match start[..] {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd] => Compression::Zstd,
        _ => Compression::None,
    })
}

/// This machine's architecture, by the name that Go has for it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    }
}

/// `PATH:TAG`, unless there is a file of the whole name.
fn split_tag(name: &Path) -> (PathBuf, Option<String>) {
    let text = name.to_str().filter(|_| !name.exists());
    match text.and_then(|text| text.rsplit_once(':')) {
        Some((path, tag)) if !tag.is_empty() && !tag.contains('/') => {
            (path.into(), Some(tag.to_owned()))
        }
        _ => (name.to_owned(), None),
    }
}
