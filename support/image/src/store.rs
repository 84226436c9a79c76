//! The directory of images: what was pulled, an OCI image layout for each repository.
//!
//! ```text
//! IMAGES/alpine/index.json                  which tags are here, and the manifest of each
//! IMAGES/alpine/blobs/sha256/...            manifests, configurations and layers
//! IMAGES/localhost:5000/hello/index.json    another repository
//! ```
//!
//! So `IMAGES/alpine:latest` is a path that [`Image::open`](crate::Image::open) takes, and every
//! tool that reads image layouts finds its way: `skopeo inspect oci:IMAGES/alpine:latest`.

use crate::blobs::Blobs;
use crate::image::{Descriptor, Index, has_tag, names_of, read_index};
use crate::missing::Missing;
use crate::reference::Reference;
use anyhow::{Context, Result};
use launcher::Caller;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Where a layout keeps its blobs.
pub const BLOBS: &str = "blobs/sha256";

/// Where a layout of ours keeps what is not fetched to its end yet.
pub const PARTIAL: &str = "partial";

/// No reference has more parts than its name has room for.
const MAX_DEPTH: usize = 128;

/// The directory of images.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
}

/// An image layout in the directory of images.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Where it is.
    pub path: PathBuf,
    /// The name of its repository, with the registry: `alpine`, `localhost:5000/hello`.
    pub name: String,
}

impl Store {
    /// The one at this place.
    pub fn at(directory: PathBuf) -> Store {
        Store { directory }
    }

    /// The one of this user.
    ///
    /// # Errors
    /// If this user has no home directory; if it is somebody else's.
    pub fn of(caller: &Caller) -> Result<Store> {
        Ok(Store::at(caller.images()?))
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The layout of a repository, whether it is there or not.
    pub fn layout(&self, reference: &Reference) -> Layout {
        let name = reference.name();
        Layout { path: self.directory.join(&name), name }
    }

    /// The path by which [`Image::open`](crate::Image::open) finds an image.
    pub fn path(&self, reference: &Reference) -> PathBuf {
        let mut path = self.layout(reference).path.into_os_string();
        path.push(format!(":{}", reference.version));
        path.into()
    }

    /// The path of an image that is here. (That it is complete, whoever opens it finds out.)
    ///
    /// # Errors
    /// If the description of its layout cannot be read.
    pub fn find(&self, reference: &Reference) -> Result<Result<PathBuf, Missing>> {
        let layout = self.layout(reference);
        // Somebody else may have put it there: also as docker save has it.
        let is_saved = is_file(&layout.path)? || is_file(&layout.path.join("manifest.json"))?;
        let images = if is_saved { Vec::new() } else { layout.images()? };
        let others = images.iter().flat_map(names_of).collect();
        if is_saved || has_tag(images, &reference.version.to_string()) {
            return Ok(Ok(self.path(reference)));
        }
        Ok(Err(Missing { reference: reference.clone(), others }))
    }

    /// All layouts, by their names.
    ///
    /// # Errors
    /// If a directory cannot be read.
    pub fn layouts(&self) -> Result<Vec<Layout>> {
        let mut found = Vec::new();
        look_below(&self.directory, "", &mut found)?;
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }
}

/// Whether it is one. Not to be allowed to look is no answer: it could be what is asked for.
fn is_file(path: &Path) -> Result<bool> {
    match path.metadata() {
        Ok(found) => Ok(found.is_file()),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(false)
        }
        Err(error) => Err(error).with_context(|| format!("cannot look at {path:?}")),
    }
}

impl Layout {
    /// The images in it: those that its index.json names. None if there is no layout.
    ///
    /// # Errors
    /// If the index is damaged.
    pub fn images(&self) -> Result<Vec<Descriptor>> {
        let index = read_index(&Blobs::Directory(self.path.clone()));
        let index = index.with_context(|| format!("cannot read the images in {:?}", self.path))?;
        Ok(index.map_or_else(Vec::new, |Index { manifests }| manifests))
    }
}

/// The layouts in a directory, and in those below it: the repository `alpine/git` has its layout
/// in that of `alpine`.
fn look_below(directory: &Path, name: &str, found: &mut Vec<Layout>) -> Result<()> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.with_context(|| format!("cannot list {directory:?}"))?,
    };
    // A pull that was cut off has written no index yet.
    if ["index.json", "oci-layout"].iter().any(|name| directory.join(name).is_file()) {
        found.push(Layout { path: directory.to_owned(), name: name.to_owned() });
    }
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list {directory:?}"))?;
        // Not through links: they may lead in a circle.
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let Ok(part) = entry.file_name().into_string() else { continue };
        let below = if name.is_empty() { part } else { format!("{name}/{part}") };
        let is_deep = below.split('/').count() > MAX_DEPTH;
        if is_directory && !is_deep {
            look_below(&entry.path(), &below, found)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = r#"{"schemaVersion": 2, "manifests": [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 2, "digest":
        "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        "annotations": {"org.opencontainers.image.ref.name": "1.2"}}]}"#;

    #[test]
    fn an_image_is_found_by_its_name() {
        let directory = std::env::temp_dir().join(format!("store-{}", std::process::id()));
        let store = Store::at(directory.clone());
        assert!(store.layouts().unwrap().is_empty());
        for name in ["alpine", "alpine/git", "localhost:5000/a"] {
            fs::create_dir_all(directory.join(name)).unwrap();
            fs::write(directory.join(name).join("index.json"), INDEX).unwrap();
        }
        let names: Vec<_> = store.layouts().unwrap().into_iter().map(|it| it.name).collect();
        assert_eq!(names, ["alpine", "alpine/git", "localhost:5000/a"]);
        let has = |name: &str| store.find(&name.parse().unwrap()).unwrap().is_ok();
        assert!(
            has("alpine:1.2") && has("docker.io/alpine/git:1.2") && has("localhost:5000/a:1.2")
        );
        assert!(!has("alpine") && !has("git:1.2") && !has("localhost:5000/b:1.2"));
        let path = store.path(&"docker.io/library/alpine:1.2".parse().unwrap());
        assert_eq!(path, directory.join("alpine:1.2"));
        fs::remove_dir_all(directory).unwrap();
    }
}
