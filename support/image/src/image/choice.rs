//! Which image it is, of those that an index or an archive has: by its tag, and for this machine.

use super::description::{Descriptor, Index, Manifest, Platform, architecture, read_json};
use crate::blobs::Blobs;
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::path::{Path, PathBuf};

/// How many indexes may stand between index.json and a manifest.
const MAX_DEPTH: usize = 3;

/// `PATH:TAG`, unless there is a file of the whole name.
pub(super) fn split_tag(name: &Path) -> Result<(PathBuf, Option<String>)> {
    let is_there = name.try_exists().with_context(|| format!("cannot look at {name:?}"))?;
    let text = name.to_str().filter(|_| !is_there);
    Ok(match text.and_then(|text| text.rsplit_once(':')) {
        Some((path, tag)) if !tag.is_empty() && !tag.contains('/') => {
            (path.into(), Some(tag.to_owned()))
        }
        _ => (name.to_owned(), None),
    })
}

/// The manifest for this machine, of the image that is asked for.
pub(super) fn find_manifest(blobs: &Blobs, index: Index, tag: Option<&str>) -> Result<Manifest> {
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
pub(super) fn pick<T>(
    all: Vec<T>,
    names: impl Fn(&T) -> Vec<String>,
    tag: Option<&str>,
) -> Result<T> {
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
