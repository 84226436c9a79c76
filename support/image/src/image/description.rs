//! The files of an image that describe it, in JSON: image-spec, and docker save.

use crate::blobs::Blobs;
use crate::digest::Digest;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// How large each of them may be, in bytes; registries have this limit for manifests.
pub(super) const MAX_DESCRIPTION: u64 = 4 << 20;

/// The configuration of an image.
#[derive(Deserialize)]
pub(super) struct Config {
    pub(super) architecture: String,
    pub(super) os: String,
    pub(super) config: Option<ContainerConfig>,
    pub(super) rootfs: RootFs,
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

/// The digests of its decompressed layers.
#[derive(Deserialize)]
pub(super) struct RootFs {
    pub(super) diff_ids: Vec<Digest>,
}

/// Manifests for several machines, or of several images.
#[derive(Deserialize)]
pub(super) struct Index {
    pub(super) manifests: Vec<Descriptor>,
}

/// The configuration and the layers of an image, by their names.
#[derive(Deserialize)]
pub(super) struct Manifest {
    pub(super) config: Descriptor,
    pub(super) layers: Vec<Descriptor>,
}

/// The name of a blob, and what it is.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) platform: Option<Platform>,
    #[serde(default)]
    pub(super) annotations: Option<BTreeMap<String, String>>,
}

/// A kind of machine.
#[derive(Clone, Deserialize)]
pub(super) struct Platform {
    pub(super) os: String,
    pub(super) architecture: String,
}

/// An entry of docker save's manifest.json.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Saved {
    pub(super) config: String,
    #[serde(default)]
    pub(super) repo_tags: Option<Vec<String>>,
    pub(super) layers: Vec<String>,
}

impl Config {
    /// The digests of the decompressed layers, of which there are `count`; if the image is for
    /// this machine.
    pub(super) fn diff_ids(&self, count: usize) -> Result<Vec<Digest>> {
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

/// This machine's architecture, by the name that Go has for it.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    }
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
