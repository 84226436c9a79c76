//! The files of an image that describe it, in JSON: image-spec, and docker save.

use super::machine::{Platform, for_others};
use crate::blobs::Blobs;
use crate::digest::Digest;
use anyhow::{Context, Result, ensure};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// How large each of them may be, in bytes; registries have this limit for manifests.
pub const MAX_DESCRIPTION: u64 = 4 << 20;

/// The configuration of an image.
#[derive(Deserialize)]
pub(super) struct Config {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: Option<String>,
    config: Option<ContainerConfig>,
    rootfs: RootFs,
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
    /// `USER` or `USER:GROUP`, by name or number; root if it is empty.
    pub user: Option<String>,
    /// The signal that asks it to end, if not SIGTERM: a name or a number.
    pub stop_signal: Option<String>,
    /// Directories whose content is to outlive a container.
    pub volumes: Option<BTreeMap<String, IgnoredAny>>,
}

/// The digests of its decompressed layers.
#[derive(Deserialize)]
struct RootFs {
    #[serde(deserialize_with = "or_empty")]
    diff_ids: Vec<Digest>,
}

/// Manifests for several machines, or of several images.
#[derive(Debug, Deserialize)]
pub struct Index {
    /// One for each image or machine.
    #[serde(default, deserialize_with = "or_empty")]
    pub manifests: Vec<Descriptor>,
}

/// The configuration and the layers of an image, by their names.
#[derive(Debug, Deserialize)]
pub struct Manifest {
    /// The configuration.
    pub config: Descriptor,
    /// The layers, the lowest one first.
    #[serde(deserialize_with = "or_empty")]
    pub layers: Vec<Descriptor>,
}

/// The name of a blob, and what it is.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What kind of blob it is.
    pub media_type: String,
    /// Its name, and its checksum.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// For which machine it is, if that is said.
    pub platform: Option<Platform>,
    /// What else is said of it: its name, in an index.json.
    #[serde(default)]
    pub annotations: Option<Annotations>,
}

/// The annotations that are names. The others are not kept: there may be very many.
#[derive(Clone, Debug, Deserialize)]
pub struct Annotations {
    /// The name that containerd gives an image.
    #[serde(rename = "io.containerd.image.name")]
    pub containerd: Option<String>,
    /// The name that the specification of image layouts gives an image.
    #[serde(rename = "org.opencontainers.image.ref.name")]
    pub ref_name: Option<String>,
}

/// An entry of docker save's manifest.json.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Saved {
    pub(super) config: String,
    #[serde(default, deserialize_with = "or_empty")]
    pub(super) repo_tags: Vec<String>,
    #[serde(deserialize_with = "or_empty")]
    pub(super) layers: Vec<String>,
}

impl Config {
    /// What it says, and the digests of the decompressed layers, of which there are `count`; if
    /// the image is for this machine.
    pub(super) fn for_layers(self, count: usize) -> Result<(ContainerConfig, Vec<Digest>)> {
        let Config { os, architecture, variant, config, rootfs } = self;
        let platform = Platform { os, architecture, variant };
        ensure!(platform.fit().is_some(), for_others(&platform.to_string()));
        let diff_ids = rootfs.diff_ids;
        let found = diff_ids.len();
        ensure!(count == found, "it has {count} layers, and diff_ids for {found}");
        Ok((config.unwrap_or_default(), diff_ids))
    }
}

impl Descriptor {
    /// As [`Platform::fit`]; what does not say for which machine it is can be for this one.
    pub(super) fn fit(&self) -> Option<u32> {
        self.platform.as_ref().map_or(Some(0), Platform::fit)
    }
}

/// A list; what Go writes for one that was never made is `null`.
fn or_empty<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads a blob that is JSON, and checks its size and digest first.
pub(super) fn read_json<T: DeserializeOwned>(
    blobs: &Blobs,
    blob: &Descriptor,
    what: &str,
) -> Result<T> {
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

pub(super) fn parse<T: DeserializeOwned>(name: &str, content: &[u8]) -> Result<T> {
    serde_json::from_slice(content).with_context(|| format!("cannot understand {name}"))
}

pub(super) fn check(name: &str, wanted: &Digest, found: &Digest) -> Result<()> {
    ensure!(wanted == found, "{name} is damaged: its content has the digest {found}, not {wanted}");
    Ok(())
}
